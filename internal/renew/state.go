package renew

import (
	"time"

	"github.com/wetoken/wetoken/store"
)

// state is the knowledge of one load. A step takes it by value, and returns the state that it leads to. Values that it
// points to do not change.
type state struct {
	mode
	memory
	refused string
	stored  *record   // the record in the store; nil when there is none
	current *Kept     // the best known value; nil when there is none
	fetched string    // the value in the last answer to Fetch, Force or Alone
	leased  time.Time // when the lease was last asked for
	warning error     // a failure that changed nothing

	keepsLease bool         // a lease was taken that is not released, so that it lapses
	call       *store.Lease // held until the outcome of a fetch is known: see call.go

	replaced, announced *record // the record that was current when announce began, and the one that announce wrote
}

// mode is how WeChat issues a credential: see the fields of Keeper.
type mode struct {
	overlaps   bool
	supersedes bool
	forces     bool
}

// memory is the knowledge that a process keeps from one load to the next.
type memory struct {
	backoff backoff   // of all calls to WeChat
	denied  backoff   // of renewals of one refused value
	seen    time.Time // when the store last held a record, or this process last did without the store

	gen      int64     // of the record in the store
	genSince time.Time // when this process first read or wrote it

	unanswered time.Time // until when a fetch of this process that was not answered may reach WeChat
	callLost   bool      // the store lost its record of that fetch, so that others may not know of it
}

// withGen returns m after a record of generation gen was read or written.
func (m memory) withGen(gen int64, now time.Time) memory {
	if gen != m.gen {
		m.gen, m.genSince = gen, now
	}
	return m
}

// isGood reports whether the current value is served without waiting for another.
func (s state) isGood(now time.Time) bool {
	return s.current.usable(now, s.refused) && before(now, s.current.WaitAfter)
}

// isFresh reports whether the current value need not be renewed.
func (s state) isFresh(now time.Time) bool {
	return s.isGood(now) && before(now, s.current.RenewAfter)
}

// isLost reports whether the store lacks the current value, as after it lost everything.
func (s state) isLost(now time.Time) bool {
	return s.isGood(now) && (s.stored == nil || s.stored.Gen < s.current.record.Gen)
}

// mustWait reports whether no new value can be fetched before the stored one expires: because WeChat answers the same one
// until then, or because a fetch whose outcome is not known is about to end it.
func (s state) mustWait(now time.Time) bool {
	if s.stored == nil || s.stored.Value == "" || s.stored.Value == s.refused {
		return false
	}
	return !s.overlaps && s.current.usable(now, s.refused) || s.supersedes && s.stored.Asked
}

// cachedError returns the error that this load returns in place of a call to WeChat, or nil.
func (s state) cachedError(now time.Time) error {
	if err := s.backoff.cachedError(now); err != nil {
		return err
	}
	if s.refused != "" && s.refused == s.denied.refused {
		return s.denied.cachedError(now)
	}
	return nil
}

// settleTime is how long other processes may take to read a change in the store while they are in use.
const settleTime = 3 * time.Second

// settling returns how long a fetch that ends the last value but one has to wait until no other process serves that.
// A record that is old by any clock needs no wait, even when this process has just read it for the first time.
func (s state) settling(now time.Time) time.Duration {
	if !s.supersedes || s.stored == nil || s.stored.Gen != s.gen {
		return 0
	}
	if now.Sub(time.UnixMilli(s.stored.Gen)) > settleTime+maxClockSkew {
		return 0
	}
	return s.genSince.Add(settleTime).Sub(now)
}

// crossed reports whether another process may have fetched, or begun to, at the time at which r was fetched: the store
// holds another value, of generation gen or later, or the value of r as Brief. No process can know which value is later.
func (s state) crossed(r *record, gen int64) bool {
	return s.stored != nil && s.stored.Gen >= gen && (s.stored.Value != r.Value || s.stored.Brief && !r.Brief)
}

// isOurs reports whether this process fetched the current value.
func (s state) isOurs() bool { return s.current != nil && s.current.ours }

// nextGen returns a generation later than all known ones, by more than a fetch may add to its announcement.
func (s state) nextGen(now time.Time) int64 {
	gen := now.UnixMilli()
	if s.stored != nil {
		gen = max(gen, s.stored.Gen+2)
	}
	if s.current != nil {
		gen = max(gen, s.current.record.Gen+2)
	}
	return gen
}
