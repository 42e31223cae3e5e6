// Package renew keeps an expiring credential fresh: an access token or a ticket, of which a whole cluster must hold
// the same one, fetch it once, and never hand out a dead one.
//
// A [Copy] is what one process holds, and answers reads from. A [Keeper] is what stands behind it: the record in the
// shared store, the lease that lets one process fetch, and the call to WeChat.
package old

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

const (
	lookEvery = 2500 * time.Millisecond // a copy in use is compared with its source this often
	pause     = 500 * time.Millisecond  // a copy unread for so long after that is compared before it is served …
	patience  = 250 * time.Millisecond  // … if that takes no longer than this
	retry     = time.Second             // for so long a failure answers further readers too
	flightMax = 30 * time.Second
)

// Kept is a credential as one process holds it.
type Kept struct {
	wechat.Credential
	Due  time.Time // from here on a read renews it behind itself
	Late time.Time // from here on a read waits for what Load finds
	End  time.Time // from here on it is never served

	record *record // as it is to stand in the store; nil in a Copy with no Keeper
	ours   bool    // this process fetched it, so that Expires is by its own clock
	alone  bool    // it is of Alone, so that no other process ends it
}

// usable tells whether k may still be handed out to someone who was refused refused.
func (k *Kept) usable(now time.Time, refused string) bool {
	return k != nil && k.Value != refused && before(now, k.End)
}

// before is now < t by both clocks: the monotonic one, which no operator can set back, and the wall clock, which goes
// on while a machine sleeps.
func before(now, t time.Time) bool { return now.Before(t) && now.UnixMilli() < t.UnixMilli() }

// Copy is one process's warm copy of a credential. Reading it takes no lock while it is good.
type Copy struct {
	// Load finds the credential to hold from now on. It is told what is held (nil at first) and what was refused
	// ("" for an ordinary read), runs once at a time, and may return a credential and an error together: the one
	// is served, the other reported.
	Load   func(ctx context.Context, held *Kept, refused string) (*Kept, error)
	Report func(context.Context, error) // told of each failed Load; default slog.Default, as nobody else may hear of it

	held   atomic.Pointer[holding]
	mu     sync.Mutex
	flight *flight
	failed failure // of the last flight, while nothing usable is held
	told   failure // what was reported last, and until when it is not reported again
}

// holding is a Kept with the time of the next look at its source.
type holding struct {
	Kept
	look  time.Time
	until int64     // Late in Unix seconds
	sick  bool      // the source did not answer the last look
	past  [2]string // the values before this one
}

type failure struct {
	err   error
	until time.Time
}

// flight is one Load under way, and its result once done is closed.
type flight struct {
	refused string
	rested  bool // nobody had read the copy for a while
	done    chan struct{}
	kept    *Kept
	err     error
}

// Warm returns the credential while it is good and need not be looked at, else nil.
func (c *Copy) Warm() *wechat.Credential {
	if h := c.held.Load(); h != nil {
		if now := time.Now(); now.Before(h.look) && now.Unix() < h.until {
			return &h.Credential
		}
	}
	return nil
}

// Get returns the credential.
func (c *Copy) Get(ctx context.Context) (wechat.Credential, error) {
	if w := c.Warm(); w != nil {
		return *w, nil
	}
	return c.get(ctx)
}

func (c *Copy) get(ctx context.Context) (wechat.Credential, error) {
	for {
		f, h, err := c.start(ctx, "")
		if err != nil {
			return wechat.Credential{}, err
		}
		if h != nil && before(time.Now(), h.Late) {
			if f.rested && !h.sick {
				f.linger(ctx)
			}
			if f.finished() && f.kept != nil {
				return f.kept.Credential, nil
			}
			if before(time.Now(), h.Late) { // it may have ended meanwhile
				return h.Credential, nil
			}
		}
		if err := f.land(ctx); err != nil {
			return wechat.Credential{}, err
		}
		if f.kept != nil {
			return f.kept.Credential, nil
		}
		if f.refused == "" { // else it looked for another credential than would do here
			return wechat.Credential{}, f.err
		}
	}
}

