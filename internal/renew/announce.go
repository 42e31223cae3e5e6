package renew

import (
	"context"
	"errors"
	"time"
)

// A fetch that ends the current value must not leave it in the store as a live one if its outcome never becomes known. So
// the fetch is announced first: the record becomes Asked, and of a later generation; the next fetch takes one above that.
//
// Where each fetch ends the last value but one at once, an Asked value is served for as long as WeChat certainly accepts
// it, and no process fetches meanwhile. Where a forced refresh ends it, it is due, and an ordinary fetch shows its fate.

// errChanged is the failure to announce because another process has already renewed the value.
var errChanged = errors.New("write store: the value changed under the lease")

// noValueTTL is how long the store keeps a record without a value: as long as any part of the fetch may be in progress.
const noValueTTL = time.Minute

// announceTries is how often a store is written whose record changes at the same time, as when it lapses.
const announceTries = 3

// announce writes to the store that WeChat is asked for another value than the current one: the value in the store, or
// else current, or else the one that this process holds.
func (k *Keeper) announce(ctx context.Context, s state, current *record) (state, error) {
	for range announceTries {
		if s.stored != nil && s.stored.Value != "" {
			current = s.stored
		} else if current == nil && s.current != nil {
			current = s.current.record
		}
		r, ttl := k.announcement(s, current, time.Now())
		var swapped bool
		var err error
		if s, swapped, err = k.write(ctx, s, r, ttl); err != nil {
			return s, err
		}
		if swapped {
			ours := s.isOurs()
			s.replaced, s.announced, s.current = current, r, nil
			if r.Value != "" {
				s.current = k.hold(r, time.Now(), ours)
			}
			return s, nil
		}
		if s, err = k.readStore(ctx, s); err != nil {
			return s, err
		}
		if now := time.Now(); s.isFresh(now) || s.mustWait(now) {
			return s, errChanged
		}
	}
	return s, errChanged
}

// announcement returns the record of current once WeChat is asked for the next value, and how long the store keeps it: as
// long as it would anyway, or as long as WeChat then certainly accepts the value, if that is less.
func (k *Keeper) announcement(s state, current *record, now time.Time) (r *record, ttl time.Duration) {
	none := &record{Gen: s.nextGen(now), Asked: true}
	if current == nil || s.supersedes && current.Asked && (current.Value == s.refused || s.stored == nil) {
		return none, noValueTTL
	}
	r = &record{Value: current.Value, Expires: current.Expires, Life: current.Life, Gen: none.Gen, Asked: true}
	uncut, cut := r.overlap(), r.overlap()*4/5
	if !s.isOurs() {
		uncut, cut = uncut-r.skew(s.overlaps), cut-r.skew(s.overlaps)
	}
	switch {
	case s.supersedes && time.UnixMilli(r.Expires).Sub(now) > uncut:
		r.Expires = now.Add(cut).UnixMilli()
		return r, cut
	case s.stored != nil:
		return r, keepTTL
	}
	if ttl = k.hold(r, now, s.isOurs()).storeTTL(now, s.overlaps); ttl < maxFetch { // it would lapse before the next value is there
		return none, noValueTTL
	}
	return r, ttl
}

// withdraw takes an announcement back where cause shows that WeChat has made no other value.
func (k *Keeper) withdraw(ctx context.Context, s state, cause error) (state, error) {
	if s.announced == nil || s.replaced == nil || !outcomeKnown(cause) {
		return s, nil
	}
	r := *s.replaced
	r.Gen = s.announced.Gen + 1
	now := time.Now()
	current, ttl := k.hold(&r, now, s.isOurs()), keepTTL
	if r.Expires != s.announced.Expires {
		ttl = current.storeTTL(now, s.overlaps)
	}
	s, _, err := k.write(ctx, s, &r, ttl)
	if err != nil {
		return s, err
	}
	s.current = current
	return s, nil
}
