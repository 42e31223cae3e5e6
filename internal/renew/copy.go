// Package renew keeps an expiring credential fresh: an access token or a ticket that all processes of a cluster share,
// and that the cluster fetches once.
//
// A [Copy] is the credential as one process holds it, and answers reads. A [Keeper] loads it: from the record in the
// shared store, or from WeChat, under a lease that lets one process fetch. A [Remote] loads it from another process.
//
// A refused value passes through the files in this order, each of which calls only those after it: copy.go, refresh.go,
// flight.go, keeper.go, fetch.go, ration.go, call.go, announce.go, publish.go, stored.go, decide.go, state.go, kept.go,
// backoff.go, record.go. The steps are in the files up to stored.go; they take a state and return the state after it.
// The decisions between them are pure functions of the state, in decide.go.
package renew

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

const (
	readEvery  = 2500 * time.Millisecond // a copy in use is compared with its source this often
	idleAfter  = 500 * time.Millisecond  // a copy unread for this long after that is compared before it is served …
	idleWait   = 250 * time.Millisecond  // … if the comparison takes no longer than this
	failureTTL = time.Second             // how long a failure is returned to further readers
)

// Copy is the copy of a credential in one process. Reading it takes no lock while it is good.
type Copy struct {
	// Load returns the credential to hold from now on. Its arguments are the held credential, nil at first, and the
	// refused value, "" for an ordinary read. It runs once at a time. It may return a credential and an error
	// together: the credential is served, and the error is reported.
	Load func(ctx context.Context, held *Kept, refused string) (*Kept, error)

	// OnError is called on each failed Load; a repeated failure at most once a minute. Default slog.Default, so that
	// no failure is lost.
	OnError func(context.Context, error)

	held         atomic.Pointer[snapshot]
	mu           sync.Mutex
	flight       *flight
	failed       failure // of the last flight, while nothing usable is held
	lastReported failure // until is the time from which the same error is reported again
}

// snapshot is a credential and the state of its source at the last read of it.
type snapshot struct {
	Kept
	readAfter  time.Time // when the source is read again
	waitAfter  int64     // WaitAfter in Unix seconds
	sourceDown bool      // the last read of the source failed
	past       [2]string // the values before this one
}

type failure struct {
	err   error
	until time.Time
}

// Warm returns the credential while it is good and its source need not be read, else nil.
func (c *Copy) Warm() *wechat.Credential {
	if h := c.held.Load(); h != nil {
		if now := time.Now(); now.Before(h.readAfter) && now.Unix() < h.waitAfter {
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
	return c.getCold(ctx)
}

// getCold returns the credential after a read of its source has begun.
func (c *Copy) getCold(ctx context.Context) (wechat.Credential, error) {
	for {
		f, h, err := c.start(ctx, "")
		if err != nil {
			return wechat.Credential{}, err
		}
		if h != nil && before(time.Now(), h.WaitAfter) {
			if f.idle && !h.sourceDown {
				f.waitBriefly(ctx)
			}
			if f.finished() && f.kept != nil {
				return f.kept.Credential, nil
			}
			if before(time.Now(), h.WaitAfter) { // it may have passed meanwhile
				return h.Credential, nil
			}
		}
		if err := f.wait(ctx); err != nil {
			return wechat.Credential{}, err
		}
		if f.kept != nil {
			return f.kept.Credential, nil
		}
		if f.refused == "" { // a flight for a refused value may fail where an ordinary one does not
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
		if h := c.held.Load(); h != nil && now.Before(h.readAfter) && h.usable(now, refused) && (refused == h.past[0] || refused == h.past[1]) {
			return h.Credential, nil
		}
		f, _, err := c.start(ctx, refused)
		if err != nil {
			return wechat.Credential{}, err
		}
		if err := f.wait(ctx); err != nil {
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

// Run renews the credential ahead of its end, read or not, until ctx ends, and returns the cause of that.
func (c *Copy) Run(ctx context.Context) error {
	for {
		wait := 2 * readEvery
		if _, err := c.Get(ctx); err == nil {
			if h := c.held.Load(); h != nil {
				wait = max(time.Until(h.RenewAfter), readEvery)
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
