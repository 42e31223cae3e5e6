package message

import (
	"crypto/subtle"
	"fmt"
	"slices"
)

// keyring are the keys of an app, and the ids that a text encrypted with them may be for.
type keyring struct {
	keys  []*aesKey
	ids   []string
	anyID bool // ids do not matter
}

// newKeyring returns the keys that c has.
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
		key, err := parseKey(k.value)
		if err != nil {
			return keyring{}, &ConfigError{k.field, "is not an EncodingAESKey: " + err.Error()}
		}
		r.keys = append(r.keys, key)
	}
	return r, nil
}

// unseal decrypts with the key that fits, and checks whom the text is for. Its errors are ErrSeal.
func (r keyring) unseal(sealed string) (text []byte, receiveID string, key *aesKey, err error) {
	for _, k := range r.keys {
		t, id, e := k.open(sealed)
		switch {
		case e != nil:
			if err == nil {
				err = e
			}
		case r.isFor(id):
			text, receiveID, key = t, string(id), k
		default: // this is the key, then
			err = fmt.Errorf("%w: %w: %s is neither Config.AppID nor one of ReceiveIDs", ErrSeal, errID, tellID(id))
		}
	}
	if key != nil {
		return text, receiveID, key, nil
	}
	return nil, "", nil, err
}

// isFor reports whether a text that ends with id is for this app.
func (r keyring) isFor(id []byte) bool {
	found := 0
	for _, want := range r.ids {
		found |= subtle.ConstantTimeCompare(id, []byte(want))
	}
	return found == 1 || r.anyID
}
