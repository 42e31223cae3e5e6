package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/internal/registry"
)

const (
	// A key is keyPrefix, its id, _ and 26 letters and digits with 130 random bits.
	keyPrefix   = "wetoken_"
	keyIDLength = 16
	keyLength   = len(keyPrefix) + keyIDLength + 1 + 26

	// DefaultOverlap is how long the keys before a rotation are good, unless another time is given.
	DefaultOverlap = time.Hour
	maxOverlap     = 30 * 24 * time.Hour

	maxDigests     = 8                   // of keys of one caller that are good at once
	expiredKeyLife = 30 * 24 * time.Hour // a key is listed for that long after its expires_at
)

// storedKey is the settings of an entry of a key. It embeds redacted, since Settings is a Key.
type storedKey struct {
	Settings  Key               `json:"settings"` // without the key
	AppIDs    map[string]string `json:"app_ids"`  // ids of the apps that existed when the key was made, by name
	Digests   []storedDigest    `json:"digests"`  // that of the present key is the first
	CreatedAt time.Time         `json:"created_at"`
	RotatedAt time.Time         `json:"rotated_at"`

	redacted
}

// storedDigest is the SHA-256 of a key.
type storedDigest struct {
	SHA256 string    `json:"sha256"`
	Until  time.Time `json:"until"` // zero for the present key
}

var keyEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// idOfKey returns the id of the key with a name. Names and ids correspond, so a name needs no index.
func idOfKey(name string) string {
	d := sha256.Sum256([]byte("wetoken caller key\n" + name))
	return strings.ToLower(keyEncoding.EncodeToString(d[:10]))
}

// keyID returns the id in a key of the form that newKey makes.
func keyID(key string) (id string, ok bool) {
	if len(key) != keyLength || !strings.HasPrefix(key, keyPrefix) || key[len(keyPrefix)+keyIDLength] != '_' {
		return "", false
	}
	id = key[len(keyPrefix) : len(keyPrefix)+keyIDLength]
	return id, !strings.ContainsFunc(id, func(r rune) bool { return !('a' <= r && r <= 'z' || '2' <= r && r <= '7') })
}

func newKey(id string) (key string, d storedDigest) {
	key = keyPrefix + id + "_" + rand.Text()
	sum := sha256.Sum256([]byte(key))
	return key, storedDigest{SHA256: hex.EncodeToString(sum[:])}
}

// checkKeyName returns an error for a name that a registered key cannot have.
func checkKeyName(name string) error {
	if name == "" || len(name) > 64 || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\?#%") || name == "." || name == ".." {
		return &SettingError{"name", `want 1 to 64 bytes of UTF-8 without / \ ? # %`}
	}
	if err := field.CheckVisible(name); err != nil {
		return &SettingError{"name", err.Error()}
	}
	return nil
}

// Create makes a key with settings, whose Key must be empty. The key itself is returned only here.
//
// An app that exists now is kept by its id, so that the key is good for it under another name, too. A name without an app is good
// for the app that is registered with it later.
func (k *Keys) Create(ctx context.Context, settings Key) (key string, err error) {
	if k.gateway.registered == nil {
		return "", ErrUnsealed
	}
	if k.isInFile(settings.Name) {
		return "", ErrInFile
	}
	s, err := k.checkSettings(ctx, settings)
	if err != nil {
		return "", err
	}
	key, digest := newKey(idOfKey(settings.Name))
	s.Digests, s.CreatedAt = []storedDigest{digest}, time.Now().UTC()
	err = k.change(ctx, settings.Name, func(old *registry.Entry) (*registry.Entry, error) {
		if old != nil && !isEnded(old) {
			return nil, ErrTaken
		}
		return s.entry(settings.Name)
	})
	k.audit(ctx, "create", settings.Name, err)
	if err != nil {
		return "", err
	}
	return key, nil
}

