package outbox

import "time"

// lane is the items of one target. While the target fails, one item at a time tries whether it still does, and the
// others wait: so a dead target costs as little with a million items as with one.
type lane struct {
	known   map[string]*waiting // ready, resting or running
	ready   []string
	wake    time.Time // when the first of those resting is due
	resting int
	running int

	failures int       // in a row
	last     error     // the last of them
	failed   time.Time // when they were counted last
	next     time.Time // no delivery before

	more bool // the store has more than ready holds
	seen int  // the last scan that found an item of it
}

// waiting is an item between two tries.
type waiting struct {
	tries int
	until time.Time // zero when it is not resting
}

// rouse makes those ready that have rested.
func (l *lane) rouse(now time.Time) {
	if l.resting == 0 || now.Before(l.wake) {
		return
	}
	l.wake = now.Add(waitMost)
	for key, w := range l.known {
		switch {
		case w.until.IsZero():
		case !now.Before(w.until):
			w.until = time.Time{}
			l.resting--
			l.ready = append(l.ready, key)
		case w.until.Before(l.wake):
			l.wake = w.until
		}
	}
}

// rest puts a key off. Beyond a bound it is forgotten instead, and found by a scan.
func (l *lane) rest(key string, until time.Time) {
	if l.resting >= maxRest {
		delete(l.known, key)
		return
	}
	if l.resting++; l.resting == 1 || until.Before(l.wake) {
		l.wake = until
	}
	l.known[key].until = until
}

// pause is how long to wait after the nth failure.
func pause(n int, chance float64) time.Duration {
	d := waitMost
	if n < 11 {
		d = min(waitFirst<<(n-1), waitMost)
	}
	return d - time.Duration(chance*float64(d)/4)
}
