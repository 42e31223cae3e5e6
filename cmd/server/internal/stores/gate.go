package stores

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/store"
)

// The mark is a value in each store that a server has used. A later server learns from it that its master keys fit.
const (
	markKey   = "ready"
	markValue = "ok"
	laterMark = "ok " // begins the mark of a later release, which has changed what servers store
)

const (
	maxCheckTime     = 5 * time.Second
	minCheckInterval = time.Second      // until a store that cannot be used is checked again …
	maxCheckInterval = 30 * time.Second // … doubling to this, less up to a quarter by chance
)

// gate is a store whose calls fail until the mark was verified. Before that nothing is known about the store: its values
// may be sealed with other keys, or with keys that this server lacks.
type gate struct {
	store.Store // behind the gate
	owner       *Store

	open  atomic.Bool            // whether the mark was verified
	cause atomic.Pointer[string] // why it is closed
}

// notInUseError is the error of calls to a store that was not verified.
type notInUseError struct{ cause string }

func (e notInUseError) Error() string {
	if e.cause == "" {
		return "the store is not in use yet"
	}
	return "the store is not in use yet: " + e.cause
}

// Reported tells the gateway that the log has the cause already.
func (notInUseError) Reported() bool { return true }

func (g *gate) checkOpen() error {
	if g.open.Load() {
		return nil
	}
	if cause := g.cause.Load(); cause != nil {
		return notInUseError{*cause}
	}
	return notInUseError{}
}

// Sealed tells the gateway whether the values are encrypted, so that apps may be registered.
func (g *gate) Sealed() bool { return g.owner.Sealed != nil }

func (g *gate) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	if err := g.checkOpen(); err != nil {
		return nil, false, err
	}
	return g.Store.Get(ctx, key)
}

func (g *gate) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := g.checkOpen(); err != nil {
		return err
	}
	return g.Store.Set(ctx, key, value, ttl)
}

func (g *gate) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	if err := g.checkOpen(); err != nil {
		return false, err
	}
	return g.Store.Swap(ctx, key, old, new, ttl)
}

func (g *gate) Delete(ctx context.Context, key string) error {
	if err := g.checkOpen(); err != nil {
		return err
	}
	return g.Store.Delete(ctx, key)
}

// DeleteUnreadable is that of [store.Sealed]; a store without seals has nothing that it cannot read.
func (g *gate) DeleteUnreadable(ctx context.Context, key string) (deleted bool, err error) {
	if err := g.checkOpen(); err != nil {
		return false, err
	}
	if sealed, ok := g.Store.(*store.Sealed); ok {
		return sealed.DeleteUnreadable(ctx, key)
	}
	return false, nil
}

func (g *gate) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if err := g.checkOpen(); err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	return g.Store.Keys(ctx, prefix)
}

// Ping reads and writes the store, and returns why it cannot be used, or nil. It opens the gate if the mark fits.
func (g *gate) Ping(ctx context.Context) error {
	err := g.check(ctx)
	for try := 1; try < 3 && errors.Is(err, errChanged); try++ {
		err = g.check(ctx)
	}
	if err != nil && !g.open.Load() {
		cause := err.Error()
		g.cause.Store(&cause)
	}
	return err
}

// errChanged is the error of a server that could not make the mark because another one made it at the same time.
var errChanged = errors.New("cannot be used: other servers change its mark")

// configError is an error that does not end by waiting: the configuration does not fit the store.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

func (g *gate) check(ctx context.Context) error {
	if g.owner.durable != nil && !g.open.Load() {
		if err := g.owner.durable(ctx); err != nil {
			return err
		}
	}
	value, ok, err := g.read(ctx)
	switch {
	case IsSealError(err):
		if err := g.restoreMark(ctx, err); err != nil {
			return err
		}
		value, ok = []byte(markValue), true
	case err != nil && notDatabase(err):
		return configError{err}
	case err != nil:
		return fmt.Errorf("cannot be used: %w", err)
	case ok && strings.HasPrefix(string(value), laterMark) && !g.open.Load():
		return configError{fmt.Errorf("a server of a later release has used it (its mark is %q): use that release, or an empty store", value)}
	case ok && string(value) != markValue && !g.open.Load() && g.owner.Sealed == nil:
		return configError{errors.New("its values are sealed, and WETOKEN_MASTER_KEYS is not set")}
	case ok && string(value) != markValue && !g.open.Load():
		return configError{fmt.Errorf("invalid value of key %q: want that of a server", markKey)}
	}
	if !ok && g.owner.Sealed != nil && !g.open.Load() {
		if err := g.checkUnmarked(ctx); err != nil {
			return err
		}
	}
	if ok || g.owner.Sealed == nil { // without a mark, values may be plaintext
		g.open.Store(true)
	}
	return g.write(ctx, value, ok)
}

