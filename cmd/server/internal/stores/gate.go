package stores

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/store"
)

// The mark is a value in each store that a server has used. A later server learns from it that its master keys fit.
const (
	markKey = "ready"
	mark    = "ok"
)

const (
	checkMax   = 5 * time.Second
	checkFirst = time.Second      // until a store that cannot be used is checked again …
	checkMost  = 30 * time.Second // … doubling to this, less up to a quarter by chance
)

// gate is a store whose calls fail until the mark was verified. Before that nothing is known of the store: its values may
// be sealed with other keys, or with keys that this server lacks.
type gate struct {
	store.Store // behind the gate
	opened      *Store

	open  atomic.Bool
	cause atomic.Pointer[string] // why it is closed
}

// closedError is the failure of a call to a store that was not verified.
type closedError struct{ cause string }

func (e closedError) Error() string {
	if e.cause == "" {
		return "the store is not in use yet"
	}
	return "the store is not in use yet: " + e.cause
}

// Reported says that the log has the cause already: the gateway adds no line to it.
func (closedError) Reported() bool { return true }

func (g *gate) pass() error {
	if g.open.Load() {
		return nil
	}
	if cause := g.cause.Load(); cause != nil {
		return closedError{*cause}
	}
	return closedError{}
}

func (g *gate) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	if err := g.pass(); err != nil {
		return nil, false, err
	}
	return g.Store.Get(ctx, key)
}

func (g *gate) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.Store.Set(ctx, key, value, ttl)
}

func (g *gate) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	if err := g.pass(); err != nil {
		return false, err
	}
	return g.Store.Swap(ctx, key, old, new, ttl)
}

func (g *gate) Delete(ctx context.Context, key string) error {
	if err := g.pass(); err != nil {
		return err
	}
	return g.Store.Delete(ctx, key)
}

func (g *gate) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if err := g.pass(); err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	return g.Store.Keys(ctx, prefix)
}

// Ping returns why the store cannot be used, or nil: it is read and written. It opens the gate once the mark fits.
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

// errChanged is the failure to make the mark, as another server has made it at the same time.
var errChanged = errors.New("cannot be used: other servers change its mark")

// settingsError is a failure that no waiting cures: the configuration does not fit the store.
type settingsError struct{ error }

func (e settingsError) Unwrap() error { return e.error }

func (g *gate) check(ctx context.Context) error {
	value, ok, err := g.read(ctx)
	switch {
	case IsSealError(err):
		if err := g.restore(ctx, err); err != nil {
			return err
		}
		value, ok = []byte(mark), true
	case err != nil && notDatabase(err):
		return settingsError{err}
	case err != nil:
		return fmt.Errorf("cannot be used: %w", err)
	case ok && string(value) != mark && !g.open.Load() && g.opened.Sealed == nil:
		return settingsError{errors.New("its values are sealed, and WETOKEN_MASTER_KEYS is not set")}
	case ok && string(value) != mark && !g.open.Load():
		return settingsError{fmt.Errorf("its value of the key %q is not that of a server", markKey)}
	}
	if !ok && g.opened.Sealed != nil && !g.open.Load() {
		if err := g.admitUnmarked(ctx); err != nil {
			return err
		}
	}
	if ok || g.opened.Sealed == nil { // without a mark, nothing says that values are sealed
		g.open.Store(true)
	}
	return g.write(ctx, value, ok)
}

// read reads the mark, and makes the table of an SQLite file.
func (g *gate) read(ctx context.Context) (value []byte, ok bool, err error) {
	value, ok, err = g.Store.Get(ctx, markKey)
	if err == nil || !g.opened.own || notDatabase(err) || IsSealError(err) {
		return value, ok, err
	}
	if err := g.opened.Migrate(ctx); err != nil {
		return nil, false, err
	}
	return g.Store.Get(ctx, markKey)
}

// IsSealError reports whether err is about a value that was read, and not about the store.
func IsSealError(err error) bool {
	return errors.Is(err, store.ErrPlaintext) || errors.Is(err, store.ErrSealKey) || errors.Is(err, store.ErrTampered)
}

