package renew_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// The ways an upstream hands out credentials.
const (
	stableMode  = "stable"  // the same one until 5 minutes before its end; can be forced
	classicMode = "classic" // another one with each call, which ends the one before within 5 minutes
	workMode    = "work"    // the same one until its end
)

const (
	overlap   = 5 * time.Minute
	forceGap  = 30 * time.Second
	forcesDay = 20
)

// issued is a credential that the upstream made.
type issued struct {
	value   string
	made    time.Time
	expires time.Time
	ended   time.Time     // zero, or the instant from which on it is refused
	refused bool          // business calls refuse it, although it is handed out
	spoiled bool          // it was ended for no reason that the cluster could know
	delay   time.Duration // of the call that made it: by so much the cluster takes its end for earlier
}

func (i issued) dead(now time.Time) bool {
	return i.refused || !now.Before(i.expires) || !i.ended.IsZero() && !now.Before(i.ended)
}

// chain is the succession of credentials of one kind.
type chain struct{ current, previous *issued }

// trouble is how the upstream treats the calls made while it lasts.
type trouble struct {
	from, to time.Time
	odds     float64 // of one call being treated so
	how      string
}

// upstream is a fake WeChat. A call that reached it takes effect whether or not its caller still waits.
type upstream struct {
	mode string
	life time.Duration

	mu       sync.Mutex
	rng      *rand.Rand
	made     map[string]*issued
	classic  chain
	stable   chain
	troubles []trouble
	forced   []time.Time
	last     time.Time        // when a call took effect last
	worked   [3]chan struct{} // wakes the readers then
	calls    map[string]int   // calls that took effect, by endpoint
	unknown  int              // calls whose callers never heard the outcome
	log      func(format string, args ...any)
}

var (
	errCut  = errors.New("connection reset")
	errBusy = &wechat.Error{Op: "token", Code: wechat.ErrBusy}
)

// call makes one call: it takes effect some time from now, and is answered some time after that.
func (u *upstream) call(ctx context.Context, who, endpoint string) (wechat.Credential, error) {
	u.mu.Lock()
	there, back := 5*time.Millisecond+u.spread(100*time.Millisecond), 5*time.Millisecond+u.spread(100*time.Millisecond)
	how := ""
	for _, t := range u.troubles {
		if now := time.Now(); !now.Before(t.from) && now.Before(t.to) && u.rng.Float64() < t.odds {
			how = t.how
		}
	}
	switch how {
	case "late": // it reaches WeChat after its caller gave up
		there = 8*time.Second + u.spread(50*time.Second)
	case "slow":
		there, back = u.spread(6*time.Second), u.spread(6*time.Second)
	}
	u.mu.Unlock()

	type answer struct {
		wechat.Credential
		err error
	}
	answered := make(chan answer, 1)
	start := time.Now()
	time.AfterFunc(there, func() {
		var a answer
		switch how {
		case "busy":
			a.err = errBusy
		case "lost", "down":
			a.err = errCut
		default:
			a.Credential = u.work(who, endpoint, start)
			if how == "reply lost" {
				a.err = errCut
			}
		}
		if how == "hang" {
			return
		}
		time.AfterFunc(back, func() { answered <- a })
	})
	select {
	case a := <-answered:
		if a.err == errCut {
			u.note()
		}
		return a.Credential, a.err
	case <-ctx.Done():
		u.note()
		return wechat.Credential{}, context.Cause(ctx)
	}
}

func (u *upstream) note() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unknown++
}

func (u *upstream) spread(d time.Duration) time.Duration {
	return time.Duration(u.rng.Int64N(int64(d)))
}

// work lets a call take effect.
func (u *upstream) work(who, endpoint string, start time.Time) wechat.Credential {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	u.calls[endpoint]++
	u.last = now
	for _, worked := range u.worked {
		select {
		case worked <- struct{}{}:
		default:
		}
	}
	var i *issued
	switch endpoint {
	case "token":
		if p := u.classic.previous; p != nil {
			p.end(now)
		}
		if c := u.classic.current; c != nil {
			c.end(now.Add(overlap))
		}
		i = u.issue(&u.classic, "c", now)
	case "stable_token":
		if c := u.stable.current; c != nil && !c.ended.IsZero() || c == nil || c.expires.Sub(now) < overlap {
			u.issue(&u.stable, "s", now)
		}
		i = u.stable.current
	case "force":
		if n := len(u.forced); n == 0 || now.Sub(u.forced[n-1]) >= forceGap {
			u.forced = append(u.forced, now)
			if c := u.stable.current; c != nil {
				c.end(now)
			}
			u.issue(&u.stable, "f", now)
		} else {
			u.forced = append(u.forced, now)
		}
		i = u.stable.current
	case "gettoken":
		if c := u.stable.current; c == nil || !c.ended.IsZero() || !now.Before(c.expires) {
			u.issue(&u.stable, "w", now)
		}
		i = u.stable.current
	}
	u.log("%s: %s answers %s", who, endpoint, i.value)
	left := i.expires.Sub(now).Truncate(time.Second)
	if i.made.Equal(now) {
		i.delay = now.Sub(start)
	}
	if left < 2*time.Second+i.delay { // no cause of its own: WeChat answers lives in whole seconds
		u.calls[endpoint]--
		left = max(left, time.Second)
	}
	return wechat.Credential{Value: i.value, Expires: start.Add(left)}
}

func (u *upstream) issue(ch *chain, kind string, now time.Time) *issued {
	i := &issued{value: fmt.Sprintf("%s%d", kind, len(u.made)+1), made: now, expires: now.Add(u.life)}
	u.made[i.value] = i
	ch.previous, ch.current = ch.current, i
	return i
}

func (i *issued) end(at time.Time) {
	if i.ended.IsZero() || at.Before(i.ended) {
		i.ended = at
	}
}

// find returns a copy of what became of a credential.
func (u *upstream) find(value string) issued {
	u.mu.Lock()
	defer u.mu.Unlock()
	if i := u.made[value]; i != nil {
		return *i
	}
	return issued{}
}

// lastWork returns when a call took effect last.
func (u *upstream) lastWork() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last
}

// spoil ends the current credential, or has business calls refuse it while it is still handed out.
func (u *upstream) spoil() {
	u.mu.Lock()
	defer u.mu.Unlock()
	ch := &u.stable
	if u.mode == classicMode && u.classic.current != nil {
		ch = &u.classic
	}
	if c := ch.current; c != nil {
		if u.mode == stableMode && u.rng.Float64() < 0.5 {
			c.refused = true
		} else {
			c.end(time.Now())
		}
		c.spoiled = true
		u.log("WeChat: spoils %s", c.value)
	}
}

// troubled reports whether calls may have failed between two instants.
func (u *upstream) troubled(from, to time.Time) bool {
	for _, t := range u.troubles {
		if from.Before(t.to) && t.from.Before(to) {
			return true
		}
	}
	return false
}