// Rotate makes another key in place of the one with a name. The earlier ones are good until the overlap ends, at most 30 days; with
// none they end at once.
func (k *Keys) Rotate(ctx context.Context, name string, overlap time.Duration) (key string, err error) {
	if overlap < 0 || overlap > maxOverlap {
		return "", &SettingError{"overlap", "want 0s to 720h"}
	}
	key, digest := newKey(idOfKey(name))
	err = k.change(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		if old == nil {
			return nil, ErrNotRegistered
		}
		s, err := readStoredKey(old)
		if err != nil {
			return nil, err
		}
		if isEnded(old) {
			return nil, &SettingError{"expires_at", "has passed: delete the key, and make another one"}
		}
		s.RotatedAt = time.Now().UTC()
		end := s.RotatedAt.Add(overlap)
		digests := []storedDigest{digest}
		for _, d := range s.Digests {
			if d.Until.IsZero() || d.Until.After(end) {
				d.Until = end
			}
			if d.Until.After(s.RotatedAt) {
				digests = append(digests, d)
			}
		}
		if len(digests) > maxDigests {
			return nil, &SettingError{"overlap", fmt.Sprintf("%d earlier keys are still good: want a shorter overlap", maxDigests)}
		}
		s.Digests = digests
		return s.entry(name)
	})
	k.audit(ctx, "rotate", name, err)
	if err != nil {
		return "", err
	}
	return key, nil
}

// Delete revokes the key with a name, and those before its last rotation.
func (k *Keys) Delete(ctx context.Context, name string) error {
	err := k.change(ctx, name, func(old *registry.Entry) (*registry.Entry, error) {
		if old == nil {
			return nil, ErrNotRegistered
		}
		return nil, nil
	})
	_, err = k.gateway.discardUnreadable(ctx, keyKind, name, "", err, nil)
	k.audit(ctx, "delete", name, err)
	if err != nil {
		return err
	}
	_ = k.gateway.records.Delete(ctx, useKey(idOfKey(name))) // it expires otherwise, and is not taken for that of a later key
	return nil
}

// change changes an entry, and has this process see the change at once.
func (k *Keys) change(ctx context.Context, name string, change func(*registry.Entry) (*registry.Entry, error)) error {
	g := k.gateway
	switch {
	case g.registered != nil:
	case k.isInFile(name):
		return ErrInFile
	default:
		return ErrUnsealed
	}
	_, err := g.registered.Change(ctx, keyKind, name, idOfName(keyKind, name), change)
	g.registered.applyChanges(registry.Ref{Kind: keyKind, ID: idOfKey(name)})
	if errors.Is(err, ErrNotRegistered) && k.isInFile(name) { // a registered key of that name can be revoked
		return ErrInFile
	}
	if errors.Is(err, registry.ErrTooLarge) {
		return &SettingError{Reason: "it is too large"}
	}
	if errors.Is(err, registry.ErrNameTaken) || errors.Is(err, registry.ErrIDTaken) {
		return fmt.Errorf("%w (%w)", ErrTaken, err)
	}
	return err
}

// audit records a change that was made, or may have been.
func (k *Keys) audit(ctx context.Context, action, name string, err error) {
	k.gateway.auditChange(ctx, "caller key", err, "action", action, "name", name)
}

func (k *Keys) isInFile(name string) bool {
	for _, s := range k.gateway.fileKeys {
		if s.Name == name {
			return true
		}
	}
	return false
}

// entry returns the entry of a key.
func (s storedKey) entry(name string) (*registry.Entry, error) {
	settings, err := encodePlain(s)
	if err != nil {
		return nil, fmt.Errorf("gateway: register a key: %w", err)
	}
	e := &registry.Entry{ID: idOfKey(name), Name: name, Settings: settings}
	if at := s.Settings.ExpiresAt; !at.IsZero() {
		e.DeleteAt = at.Add(expiredKeyLife).UnixMilli()
	}
	return e, nil
}

// isEnded reports whether the key of an entry has expired.
func isEnded(e *registry.Entry) bool {
	return e.DeleteAt != 0 && !time.Now().Before(time.UnixMilli(e.DeleteAt).Add(-expiredKeyLife))
}

// readStoredKey returns the key of an entry, with at least one digest.
func readStoredKey(e *registry.Entry) (s storedKey, err error) {
	err = decodeExactly(e.Settings, &s)
	if err == nil {
		err = s.Settings.checkSettings()
	}
	if err == nil && (len(s.Digests) == 0 || len(s.Digests) > maxDigests || s.Settings.Name != e.Name || s.Settings.Key != "" || e.ID != idOfKey(e.Name)) {
		err = errors.New("invalid record")
	}
	for _, d := range s.Digests {
		if _, invalid := parseKey("sha256:" + d.SHA256); err == nil {
			err = invalid
		}
	}
	if err != nil {
		return storedKey{}, &unreadableError{fmt.Errorf("gateway: the registration of key %q cannot be read by this release: %w", e.Name, err)}
	}
	return s, nil
}
