package renew

import (
	"context"
	"errors"
	"time"
)

// publishTries is how often a value that WeChat has just made is written to a store that fails.
const publishTries = 4

// restore drops the current value, or writes it back to a store that lost it.
func (k *Keeper) restore(ctx context.Context, s state, next action) (state, error) {
	if next == dropCurrent {
		s.current = nil
		return s, nil
	}
	if s.supersedes && s.stored == nil {
		// The store lost the lease, too, and a fetch may be in progress under it: no process starts another meanwhile.
		if _, ok, err := k.takeLease(ctx, "/lease", leaseTTL); err != nil || !ok && !s.keepsLease {
			return s, err
		}
	}
	if s.supersedes && !s.current.alone && s.crossed(s.current.record, s.current.record.Gen-maxClockSkew.Milliseconds()) {
		s.current = k.resolveCrossed(s, s.current)
	}
	if s.stored != nil && s.stored.Gen >= s.current.record.Gen {
		return s, nil
	}
	s, _, err := k.offer(ctx, s)
	return s, err
}

// publish makes a fetched value the current one, and writes it to the store. A later value in the store becomes the
// current one instead.
func (k *Keeper) publish(ctx context.Context, s state, fetched *Kept) (state, error) {
	s.current = fetched
	var failed error
	for try, wait := 0, pollFirst; try < publishTries; try, wait = try+1, 4*wait {
		var settled bool
		var err error
		s, settled, err = k.offer(ctx, s)
		if err == nil && s.announced != nil && s.crossed(fetched.record, s.firstCrossing()) {
			s.current = k.resolveCrossed(s, fetched)
			settled = s.current.record == s.stored
		}
		if settled {
			return s, nil
		}
		if failed = err; err == nil {
			failed = errors.New("write store: others keep changing the value")
		}
		if k.sleep(ctx, wait) != nil {
			break
		}
	}
	if s.supersedes && s.current != nil {
		s.current = s.current.capLife(time.Now()) // other processes cannot see it, and may end it
	}
	return s, failed
}

// offer writes the current value to the store once. It reports whether the store then holds it, or a later one, which
// becomes the current one.
func (k *Keeper) offer(ctx context.Context, s state) (_ state, settled bool, err error) {
	r := s.current.record
	s, swapped, err := k.write(ctx, s, r, s.current.storeTTL(time.Now(), s.overlaps))
	if err == nil && !swapped {
		s, err = k.readStore(ctx, s)
	}
	if err != nil || s.stored == nil || s.stored.Gen < r.Gen {
		return s, false, err
	}
	if s.current != nil && s.current.record == r {
		s.current = k.hold(r, time.Now(), s.current.ours)
	}
	return s, true, nil
}

// resolveCrossed returns the value to keep after two fetches crossed: the one held here, or the one in the store if another
// process has reconciled them. It is trusted only for the time in which WeChat accepts both.
func (k *Keeper) resolveCrossed(s state, held *Kept) *Kept {
	if s.stored.Brief && !s.stored.Asked && s.stored.Value != s.refused {
		return k.hold(s.stored, time.Now(), false)
	}
	b := *held.record.shortened()
	b.Gen, b.Brief = s.stored.Gen+1, true
	return k.hold(&b, time.Now(), held.ours)
}
