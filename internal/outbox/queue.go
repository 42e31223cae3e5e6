package outbox

import "time"

// targetQueue has the items of one app for one target. While the target fails, only one item at a time is tried and the
// others wait, so that a target that is down costs the same with a million items as with one.
type targetQueue struct {
	app     string            // once an item was read
	entries map[string]*entry // by key: ready, delayed or running
	ready   []string
	delayed int
	wakeAt  time.Time // when the first delayed entry becomes ready
	running int

	failures  int // in a row
	lastError error
	failedAt  time.Time // of the last failure that was counted
	retryAt   time.Time // no delivery starts before

	overflowed bool // the store has more items than ready
	lastScan   int  // the last scan that found an item of this queue
}

// Replied returns an error of Send, with the same text, after which the other items of the target do not wait for the failed one:
// the target replied, and did not accept this item. While it fails, one item a second is tried.
func Replied(err error) error { return replied{err} }

type replied struct{ error }

func (r replied) Unwrap() error { return r.error }

// entry is the state of one item.
type entry struct {
	tries        int
	delayedUntil time.Time // zero when it is not delayed
}

// wakeDelayed makes the entries ready whose delay is over.
func (q *targetQueue) wakeDelayed(now time.Time) {
	if q.delayed == 0 || now.Before(q.wakeAt) {
		return
	}
	q.wakeAt = now.Add(maxRetryDelay)
	for key, e := range q.entries {
		switch {
		case e.delayedUntil.IsZero():
		case !now.Before(e.delayedUntil):
			e.delayedUntil = time.Time{}
			q.delayed--
			q.ready = append(q.ready, key)
		case e.delayedUntil.Before(q.wakeAt):
			q.wakeAt = e.delayedUntil
		}
	}
}

// delay makes a key wait until a time. Beyond maxDelayedKeys the key is dropped instead, and a later scan finds it.
func (q *targetQueue) delay(key string, until time.Time) {
	if q.delayed >= maxDelayedKeys {
		delete(q.entries, key)
		return
	}
	if q.delayed++; q.delayed == 1 || until.Before(q.wakeAt) {
		q.wakeAt = until
	}
	q.entries[key].delayedUntil = until
}

// retryDelay returns how long to wait after the nth failure. A random of up to 1 takes a quarter off.
func retryDelay(n int, random float64) time.Duration {
	d := maxRetryDelay
	if n < 11 {
		d = min(firstRetryDelay<<(n-1), maxRetryDelay)
	}
	return d - time.Duration(random*float64(d)/4)
}
