package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/internal/peer"
)

// maxRate is the greatest rate of a key, in requests a second. A greater one limits nothing.
const maxRate = 1_000_000

// refusedKey is the reason why a key is refused with another status than 401.
type refusedKey struct {
	status int
	reason string
	after  int // of Retry-After, in seconds; 0 for none
}

func (e *refusedKey) Error() string { return e.reason }

var (
	errWrongAddress = &refusedKey{http.StatusForbidden, "this key must not be used from this address: see its addresses", 0}
	errKeysAway     = &refusedKey{http.StatusServiceUnavailable, errRecordsAway.Error(), 2}
	errManyUnknown  = &refusedKey{http.StatusServiceUnavailable, "too many unknown caller keys: try again", 1}
)

// admit returns why a request with the key of c is refused, or nil.
func (c *caller) admit(r *http.Request) error {
	if !c.expiresAt.IsZero() && !time.Now().Before(c.expiresAt) {
		return errExpiredKey
	}
	if len(c.addresses) > 0 && !containsAddress(c.addresses, peer.Parse(r.RemoteAddr)) {
		return errWrongAddress
	}
	if c.rate != nil {
		if wait := c.rate.take(); wait > 0 {
			seconds := int((wait + time.Second - 1) / time.Second)
			return &refusedKey{http.StatusTooManyRequests, "too many requests with this key: see its rate", seconds}
		}
	}
	return nil
}

// rate limits requests to a number a second, and to twice as many at once. It takes no lock.
type rate struct {
	interval time.Duration // between two requests at the rate
	burst    time.Duration // by which requests may be ahead of the rate
	begun    time.Time
	next     atomic.Int64 // when the next request is due at the rate: nanoseconds since begun
}

func newRate(perSecond int) *rate {
	interval := time.Second / time.Duration(perSecond)
	return &rate{interval: interval, burst: time.Duration(2*perSecond-1) * interval, begun: time.Now()}
}

// take returns 0 if a request may be served now, and otherwise for how long it has to wait.
func (l *rate) take() (wait time.Duration) {
	now := int64(time.Since(l.begun))
	for {
		next := l.next.Load()
		due := max(next, now)
		if wait := time.Duration(due-now) - l.burst; wait > 0 {
			return wait
		}
		if l.next.CompareAndSwap(next, due+int64(l.interval)) {
			return 0
		}
	}
}

// parseAddresses returns the ranges of addresses in a key's settings.
func parseAddresses(texts []string) (list []netip.Prefix, err error) {
	for i, s := range texts {
		p, err := netip.ParsePrefix(s)
		if !strings.Contains(s, "/") {
			var one netip.Addr
			one, err = netip.ParseAddr(s)
			p = netip.PrefixFrom(one, one.BitLen())
		}
		if err != nil || p.Addr().Zone() != "" {
			return nil, fmt.Errorf("addresses[%d]: want an address or a range of addresses such as 10.0.0.0/8", i)
		}
		if p.Addr().Is4In6() { // no address of a client is written so
			return nil, fmt.Errorf("addresses[%d]: is IPv4 written as IPv6: want one such as 10.0.0.0/8", i)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}
