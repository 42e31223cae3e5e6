package message

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"slices"
)

// keyring has the keys of an app and the ids to which a text may be addressed.
type keyring struct {
	keys  []*aesKey
	ids   []string
	anyID bool // all ids are accepted
}

// newKeyring returns the keys and ids of c.
func newKeyring(c Config) (keyring, error) {
	r := keyring{ids: slices.Clone(c.ReceiveIDs), anyID: c.AnyReceiveID}
	if len(r.ids) == 0 {
		r.ids = []string{c.AppID}
	}
	for _, k := range []struct{ field, value string }{
		{"EncodingAESKey", c.EncodingAESKey}, {"PreviousAESKey", c.PreviousAESKey},
	} {
		if k.value == "" {
			continue
		}
		key, err := parseAESKey(k.value)
		if err != nil {
			return keyring{}, &ConfigError{k.field, "is not an EncodingAESKey: " + err.Error()}
		}
		r.keys = append(r.keys, key)
	}
	return r, nil
}

// decrypt decrypts with the key that fits, and checks the id to which the text is addressed. The error is ErrSeal.
func (r keyring) decrypt(sealed string) (text []byte, receiveID string, key *aesKey, err error) {
	for _, k := range r.keys {
		t, id, e := k.decrypt(sealed)
		switch {
		case e != nil:
			if err == nil {
				err = e
			}
		case r.acceptsID(id):
			text, receiveID, key = t, string(id), k
		default: // the key is right
			err = fmt.Errorf("%w: %w: %s is neither Config.AppID nor one of ReceiveIDs", ErrSeal, errID, printableID(id))
		}
	}
	if key != nil {
		return text, receiveID, key, nil
	}
	return nil, "", nil, err
}

// acceptsID reports whether a text addressed to id is for this app.
func (r keyring) acceptsID(id []byte) bool {
	found := 0
	for _, want := range r.ids {
		found |= subtle.ConstantTimeCompare(id, []byte(want))
	}
	return found == 1 || r.anyID && isWord(id)
}

// isWord reports whether b can be an id of WeChat or the text of a URL check: up to 64 letters, digits, - and _.
// Accepting more would tell a sender with the token whether a guessed padding is right.
func isWord(b []byte) bool {
	return len(b) <= 64 && !bytes.ContainsFunc(b, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	})
}
