package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/wetoken/wetoken/internal/registry"
)

const keyKind registry.Kind = "key"

// Keys registers caller keys while a gateway runs. Every gateway with the same records knows them, within 2 seconds. Keys of the
// configuration are listed too, and cannot be changed. Its methods are safe for concurrent use, and each change is an entry of
// [Gateway.Audits].
//
// The records have the SHA-256 of a key, and never the key: who has lost it needs another one.
type Keys struct{ gateway *Gateway }

// RegisteredKey is a caller key as it is registered.
type RegisteredKey struct {
	ID       string // part of the key, and no secret; empty for a key of the configuration
	Settings Key    // without the key
	InFile   bool   // it is part of the configuration

	CreatedAt     time.Time
	RotatedAt     time.Time // zero for never
	PreviousUntil time.Time // until when the keys before the last rotation are good; zero for none
	UsedAt        time.Time // of a use in the last 10 minutes before the last one; zero for none
}

// Keys returns the registry of caller keys.
func (g *Gateway) Keys() *Keys { return &Keys{g} }

// Get returns the key with a name, or ErrNotRegistered. The name of a key of the configuration may be that of several: Get returns
// the first of them.
func (k *Keys) Get(ctx context.Context, name string) (RegisteredKey, error) {
	for _, s := range k.gateway.fileKeys {
		if s.Name == name {
			return RegisteredKey{Settings: s, InFile: true}, nil
		}
	}
	if k.gateway.registered == nil {
		return RegisteredKey{}, ErrNotRegistered
	}
	e, ok, err := k.gateway.registered.ByID(ctx, keyKind, idOfKey(name))
	if err != nil {
		return RegisteredKey{}, err
	}
	if !ok {
		return RegisteredKey{}, ErrNotRegistered
	}
	return k.describe(ctx, e)
}

// All yields all keys: those of the configuration, and those that are registered, in no order.
func (k *Keys) All(ctx context.Context) iter.Seq2[RegisteredKey, error] {
	return func(yield func(RegisteredKey, error) bool) {
		for _, s := range k.gateway.fileKeys {
			if !yield(RegisteredKey{Settings: s, InFile: true}, nil) {
				return
			}
		}
		if k.gateway.registered == nil {
			return
		}
		for e, err := range k.gateway.registered.All(ctx, keyKind) {
			var r RegisteredKey
			if err == nil {
				r, err = k.describe(ctx, e)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Page returns at most limit registered keys, in the order of their ids, after the one with the id after. next is the id for the
// next page, or "". It does not return keys of the configuration. A record that cannot be read is reported in the log, and left out.
func (k *Keys) Page(ctx context.Context, after string, limit int) (list []RegisteredKey, next string, err error) {
	if k.gateway.registered == nil {
		return nil, "", nil
	}
	ids, more, err := k.gateway.registered.Page(ctx, keyKind, after, limit)
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids {
		e, ok, err := k.gateway.registered.ByID(ctx, keyKind, id)
		if err != nil && !isUnreadable(err) {
			return nil, "", err
		}
		var r RegisteredKey
		if ok && err == nil {
			r, err = k.describe(ctx, e)
		}
		switch {
		case isUnreadable(err):
			k.gateway.reportUnreadable(ctx, keyKind, err)
		case err != nil:
			return nil, "", err
		case ok:
			list = append(list, r)
		}
	}
	if more {
		next = ids[len(ids)-1]
	}
	return list, next, nil
}

// describe returns the key of an entry.
func (k *Keys) describe(ctx context.Context, e *registry.Entry) (RegisteredKey, error) {
	s, err := readStoredKey(e)
	if err != nil {
		return RegisteredKey{}, err
	}
	r := RegisteredKey{ID: e.ID, Settings: s.Settings, CreatedAt: s.CreatedAt, RotatedAt: s.RotatedAt}
	now := time.Now()
	for _, d := range s.Digests[1:] {
		if d.Until.After(now) && d.Until.After(r.PreviousUntil) {
			r.PreviousUntil = d.Until
		}
	}
	raw, ok, err := k.gateway.records.Get(ctx, useKey(e.ID))
	switch {
	case isUnreadable(err):
		return r, nil
	case err != nil:
		return r, fmt.Errorf("gateway: read when a key was used: %w", err)
	case ok && len(raw) < 20:
		if at, err := strconv.ParseInt(string(raw), 10, 64); err == nil && at >= s.CreatedAt.Unix() { // not that of an earlier key
			r.UsedAt = time.Unix(at, 0).UTC()
		}
	}
	return r, nil
}

// withoutKeys returns the settings of keys.
func withoutKeys(keys []Key) []Key {
	list := slices.Clone(keys)
	for i := range list {
		list[i].Key = ""
	}
	return list
}

// unreadableError is an error about the content of a record.
type unreadableError struct{ error }

func (e *unreadableError) Unwrap() error { return e.error }

// isUnreadable reports whether err is about the content of a record, so that reading it again gives the same error.
func isUnreadable(err error) bool {
	return registry.IsUnreadable(err) || errors.As(err, new(*unreadableError))
}

// reportUnreadable logs a record of a registration that cannot be read, once a minute. It leaves out errors of the store.
func (g *Gateway) reportUnreadable(ctx context.Context, kind registry.Kind, err error) {
	if !isUnreadable(err) {
		return
	}
	if ok, more := g.warnings.Allow("record " + string(kind)); ok {
		g.log.ErrorContext(ctx, "a registration cannot be read, and is left out", "kind", string(kind), "error", err, "repeats", more)
	}
}

// reportHealed logs a record of the registry that could not be read, and was replaced, once a minute.
func (g *Gateway) reportHealed(ctx context.Context, err error) {
	if ok, more := g.warnings.Allow("healed record"); ok {
		g.log.ErrorContext(ctx, "a record could not be read, and was replaced: the records are damaged, or were written without the master keys", "error", err, "repeats", more)
	}
}

// checkSettings returns an error for settings that cannot be registered, and the settings as they are stored.
func (k *Keys) checkSettings(ctx context.Context, s Key) (stored storedKey, err error) {
	if s.Key != "" {
		return stored, &SettingError{"key", "must be unset: the gateway makes the key"}
	}
	if err := checkKeyName(s.Name); err != nil {
		return stored, err
	}
	if err := s.checkSettings(); err != nil {
		return stored, &SettingError{Reason: err.Error()}
	}
	if !s.ExpiresAt.IsZero() && !s.ExpiresAt.After(time.Now()) {
		return stored, &SettingError{"expires_at", "has passed"}
	}
	stored = storedKey{Settings: s, AppIDs: make(map[string]string)}
	for i, name := range s.Apps {
		if name == "*" || isPlatform(name) {
			continue
		}
		if err := checkAppName(name); err != nil {
			return stored, &SettingError{fmt.Sprintf("apps[%d]", i), err.Error()}
		}
		if a, ok := k.gateway.fileApps[name]; ok {
			stored.AppIDs[name] = a.id(name)
			continue
		}
		e, ok, err := k.gateway.registered.ByName(ctx, appKind, name)
		if err != nil {
			return stored, err
		}
		if ok && e.Name == name {
			stored.AppIDs[name] = e.ID
		}
	}
	return stored, nil
}
