package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// recordVersion is the version of the records that this release writes. Those of the first release have no version.
const recordVersion = 0

// Bounds of an entry.
const (
	MaxSettings = 1 << 20 // bytes
	maxRecord   = 2 << 20
	maxID       = 64 // bytes of an id or a name
	maxTerms    = 64
	maxTerm     = 256
	maxFormer   = 32
)

// Entry is one entry as its record has it.
type Entry struct {
	Version  int             `json:"v,omitempty"`
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Former   []Former        `json:"former,omitempty"`
	Revision string          `json:"revision"`            // changes with each change of the entry
	DeleteAt int64           `json:"delete_at,omitempty"` // Unix milliseconds at which the store removes the record
	Terms    []string        `json:"terms,omitempty"`
	Settings json.RawMessage `json:"settings"`

	// ClosingUntil is set while a change waits until all processes know that it comes: Unix milliseconds from which the change is
	// not made, as its process has ended. Every other change unsets it.
	ClosingUntil int64 `json:"closing_until,omitempty"`

	raw []byte // the record
}

// Former is an earlier name of an entry, which still leads to it.
type Former struct {
	Name  string `json:"name"`
	Until int64  `json:"until"` // Unix milliseconds
}

func recordKey(kind Kind, id string) string { return "registry/" + string(kind) + "/" + id }

// IsClosing reports whether a change of the entry waits.
func (e *Entry) IsClosing() bool { return time.Now().UnixMilli() < e.ClosingUntil }

// clone returns a copy of e, or nil.
func (e *Entry) clone() *Entry {
	if e == nil {
		return nil
	}
	c := *e
	c.Former, c.Terms, c.Settings = slices.Clone(e.Former), slices.Clone(e.Terms), slices.Clone(e.Settings)
	return &c
}

// claims reports whether e has a name, or had it recently.
func (e *Entry) claims(name string, now time.Time) bool {
	return e.Name == name || isFormer(e.Former, name, now)
}

// IsFormer reports whether a name is one of an entry's former names that still lead to it.
func IsFormer(former []Former, name string) bool { return isFormer(former, name, time.Now()) }

func isFormer(former []Former, name string, now time.Time) bool {
	return slices.ContainsFunc(former, func(f Former) bool { return f.Name == name && now.UnixMilli() < f.Until })
}

// ttl returns how long the store keeps the record; 0 is for ever.
func (e *Entry) ttl(now time.Time) time.Duration {
	if e.DeleteAt == 0 {
		return 0
	}
	return max(time.UnixMilli(e.DeleteAt).Sub(now), time.Millisecond)
}

// check returns an error for a field that is out of bounds.
func (e *Entry) check() error {
	switch {
	case !validID(e.ID):
		return errors.New("registry: invalid id: want 1 to 64 bytes of UTF-8 without /")
	case !validID(e.Name):
		return errors.New("registry: invalid name: want 1 to 64 bytes of UTF-8 without /")
	case len(e.Former) > maxFormer:
		return fmt.Errorf("registry: too many earlier names: want at most %d in 30 days", maxFormer)
	case len(e.Settings) > MaxSettings:
		return fmt.Errorf("registry: the settings have %d bytes: want at most %d", len(e.Settings), MaxSettings)
	case len(e.Terms) > maxTerms || slices.ContainsFunc(e.Terms, func(t string) bool { return t == "" || len(t) > maxTerm }):
		return errors.New("registry: too many terms, or one that is too long")
	case e.Revision == "" || len(e.Revision) > maxID:
		return errors.New("registry: invalid revision")
	}
	return nil
}

func validID(s string) bool {
	if s == "" || len(s) > maxID || !utf8.ValidString(s) {
		return false
	}
	return !slices.Contains([]byte(s), '/')
}

func (e *Entry) encode() ([]byte, error) {
	e.Version = recordVersion
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("registry: encode: %w", err)
	}
	return raw, nil
}

// read returns the entry with an id, or nil.
func (r *Registry) read(ctx context.Context, kind Kind, id string) (*Entry, error) {
	if !validID(id) {
		return nil, nil
	}
	raw, ok, err := r.get(ctx, recordKey(kind, id))
	if err != nil || !ok {
		return nil, err
	}
	e := new(Entry)
	if err := decode(raw, e, func() int { return e.Version }); err != nil {
		return nil, unreadable(recordKey(kind, id), raw, err)
	}
	if e.ID != id {
		return nil, &recordError{fmt.Errorf("registry: the record under %q is that of another id", recordKey(kind, id)), raw}
	}
	if err := e.check(); err != nil {
		return nil, unreadable(recordKey(kind, id), raw, err)
	}
	e.raw = raw
	return e, nil
}

// get reads a value of bounded size.
func (r *Registry) get(ctx context.Context, key string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	raw, ok, err := r.Store.Get(ctx, key)
	if IsUnreadable(err) {
		return nil, false, unreadable(key, nil, err)
	}
	if err != nil {
		return nil, false, fmt.Errorf("registry: read: %w", err)
	}
	if len(raw) > maxRecord {
		return nil, false, &recordError{fmt.Errorf("registry: the record under %q has %d bytes: want at most %d", key, len(raw), maxRecord), raw}
	}
	return raw, ok, nil
}

// decode reads a record. It refuses one of a later version, whatever form it has. Its errors show no value.
func decode(raw []byte, out any, version func() int) error {
	failed := json.Unmarshal(raw, out)
	var head struct {
		Version int `json:"v"`
	}
	if failed != nil && json.Unmarshal(raw, &head) != nil {
		return errors.New("registry: invalid record: not JSON of this form")
	}
	switch v := max(version(), head.Version); {
	case v > recordVersion:
		return ErrNewer
	case failed != nil || v < 0:
		return errors.New("registry: invalid record: not JSON of this form")
	}
	return nil
}
