package renew

import (
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// Kept is a credential as one process holds it.
type Kept struct {
	wechat.Credential
	RenewAfter time.Time // from here on a read renews it in the background
	WaitAfter  time.Time // from here on a read waits for the result of Load
	ServeUntil time.Time // from here on it is never served
	RefreshAt  time.Time // when Refresh is due again, if that is later than RenewAfter

	record *record       // its record in the store; nil in a Copy without a Keeper
	ours   bool          // this process fetched it, so that Expires is by its own clock
	ahead  time.Duration // how much earlier this process renews it than others, since it is ours
	alone  bool          // Alone returned it, so that no other process ends it
}

// usable reports whether k may still be served to a reader whose value refused was refused.
func (k *Kept) usable(now time.Time, refused string) bool {
	return k != nil && k.Value != refused && before(now, k.ServeUntil)
}

// before reports whether now < t by both clocks: the monotonic one, which nobody can set back, and the wall clock, which
// also advances while a machine sleeps.
func before(now, t time.Time) bool { return now.Before(t) && now.UnixMilli() < t.UnixMilli() }

// storeTTL returns how long the store is to keep k: as long as WeChat certainly accepts it, by any clock.
func (k *Kept) storeTTL(now time.Time, overlaps bool) time.Duration {
	left := time.UnixMilli(k.record.Expires).Sub(now)
	if !k.ours {
		left -= k.record.skew(overlaps)
	}
	return max(left-k.record.slack(overlaps), time.Millisecond)
}

// mayHaveLapsed reports whether a store that held the record of k may have dropped it at its end.
func (k *Kept) mayHaveLapsed(now time.Time, overlaps bool) bool {
	r := k.record
	return time.UnixMilli(r.Expires).Sub(now) <= r.skew(overlaps)+r.slack(overlaps)
}

// capLife returns k with no more life than it certainly has while other processes may have WeChat end it.
func (k *Kept) capLife(now time.Time) *Kept {
	capped := *k
	if end := now.Add(k.record.overlap() * 3 / 5); end.Before(k.ServeUntil) {
		capped.Expires, capped.RenewAfter, capped.WaitAfter, capped.ServeUntil, capped.RefreshAt = end, end, end, end, end
	}
	return &capped
}

// renewNoSoonerThan returns k with a RenewAfter of t or later.
func (k *Kept) renewNoSoonerThan(t time.Time) *Kept {
	if k == nil || !k.RenewAfter.Before(t) {
		return k
	}
	later := *k
	later.RenewAfter, later.ahead = t, 0
	return &later
}

// hold returns the credential of r as this process holds it from now on. The clocks of processes differ: a record of
// another process has a later RenewAfter than there, and an earlier WaitAfter: see lead. Where WeChat issues no next value before
// the end of this one, its last moments are measured by the store's clock alone, by which the record lapses.
func (k *Keeper) hold(r *record, now time.Time, ours bool) *Kept {
	skew := r.skew(k.Overlaps)
	end := now.Add(time.UnixMilli(r.Expires).Sub(now)) // with now's monotonic reading
	h := &Kept{Credential: wechat.Credential{Value: r.Value, Expires: end}, WaitAfter: end.Add(-r.slack(k.Overlaps)), ServeUntil: end, record: r, ours: ours}
	if !ours {
		h.WaitAfter = end.Add(-skew)
		h.Expires = end.Add(-skew) // by the fastest clock
	}
	if r.Asked { // another process may have written it back to a store that lost it, for less than the life it had
		h.WaitAfter = end.Add(-2 * skew)
	}
	if r.Asked || !ours && !k.Overlaps {
		h.ServeUntil = end.Add(skew)
	}
	switch {
	case r.Asked:
		h.RenewAfter = now
	case k.Overlaps:
		h.RenewAfter = end.Add(-k.lead(r, ours))
		h.ahead = k.lead(r, ours) - k.lead(r, false)
		h.RefreshAt = h.RenewAfter.Add(time.Duration(float64(r.overlap()) / 30 * k.jitter()))
	default:
		h.RenewAfter = h.WaitAfter
		if !ours { // until then WeChat returns the same value, and after that the process that fetched it is first
			h.RefreshAt = end.Add(readEvery + time.Duration(float64(3*readEvery)*k.jitter()))
		}
	}
	return h
}
