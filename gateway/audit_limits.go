package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/wetoken/wetoken/internal/logline"
	"github.com/wetoken/wetoken/internal/peer"
	"github.com/wetoken/wetoken/pay"
)

const (
	maxFailedKeys = 10    // entries a minute and process about keys that are refused
	maxRepeated   = 60    // entries a minute and process of one caller, app and event, other than those of money that has moved
	maxAuditKinds = 65536 // callers, apps and events that are counted in a minute
)

// mayRepeat reports whether a caller may cause many entries like e in vain: it is not about money that has moved, or may have, and
// not about a change by an administrator.
func mayRepeat(e AuditEntry) bool {
	switch e.Event {
	case paymentCall:
		return e.Details["result"] != "ok" && e.Details["result"] != string(pay.ErrUnknown)
	case "registration", "caller key", "outbox":
		return false
	}
	return true
}

// auditKind is what limits entries of a caller that repeats a call.
type auditKind struct{ event, caller, app string }

// repeats counts the entries of each kind in this minute.
type repeats struct {
	mu     sync.Mutex
	minute int64
	counts map[auditKind]int
	missed map[auditKind]int // of the last minute
}

// allow reports whether an entry may be recorded, and how many were not in the minute before.
func (r *repeats) allow(k auditKind) (now bool, more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := time.Now().Unix() / 60; minute != r.minute || r.counts == nil {
		r.missed = make(map[auditKind]int)
		for k, n := range r.counts {
			if n > maxRepeated {
				r.missed[k] = n - maxRepeated
			}
		}
		r.minute, r.counts = minute, make(map[auditKind]int)
	}
	if _, known := r.counts[k]; !known && len(r.counts) >= maxAuditKinds {
		return false, 0
	}
	if r.counts[k]++; r.counts[k] > maxRepeated {
		return false, 0
	}
	more = r.missed[k]
	delete(r.missed, k)
	return true, more
}

// auditRefusal audits a refused call of an administrator, once a minute for each caller and reason.
func (g *Gateway) auditRefusal(r *http.Request, c *caller, app, reason string) {
	if now, more := g.refusedCalls.Allow(refusedCall{c.id, app, reason}); now {
		action := fmt.Sprintf("%s %.*s", shortMethod(r), maxLogged, r.URL.Path)
		g.audit(r.Context(), "refused", "caller", c.id, "app", app, "action", action, "reason", reason, "from", r.RemoteAddr, "repeats", more)
	}
}

// failedKey is a kind of failed keys, for the limit of their entries.
type failedKey struct {
	from   netip.Prefix
	reason string
	caller string
}

// noteFailedKey audits a caller key that was refused: once a minute for each network and reason, and at most maxFailedKeys in all.
// It does not wait for the records, since anybody may cause it.
func (g *Gateway) noteFailedKey(r *http.Request, key string, c *caller, err error) {
	kind := failedKey{from: peer.Network(peer.Parse(r.RemoteAddr))}
	switch {
	case errors.Is(err, errUnknownKey):
		kind.reason = "unknown key"
	case errors.Is(err, errExpiredKey):
		kind.reason = "expired key"
	case errors.Is(err, errWrongAddress):
		kind.reason = "wrong address"
	default:
		return
	}
	if c != nil {
		kind.caller = c.id
	}
	now, more := g.failedKeys.Allow(kind)
	if !now || !g.failures.allow() {
		return
	}
	args := []any{"action", fmt.Sprintf("%s %.*s", shortMethod(r), maxLogged, r.URL.Path)}
	if c != nil {
		args = append(args, "caller", c.id)
	} else if id, ok := keyID(key); ok {
		args = append(args, "key_id", id)
	}
	args = append(args, "reason", kind.reason, "from", r.RemoteAddr, "repeats", more)
	logline.Audit(r.Context(), g.log, "failed key", args...)
	g.record(r.Context(), newAuditEntry("failed key", args))
}

// perMinute counts up to maxFailedKeys in a minute.
type perMinute struct {
	mu     sync.Mutex
	minute int64
	n      int
}

func (p *perMinute) allow() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if minute := time.Now().Unix() / 60; minute != p.minute {
		p.minute, p.n = minute, 0
	}
	p.n++
	return p.n <= maxFailedKeys
}