// Renew returns a credential other than refused.
func (c *Copy) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	if refused == "" {
		return c.Get(ctx)
	}
	for {
		now := time.Now()
		if h := c.held.Load(); h != nil && now.Before(h.look) && h.usable(now, refused) && (refused == h.past[0] || refused == h.past[1]) {
			return h.Credential, nil
		}
		f, _, err := c.start(ctx, refused)
		if err != nil {
			return wechat.Credential{}, err
		}
		if err := f.land(ctx); err != nil {
			return wechat.Credential{}, err
		}
		if f.refused != refused {
			continue
		}
		if f.kept != nil {
			return f.kept.Credential, nil
		}
		return wechat.Credential{}, f.err
	}
}

// Keep renews the credential ahead of its end, read or not, until ctx ends, and returns why it ended.
func (c *Copy) Keep(ctx context.Context) error {
	for {
		wait := 2 * lookEvery
		if _, err := c.Get(ctx); err == nil {
			if h := c.held.Load(); h != nil {
				wait = max(time.Until(h.Due), lookEvery)
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// start joins the flight under way, or begins one. It tells what was held then.
func (c *Copy) start(ctx context.Context, refused string) (*flight, *holding, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, now := c.held.Load(), time.Now()
	if c.flight != nil {
		return c.flight, h, nil
	}
	if refused == "" && now.Before(c.failed.until) && (h == nil || !h.usable(now, "")) {
		return nil, nil, c.failed.err
	}
	f := &flight{refused: refused, rested: h != nil && now.Sub(h.look) > pause, done: make(chan struct{})}
	c.flight = f
	go c.fly(context.WithoutCancel(ctx), f, h)
	return f, h, nil
}

func (c *Copy) fly(ctx context.Context, f *flight, h *holding) {
	ctx, cancel := context.WithTimeout(ctx, flightMax)
	defer cancel()
	var held *Kept
	if h != nil {
		held = &h.Kept
	}
	f.kept, f.err = c.Load(ctx, held, f.refused)
	c.mu.Lock()
	now := time.Now()
	switch {
	case f.kept != nil:
		c.held.Store(h.next(f.kept, now, f.err != nil && !isRemembered(f.err)))
	case f.refused == "":
		c.held.Store(nil)
		c.failed = failure{f.err, now.Add(retry)}
	}
	c.flight = nil
	c.mu.Unlock()
	close(f.done)
	if f.err != nil {
		c.report(ctx, f.err)
	}
}

// next is the holding of k after h.
func (h *holding) next(k *Kept, now time.Time, sick bool) *holding {
	n := &holding{Kept: *k, look: now.Add(lookEvery), until: k.Late.Unix(), sick: sick}
	switch {
	case h == nil:
	case h.Value == k.Value:
		n.past = h.past
	default:
		n.past = [2]string{h.Value, h.past[0]}
	}
	return n
}

// report tells of a failure, of one that goes on once a minute.
func (c *Copy) report(ctx context.Context, err error) {
	c.mu.Lock()
	now := time.Now()
	again := isRemembered(err) || c.told.err != nil && c.told.err.Error() == err.Error() && now.Before(c.told.until)
	if !again {
		c.told = failure{err, now.Add(time.Minute)}
	}
	c.mu.Unlock()
	if again {
		return
	}
	if c.Report != nil {
		c.Report(ctx, err)
		return
	}
	slog.WarnContext(ctx, "wetoken: keeping a credential", "error", err)
}

// land waits for the flight to end, or the reader to leave.
func (f *flight) land(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// linger waits for the flight for as long as a reader with a good copy may be held up.
func (f *flight) linger(ctx context.Context) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (f *flight) finished() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
