package oauth

import (
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/wetoken/wetoken/internal/peer"
)

// Limits of a minute, from one full minute to the next, in each process.
const (
	addressLimit = 20_000   // requests of one address: thousands of users share that of a company or a carrier
	browserLimit = 20       // logins of one browser, which a site that sends its visitors in circles reaches
	storedLimit  = 64 << 20 // bytes of states, which strangers begin and which live 20 minutes
)

// limiter counts what strangers ask for. Its memory is bounded.
type limiter struct {
	mu       sync.Mutex
	minute   int64
	counts   map[uint64]int
	browsers map[uint64]int
	stored   int
	told     bool // that stored is too much

	seed maphash.Seed
	warn sync.Once
}

const (
	maxCounts = 100_000 // counts of one key each
	maxShared = 1024    // counts that further keys share
)

// begin locks l and starts the counts anew in a new minute.
func (l *limiter) begin() (unlock func()) {
	l.mu.Lock()
	if minute := time.Now().Unix() / 60; l.counts == nil || l.minute != minute {
		if l.counts == nil {
			l.seed = maphash.MakeSeed()
		}
		l.minute, l.counts, l.browsers, l.stored, l.told = minute, make(map[uint64]int), make(map[uint64]int), 0, false
	}
	return l.mu.Unlock
}

// allow counts a request of route by its address, as cost, unless the address may be many clients.
func (l *limiter) allow(r *http.Request, route string, limit, cost int) bool {
	limited, known := peer.Limited(r)
	from := peer.Parse(r.RemoteAddr)
	if !limited {
		if !known && from.IsValid() {
			l.warn.Do(func() {
				slog.Warn("oauth: limits by address are off: RemoteAddr is private, so that a proxy may be between", "from", from.String())
			})
		}
		return true
	}
	defer l.begin()()
	key := maphash.String(l.seed, route+" "+peer.Network(from).String())
	if _, seen := l.counts[key]; !seen && len(l.counts) >= maxCounts {
		key %= maxShared
	}
	if l.counts[key] >= limit {
		return false
	}
	l.counts[key] += cost
	return true
}

// allowBrowser counts a login of the browser with a cookie. Browsers beyond maxCounts are not counted: anybody can send
// cookies, and must not have others refused by that.
func (l *limiter) allowBrowser(cookie string) bool {
	defer l.begin()()
	key := maphash.String(l.seed, cookie)
	n, seen := l.browsers[key]
	if n >= browserLimit {
		return false
	}
	if seen || len(l.browsers) < maxCounts {
		l.browsers[key]++
	}
	return true
}

// allowStored counts bytes that a stranger has stored.
func (l *limiter) allowStored(size int) bool {
	defer l.begin()()
	if l.stored+size > storedLimit {
		if !l.told {
			l.told = true
			slog.Error("oauth: logins are refused until the next minute, as too many have begun in this one")
		}
		return false
	}
	l.stored += size
	return true
}

// admitStart decides whether a login that ends in s may begin, and answers where it may not.
func (l *Login) admitStart(w http.ResponseWriter, r *http.Request, s state) bool {
	if err := l.checkFields(); err != nil {
		l.unavailable(w, r, s, fmt.Errorf("oauth: begin login: %w", err))
		return false
	}
	size := len(s.To) + len(s.Nonce) + 256
	if !l.limiter.allow(r, "login", l.limit(), 1+size/1024) || !l.admitBrowser(w, r) || !l.limiter.allowStored(size) {
		l.refuseOften(w, r)
		return false
	}
	return true
}

// admitBrowser counts the logins of a browser by a cookie, and gives it one where it has none.
func (l *Login) admitBrowser(w http.ResponseWriter, r *http.Request) bool {
	name := l.cookie("wetoken-browser")
	if c, err := r.Cookie(name); err == nil && c.Value != "" {
		return l.limiter.allowBrowser(c.Value)
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: rand.Text(), Path: "/", HttpOnly: true, Secure: l.secure(), SameSite: http.SameSiteLaxMode,
	})
	return true
}

// admitCallback decides whether a browser that comes back is answered.
func (l *Login) admitCallback(w http.ResponseWriter, r *http.Request) bool {
	if !l.limiter.allow(r, "callback", l.limit(), 1) {
		l.refuseOften(w, r)
		return false
	}
	return true
}

func (l *Login) refuseOften(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "60")
	l.show(w, r, page{notice: noticeOften})
}

func (l *Login) limit() int {
	if l.Limit <= 0 {
		return addressLimit
	}
	return l.Limit
}

func (m *Mini) limit() int {
	if m.Limit <= 0 {
		return addressLimit
	}
	return m.Limit
}