// read reads the mark, and makes the table of an SQLite file.
func (g *gate) read(ctx context.Context) (value []byte, ok bool, err error) {
	value, ok, err = g.Store.Get(ctx, markKey)
	if err == nil || !g.owner.makesTable || notDatabase(err) || IsSealError(err) {
		return value, ok, err
	}
	if err := g.owner.Migrate(ctx); err != nil {
		return nil, false, err
	}
	return g.Store.Get(ctx, markKey)
}

// IsSealError reports whether err is about a value that was read, and not about the store.
func IsSealError(err error) bool {
	return errors.Is(err, store.ErrPlaintext) || errors.Is(err, store.ErrSealKey) || errors.Is(err, store.ErrTampered)
}

// write replaces the mark by itself, or makes it, to find out whether the store accepts writes.
func (g *gate) write(ctx context.Context, value []byte, ok bool) error {
	if ok {
		if _, err := g.Store.Swap(ctx, markKey, value, value, -1); err != nil {
			return fmt.Errorf("cannot be written: %w", err)
		}
		return nil
	}
	made, err := g.Store.Swap(ctx, markKey, nil, []byte(markValue), 0)
	if err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	if !made {
		return errChanged
	}
	g.open.Store(true)
	return nil
}

// checkUnmarked returns an error if our keys open none of the sealed values of a store without a mark. An attacker who
// removes the mark must not admit a server with other keys, whose values no other server could read.
func (g *gate) checkUnmarked(ctx context.Context) error {
	f, err := g.owner.survey(ctx, false)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be used: %w", err)
	case f.sealed && !f.ours:
		return configError{errWrongKeys}
	}
	return nil
}

var errWrongKeys = errors.New("WETOKEN_MASTER_KEYS does not fit: no value that is sealed can be owner")

// restoreMark replaces a mark that was written without the master keys, if other values show that our keys fit. A mark that
// is sealed with another key is replaced only if no other value is sealed with another key: otherwise our keys are wrong,
// or no longer right.
func (g *gate) restoreMark(ctx context.Context, forged error) error {
	foreign := errors.Is(forged, store.ErrSealKey)
	if foreign || !g.open.Load() {
		f, err := g.owner.survey(ctx, foreign)
		switch {
		case err != nil:
			return fmt.Errorf("cannot be used: %w", err)
		case foreign && (f.foreign || !f.ours):
			return configError{fmt.Errorf("WETOKEN_MASTER_KEYS does not fit: %w", forged)}
		case !f.ours && f.sealed:
			return configError{errWrongKeys}
		case !f.ours && errors.Is(forged, store.ErrPlaintext):
			return configError{errors.New("WETOKEN_MASTER_KEYS is set, and its values are not sealed: if they never were, stop all servers and run server seal -plaintext; if they were, they have been replaced: empty it")}
		}
	}
	slog.ErrorContext(ctx, "the store was written without the master keys: its mark is restored; other such values are refused", "store", g.owner.Name, "error", forged)
	if err := g.owner.Sealed.Set(ctx, markKey, []byte(markValue), 0); err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	return nil
}

// start checks the store, and watches it while it cannot be used.
func (o *Store) start(ctx context.Context) error {
	if o.gate == nil {
		return nil
	}
	err := o.ping(ctx)
	if settings := (configError{}); errors.As(err, &settings) {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	if err != nil {
		slog.WarnContext(ctx, "a store cannot be used: tokens are fetched from WeChat without it", "store", o.Name, "error", err)
		go o.watch(ctx)
	}
	return nil
}

func (o *Store) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxCheckTime)
	defer cancel()
	return o.gate.Ping(ctx)
}

// watch checks the store until it can be used, or ctx ends.
func (o *Store) watch(ctx context.Context) {
	logged := false
	for wait := minCheckInterval; ; wait = min(2*wait, maxCheckInterval) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait - rand.N(wait/4)):
		}
		err := o.ping(ctx)
		if err == nil {
			slog.InfoContext(ctx, "the store can be used", "store", o.Name)
			return
		}
		if settings := (configError{}); errors.As(err, &settings) && !logged {
			slog.ErrorContext(ctx, "the store is not used: the configuration does not fit it", "store", o.Name, "error", err)
			logged = true
		}
	}
}
