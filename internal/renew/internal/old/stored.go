package old

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// publishTries is how often a value that WeChat has just made is offered to a store that fails.
const publishTries = 4

// look reads the store. The record there becomes the current one if it is of a later generation, or of the same one with
// less life left. Clocks differ, so that beside a current one that is at its end any other record is a later one.
func (l *load) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	raw, ok, err := l.Store.Get(ctx, l.Key)
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	if l.stored = nil; !ok {
		return nil
	}
	l.seen = time.Now()
	if l.stored, err = parse(raw, l.seen); err != nil {
		l.trouble = err // a record that says nothing is replaced
	}
	l.noteGeneration(l.stored.Gen)
	switch {
	case l.current != nil && before(l.seen, l.current.Late) && !l.stored.after(l.current.record):
	case l.stored.Value == "":
		l.current = nil
	default:
		l.current = l.stored.kept(time.Now(), false, l.Keeper)
	}
	return nil
}

// stands tells whether the current value, near its end by this machine's clock, is alive by the store's: it still
// stands there.
func (l *load) stands(ctx context.Context) bool {
	if !l.current.usable(time.Now(), l.refused) || l.look(ctx) != nil {
		return false
	}
	return l.stored != nil && l.current != nil && l.stored.Value == l.current.Value && l.current.usable(time.Now(), l.refused)
}

// pending tells whether the next value has to wait for the end of the stored one: because WeChat answers the same one
// until then, or because a fetch whose outcome is not known goes on ending it, which nobody may hurry.
func (l *load) pending() bool {
	if l.stored == nil || l.stored.Value == "" || l.stored.Value == l.refused {
		return false
	}
	return !l.Ahead && l.current.usable(time.Now(), l.refused) || l.Supersedes && l.stored.Asked
}

// restore writes the current value back to a store that lacks it, as after it lost everything. A value that may have been
// ended since the store was seen to hold one is not the current one any more.
func (l *load) restore(ctx context.Context) error {
	if !l.good() || l.stored != nil && l.stored.Gen >= l.current.record.Gen {
		return nil
	}
	if l.Supersedes && l.stored == nil {
		if !l.current.alone && time.Since(l.seen) > l.current.record.overlap()*3/5 {
			l.current = nil
			return nil
		}
		// The store lost the lease, too, and a fetch may be under way under it: nobody begins another one meanwhile.
		if _, ok, err := l.take(ctx, "/lease", leaseLife); err != nil || !ok && !l.holds {
			return err
		}
	}
	if l.Supersedes && !l.current.alone && l.crossed(l.current.record, l.current.record.Gen-clocksApart.Milliseconds()) {
		l.current = l.reconcile(l.current)
	}
	if l.stored != nil && l.stored.Gen >= l.current.record.Gen {
		return nil
	}
	_, err := l.offer(ctx)
	return err
}

// offer writes the current value to the store once. It reports whether the store then holds it, or a later one, which
// becomes the current one.
func (l *load) offer(ctx context.Context) (settled bool, err error) {
	r := l.current.record
	swapped, err := l.write(ctx, r, l.current.life(l.Ahead))
	if err == nil && !swapped {
		err = l.look(ctx)
	}
	if err != nil || l.stored == nil || l.stored.Gen < r.Gen {
		return false, err
	}
	if l.current != nil && l.current.record == r {
		l.current = r.kept(time.Now(), l.current.ours, l.Keeper)
	}
	return true, nil
}

// publish writes a value that was just fetched to the store, unless a later one stands there, which then is the current
// one.
func (l *load) publish(ctx context.Context, fetched *Kept) error {
	l.current = fetched
	var failed error
	for try, wait := 0, watchFirst; try < publishTries; try, wait = try+1, 4*wait {
		settled, err := l.offer(ctx)
		if err == nil && l.announced != nil && l.crossed(fetched.record, l.announced.Gen) {
			l.current = l.reconcile(fetched)
			settled = l.current.record == l.stored
		}
		if settled {
			return nil
		}
		if failed = err; err == nil {
			failed = errors.New("write store: others keep changing the value")
		}
		if l.sleep(ctx, wait) != nil {
			break
		}
	}
	if l.Supersedes && l.current != nil {
		l.current = l.current.brief() // others cannot see it, and may end it
	}
	return failed
}

// crossed reports whether another process may have fetched, or begun to, at the time at which r was fetched: the store
// holds another value, and of no generation before gen, or says so of this one. Nobody knows which is the later one.
func (l *load) crossed(r *record, gen int64) bool {
	return l.stored != nil && l.stored.Gen >= gen && (l.stored.Value != r.Value || l.stored.Brief && !r.Brief)
}

// reconcile returns the value to keep after two fetches crossed: the one held here, or the one in the store where another
// process has reconciled them. It is trusted only for the time in which WeChat takes both.
func (l *load) reconcile(held *Kept) *Kept {
	if l.stored.Brief && !l.stored.Asked && l.stored.Value != l.refused {
		return l.stored.kept(time.Now(), false, l.Keeper)
	}
	b := *held.record.shortened()
	b.Gen, b.Brief = l.stored.Gen+1, true
	return b.kept(time.Now(), held.ours, l.Keeper)
}

// write swaps what was read for r.
func (l *load) write(ctx context.Context, r *record, life time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeMax)
	defer cancel()
	next, err := r.encode()
	if err != nil {
		return false, fmt.Errorf("write store: %w", err)
	}
	var was []byte
	if l.stored != nil {
		was = l.stored.raw
	}
	swapped, err := l.Store.Swap(ctx, l.Key, was, next, life)
	if err != nil {
		return false, fmt.Errorf("write store: %w", err)
	}
	if swapped {
		stored := *r
		stored.raw = next
		l.noteGeneration(r.Gen)
		l.stored, l.seen = &stored, time.Now()
	}
	return swapped, nil
}

// jitter returns the next number in [0, 1).
func (k *Keeper) jitter() float64 {
	if k.Jitter != nil {
		return k.Jitter()
	}
	return rand.Float64()
}

// shorten returns between three quarters and all of d.
func (k *Keeper) shorten(d time.Duration) time.Duration {
	return d - time.Duration(k.jitter()*float64(d)/4)
}
