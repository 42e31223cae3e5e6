package renew

import "time"

// stage is a point of a load at which the next step is decided.
type stage string

const (
	storeRead   stage = "store read"   // the store was read
	storeSynced stage = "store synced" // the current value was written back or dropped, if need be
	leaseBusy   stage = "lease busy"   // another process holds the lease
	leaseHeld   stage = "lease held"   // this process took the lease, and read the store again
	fetchDone   stage = "fetch done"   // WeChat answered Fetch
	lastDone    stage = "last done"    // WeChat answered Force or Alone, after which nothing is left to try
	storeFailed stage = "store failed" // the store could not be read or written
)

// action is the next step of a load.
type action string

const (
	serveCurrent  action = "serve current"  // return the current value
	returnError   action = "return error"   // return an error without a call to WeChat
	waitFirst     action = "wait first"     // wait before the next step
	dropCurrent   action = "drop current"   // forget the current value, which another process may have ended
	writeBack     action = "write back"     // write the current value to the store, which lost it
	takeLease     action = "take lease"     // take the lease on calls to WeChat
	announceFetch action = "announce fetch" // write that a fetch is about to end the current value, then call Fetch
	callFetch     action = "call fetch"     // call Fetch
	callForce     action = "call force"     // announce a forced refresh, then call Force
	callAlone     action = "call alone"     // call Alone
	publishValue  action = "publish value"  // write the fetched value to the store and serve it
)

// decision is an action, and its error or wait.
type decision struct {
	action action
	err    error         // of returnError
	wait   time.Duration // of waitFirst; 0 where the step itself knows
}

// decide returns the next step of a load in state s that has reached stage at. It has no effects.
func (s state) decide(at stage, now time.Time) decision {
	switch at {
	case storeRead:
		if s.isLostByStore(now) {
			return decision{action: s.decideRestore(now)}
		}
		return s.decideRenewal(now)
	case storeSynced:
		return s.decideRenewal(now)
	case leaseBusy:
		if s.isGood(now) { // a reader does not wait for the process that renews a good value
			return decision{action: serveCurrent}
		}
		return decision{action: waitFirst}
	case leaseHeld:
		switch {
		case s.supersedes && s.stored == nil && s.isGood(now): // the store lost everything since it was read
			return decision{action: s.decideRestore(now)}
		case s.isFresh(now) || s.mustWait(now):
			return decision{action: serveCurrent}
		case s.supersedes:
			return decision{action: announceFetch}
		}
		return decision{action: callFetch}
	case fetchDone, lastDone:
		switch {
		case s.refused == "" || s.fetched != s.refused:
			return decision{action: publishValue}
		case at == fetchDone && s.forces:
			return decision{action: callForce}
		}
		return decision{action: returnError, err: ErrStillRefused}
	default: // storeFailed
		if s.isFresh(now) {
			return decision{action: serveCurrent}
		}
		if err := s.cachedError(now); err != nil {
			return decision{action: returnError, err: err}
		}
		return decision{action: callAlone}
	}
}

// decideRestore returns the step for a value that the store lost. Where fetches end values, another process may have fetched
// since the store was last seen to hold a record, and the value is not trusted for longer than WeChat then accepts it.
func (s state) decideRestore(now time.Time) action {
	if s.supersedes && s.stored == nil && !s.current.alone && now.Sub(s.seen) > s.current.record.overlap()*3/5 {
		return dropCurrent
	}
	return writeBack
}

// decideRenewal returns the step towards the next value, if one is needed.
func (s state) decideRenewal(now time.Time) decision {
	if s.isFresh(now) || s.mustWait(now) {
		return decision{action: serveCurrent}
	}
	if err := s.cachedError(now); err != nil {
		return decision{action: returnError, err: err}
	}
	if d := s.settleLeft(now); d > 0 {
		return decision{action: waitFirst, wait: d}
	}
	return decision{action: takeLease}
}
