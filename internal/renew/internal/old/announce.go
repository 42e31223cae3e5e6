package old

import (
	"context"
	"errors"
	"time"
)

// A fetch that ends the current value must not leave it behind as a live one, should its outcome never be known. So it
// is announced first: the record becomes Asked, and of a later generation, above which the next to fetch begins.
//
// Where each fetch ends the last value but one at once, an Asked value is served for as long as WeChat takes it for
// sure, and nobody fetches meanwhile. Where a forced refresh ended it, it is due, and an ordinary fetch tells.

// errChanged is an announcement that is needless, as another process has done what it was for.
var errChanged = errors.New("write store: the value changed under the lease")

// noneLife is for how long the store keeps it that nothing is current: for as long as anything of the fetch is under way.
const noneLife = time.Minute

// announceTries is how often a store is written that changes at the same time, as when a record lapses.
const announceTries = 3

// prepare makes ready for a fetch that ends the current value.
func (l *load) prepare(ctx context.Context) error {
	if l.refused != "" {
		if err := l.ration(ctx, renewals); err != nil {
			return err
		}
	}
	if err := l.noteCall(ctx); err != nil {
		return err
	}
	if err := l.announce(ctx, nil); err != nil {
		return joinErrors(err, l.clearCall(ctx))
	}
	return nil
}

// announce writes that WeChat is asked for another value than the one that stands in the store, or else current, or else
// what this process holds.
func (l *load) announce(ctx context.Context, current *record) error {
	for range announceTries {
		if l.stored != nil && l.stored.Value != "" {
			current = l.stored
		} else if current == nil && l.current != nil {
			current = l.current.record
		}
		r, life := l.announcement(current)
		swapped, err := l.write(ctx, r, life)
		if err != nil {
			return err
		}
		if swapped {
			l.base, l.announced = current, r
			if r.Value == "" {
				l.current = nil
			} else {
				l.current = r.kept(time.Now(), l.ours(), l.Keeper)
			}
			return nil
		}
		if err := l.look(ctx); err != nil {
			return err
		}
		if l.fresh() || l.pending() {
			return errChanged
		}
	}
	return errChanged
}

// announcement is the record of current once WeChat has been asked for the next value, and its life: what it has in the
// store anyway, unless that is more than WeChat then leaves it for sure.
func (l *load) announcement(current *record) (r *record, life time.Duration) {
	now := time.Now()
	none := &record{Gen: l.nextGen(now), Asked: true}
	if current == nil || l.Supersedes && current.Asked && (current.Value == l.refused || l.stored == nil) {
		return none, noneLife
	}
	r = &record{Value: current.Value, Expires: current.Expires, Life: current.Life, Gen: none.Gen, Asked: true}
	uncut, cut := r.overlap(), r.overlap()*4/5
	if !l.ours() {
		uncut, cut = uncut-r.skew(l.Ahead), cut-r.skew(l.Ahead)
	}
	switch {
	case l.Supersedes && time.UnixMilli(r.Expires).Sub(now) > uncut:
		r.Expires = now.Add(cut).UnixMilli()
		return r, cut
	case l.stored != nil:
		return r, keepLife
	}
	if life = r.kept(now, l.ours(), l.Keeper).life(l.Ahead); life < fetchMax { // it would lapse before there is another
		return none, noneLife
	}
	return r, life
}

// withdraw takes an announcement back where it is known that WeChat has made no other value.
func (l *load) withdraw(ctx context.Context, cause error) error {
	if l.announced == nil || l.base == nil || !isOutcome(cause) {
		return nil
	}
	r := *l.base
	r.Gen = l.announced.Gen + 1
	back, life := r.kept(time.Now(), l.ours(), l.Keeper), keepLife
	if r.Expires != l.announced.Expires {
		life = back.life(l.Ahead)
	}
	if _, err := l.write(ctx, &r, life); err != nil {
		return err
	}
	l.current = back
	return nil
}

// ours tells whether this process fetched the current value.
func (l *load) ours() bool { return l.current != nil && l.current.ours }

// nextGen is a generation later than all that are known, by more than a fetch may add to its announcement.
func (l *load) nextGen(now time.Time) int64 {
	gen := now.UnixMilli()
	if l.stored != nil {
		gen = max(gen, l.stored.Gen+2)
	}
	if l.current != nil {
		gen = max(gen, l.current.record.Gen+2)
	}
	return gen
}