// write replaces the mark by itself, or makes it, and so finds out whether the store takes writes.
func (g *gate) write(ctx context.Context, value []byte, ok bool) error {
	if ok {
		if _, err := g.Store.Swap(ctx, markKey, value, value, -1); err != nil {
			return fmt.Errorf("cannot be written: %w", err)
		}
		return nil
	}
	made, err := g.Store.Swap(ctx, markKey, nil, []byte(mark), 0)
	if err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	if !made {
		return errChanged
	}
	g.open.Store(true)
	return nil
}

// admitUnmarked returns an error if our keys open none of the sealed values of a store without a mark. Whoever has removed
// the mark must not let in a server with other keys, whose values and mark no other server could read.
func (g *gate) admitUnmarked(ctx context.Context) error {
	f, err := g.opened.survey(ctx, false)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be used: %w", err)
	case f.sealed && !f.ours:
		return settingsError{errNoFit}
	}
	return nil
}

var errNoFit = errors.New("WETOKEN_MASTER_KEYS does not fit: no value that is sealed can be opened")

// restore replaces a mark that somebody without the keys has written, where other values show that our keys fit. One that
// is sealed with another key is such a mark if no other value is: else it is our keys that are not, or no longer, right.
func (g *gate) restore(ctx context.Context, forged error) error {
	foreign := errors.Is(forged, store.ErrSealKey)
	if foreign || !g.open.Load() {
		f, err := g.opened.survey(ctx, foreign)
		switch {
		case err != nil:
			return fmt.Errorf("cannot be used: %w", err)
		case foreign && (f.foreign || !f.ours):
			return settingsError{fmt.Errorf("WETOKEN_MASTER_KEYS does not fit: %w", forged)}
		case !f.ours && f.sealed:
			return settingsError{errNoFit}
		case !f.ours && errors.Is(forged, store.ErrPlaintext):
			return settingsError{errors.New("WETOKEN_MASTER_KEYS is set, and its values are not sealed: if they never were, stop all servers and run server seal -plaintext; if they were, somebody has replaced them: empty it")}
		}
	}
	slog.ErrorContext(ctx, "somebody without the master keys has written to the store: its mark is restored; other values that they wrote are refused", "store", g.opened.Name, "error", forged)
	if err := g.opened.Sealed.Set(ctx, markKey, []byte(mark), 0); err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	return nil
}

// surveyMax is how many values a start looks at; seal -plaintext looks at all.
const surveyMax = 1000

// findings are what a survey found beside the mark.
type findings struct {
	ours    bool // a value that our keys open
	sealed  bool // any that is sealed
	foreign bool // one that is sealed with a key that is not ours
}

// survey looks at the values of a store until it finds one that our keys open, or with foreign one that is sealed with
// another key.
func (o *Store) survey(ctx context.Context, foreign bool) (f findings, err error) {
	n := 0
	for key, err := range o.Raw.Keys(ctx, "") {
		if err != nil {
			return f, err
		}
		if key == markKey {
			continue
		}
		if n++; n > surveyMax {
			break
		}
		_, ok, err := o.Sealed.Get(ctx, key)
		switch {
		case err == nil && ok:
			f.ours, f.sealed = true, true
		case err != nil && !IsSealError(err):
			return f, err
		case err != nil:
			f.sealed = f.sealed || !errors.Is(err, store.ErrPlaintext)
			f.foreign = f.foreign || errors.Is(err, store.ErrSealKey)
		}
		if foreign && f.foreign || !foreign && f.ours {
			break
		}
	}
	return f, nil
}

// start checks the store, and has it watched while it cannot be used.
func (o *Store) start(ctx context.Context) error {
	if o.gate == nil {
		return nil
	}
	err := o.ping(ctx)
	if settings := (settingsError{}); errors.As(err, &settings) {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	if err != nil {
		slog.WarnContext(ctx, "a store cannot be used: tokens come from WeChat without it", "store", o.Name, "error", err)
		go o.watch(ctx)
	}
	return nil
}

func (o *Store) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkMax)
	defer cancel()
	return o.gate.Ping(ctx)
}

// watch checks the store until it can be used, or ctx ends.
func (o *Store) watch(ctx context.Context) {
	told := false
	for wait := checkFirst; ; wait = min(2*wait, checkMost) {
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
		if settings := (settingsError{}); errors.As(err, &settings) && !told {
			slog.ErrorContext(ctx, "the store is not used: the configuration does not fit it", "store", o.Name, "error", err)
			told = true
		}
	}
}
