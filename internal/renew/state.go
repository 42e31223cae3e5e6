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
	last    *record   // the valid record that was last read or written, which need not be decoded again

	gen      int64     // of the record that the store held last
	genSince time.Time // when this process first read or wrote it
	noValue  bool      // it had no value

	unanswered time.Time // until when a fetch of this process that was not answered may reach WeChat
	callLost   bool      // the store lost its record of that fetch, so that others may not know of it
}

// withRecord returns m after r was read or written.
func (m memory) withRecord(r *record, now time.Time) memory {
	if r.Gen != m.gen {
		m.gen, m.genSince, m.noValue = r.Gen, now, r.Value == ""
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

// isLostByStore reports whether the store lacks the current value, as after it lost everything.
func (s state) isLostByStore(now time.Time) bool {
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

// settleLeft returns how long a fetch that ends the last value but one has to wait until no other process serves that.
// A record that is old by any clock needs no wait, even when this process has just read it for the first time.
// A record that the store lost since counts: other processes may not have read it.
func (s state) settleLeft(now time.Time) time.Duration {
	if !s.supersedes || now.Sub(time.UnixMilli(s.gen)) > settleTime+maxClockSkew {
		return 0
	}
	return s.genSince.Add(settleTime).Sub(now)
}

// mayLackLatest reports whether WeChat may have made a value after the known one, which the next fetch would then end at
// once, while other processes serve it.
func (s state) mayLackLatest(now time.Time) bool {
	if s.wasLostUnread(now) {
		return true
	}
	known := s.stored
	if known == nil && s.current != nil && !s.current.mayHaveLapsed(now, s.overlaps) { // the store lost it
		known = s.current.record
	}
	switch {
	case known == nil: // the store may have lost the value of a fetch of another process
		return s.stored == nil && s.noValue && now.Sub(s.genSince) < noValueTTL
	case known.Value == "":
		return false
	case known.Asked || known.Brief:
		return true
	}
	return s.current != nil && s.current.Value != known.Value
}

// wasLostUnread reports whether the store lost its last record before all processes in use can have read it, so that they
// may serve the value before.
func (s state) wasLostUnread(now time.Time) bool {
	return s.stored == nil && s.seen.Sub(s.genSince) < settleTime && now.Sub(s.genSince) < 2*settleTime
}

// crossed reports whether another process may have fetched, or begun to, at the time at which r was fetched: the store
// holds another value, of generation gen or later, or the value of r as Brief. No process can know which value is later.
func (s state) crossed(r *record, gen int64) bool {
	return s.stored != nil && s.stored.Gen >= gen && (s.stored.Value != r.Value || s.stored.Brief && !r.Brief)
}

// firstCrossing returns the least generation of a record that a fetch may have made since this one was announced, by any
// clock. Another process may write back the value of before, with its generation of then.
func (s state) firstCrossing() int64 {
	if s.stored != nil && s.replaced != nil && s.stored.Value == s.replaced.Value {
		return s.announced.Gen
	}
	return s.announced.Gen - maxClockSkew.Milliseconds()
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
