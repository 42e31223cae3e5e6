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

// Limits for each minute and process. Minutes begin when the clock's do.
const (
	addressLimit = 20_000   // requests from one address, which thousands of users of a company or a carrier may share
	browserLimit = 20       // logins of one browser, which a redirect loop of a site reaches
	storedLimit  = 64 << 20 // bytes of stored states, which strangers create and which live 20 minutes
)

// limiter counts the requests of strangers. Its memory is bounded.
type limiter struct {
	mu       sync.Mutex
	minute   int64
	counts   map[uint64]int
	browsers map[uint64]int
	stored   int
	reported bool // the limit of stored was logged

	seed     maphash.Seed
	warnOnce sync.Once
}

const (
	maxCounts = 100_000 // counts for one key each
	maxShared = 1024    // counts that all further keys share
)

// lockMinute locks l, and resets the counts if a new minute has begun.
func (l *limiter) lockMinute() (unlock func()) {
	l.mu.Lock()
	if minute := time.Now().Unix() / 60; l.counts == nil || l.minute != minute {
		if l.counts == nil {
			l.seed = maphash.MakeSeed()
		}
		l.minute, l.counts, l.browsers, l.stored, l.reported = minute, make(map[uint64]int), make(map[uint64]int), 0, false
	}
	return l.mu.Unlock
}

// allowAddress counts a request of route by its address, cost times, unless many clients may share the address.
func (l *limiter) allowAddress(r *http.Request, route string, limit, cost int) bool {
	limited, known := peer.Limited(r)
	from := peer.Parse(r.RemoteAddr)
	if !limited {
		if !known && from.IsValid() {
			l.warnOnce.Do(func() {
				slog.Warn("oauth: limits by address are off: RemoteAddr is private, so it may be that of a proxy", "from", from.String())
			})
		}
		return true
	}
	defer l.lockMinute()()
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
// cookies, and that must not block others.
func (l *limiter) allowBrowser(cookie string) bool {
	defer l.lockMinute()()
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

// allowStored counts bytes that a stranger causes to be stored.
func (l *limiter) allowStored(size int) bool {
	defer l.lockMinute()()
	if l.stored+size > storedLimit {
		if !l.reported {
			l.reported = true
			slog.Error("oauth: too many logins: logins are refused until the next minute")
		}
		return false
	}
	l.stored += size
	return true
}

// admitLogin reports whether a login may begin, and answers the request if not.
func (l *Login) admitLogin(w http.ResponseWriter, r *http.Request, s state) bool {
	if err := l.checkFields(); err != nil {
		l.answerUnavailable(w, r, s, fmt.Errorf("oauth: begin login: %w", err))
		return false
	}
	size := len(s.To) + len(s.Nonce) + 256
	if !l.limiter.allowAddress(r, "login", l.limit(), 1+size/1024) || !l.admitBrowser(w, r) || !l.limiter.allowStored(size) {
		l.answerTooMany(w, r)
		return false
	}
	return true
}

// admitBrowser counts the logins of a browser by a cookie, which it sets if the browser has none.
func (l *Login) admitBrowser(w http.ResponseWriter, r *http.Request) bool {
	name := l.cookieName("wetoken-browser")
	if c, err := r.Cookie(name); err == nil && c.Value != "" {
		return l.limiter.allowBrowser(c.Value)
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: rand.Text(), Path: "/", HttpOnly: true, Secure: l.usesHTTPS(), SameSite: http.SameSiteLaxMode,
	})
	return true
}

// admitCallback reports whether a returning browser is served, and answers the request if not.
func (l *Login) admitCallback(w http.ResponseWriter, r *http.Request) bool {
	if !l.limiter.allowAddress(r, "callback", l.limit(), 1) {
		l.answerTooMany(w, r)
		return false
	}
	return true
}

func (l *Login) answerTooMany(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "60")
	l.writePage(w, r, page{notice: noticeTooMany})
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
