package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/hosts"
)

const stateLife = 10 * time.Minute

// state is a login that has begun, found again by the name that WeChat echoes.
type state struct {
	To     string `json:"to,omitempty"`
	Scope  string `json:"scope"`
	Lang   string `json:"lang,omitempty"`
	Nonce  string `json:"nonce,omitempty"`
	Cookie string `json:"cookie,omitempty"` // hash of the cookie that the same browser must show
	Inner  bool   `json:"inner,omitempty"`  // begun inside WeCom or WeChat, where it must end
	Stay   bool   `json:"stay,omitempty"`   // begun by Require: ends in a session of ours
	Used   bool   `json:"used,omitempty"`   // its code was taken to WeChat, or the user declined
}

// site is the one that a login returns to.
func (s state) site() string {
	u, err := url.Parse(s.To)
	if err != nil {
		return "" // which returns would have refused
	}
	return hosts.Origin(u)
}

var (
	errUnknown = errors.New("unknown or expired state")
	errUsed    = errors.New("state was used before")
	errBrowser = errors.New("state is another browser's")
)

// begin keeps a state and returns its name, 32 hex digits.
func (l *Login) begin(ctx context.Context, s state) (name string, err error) {
	var random [16]byte
	rand.Read(random[:]) // never fails
	name = hex.EncodeToString(random[:])
	b, err := json.Marshal(s)
	if err == nil {
		err = l.store().Set(ctx, l.key("state", name), b, stateLife)
	}
	if err != nil {
		return "", fmt.Errorf("oauth: keep state: %w", err)
	}
	return name, nil
}

// take ends the state called name, once, for the browser that began it. One that is another browser's stays.
func (l *Login) take(r *http.Request, name string) (state, error) {
	if b, err := hex.DecodeString(name); err != nil || len(b) != 16 {
		return state{}, errUnknown
	}
	raw, ok, err := l.store().Get(r.Context(), l.key("state", name))
	if err != nil {
		return state{}, fmt.Errorf("oauth: read state: %w", err)
	}
	var s state
	if !ok || json.Unmarshal(raw, &s) != nil {
		return state{}, errUnknown
	}
	switch begun := l.begun(r, name, s); {
	case !begun && s.Used:
		return state{}, errUsed
	case !begun:
		return state{}, errBrowser
	case s.Used:
		return s, errUsed
	}
	s.Used = true
	b, err := json.Marshal(s)
	if err != nil {
		return state{}, fmt.Errorf("oauth: end state: %w", err)
	}
	swapped, err := l.store().Swap(r.Context(), l.key("state", name), raw, b, -1)
	if err != nil {
		return state{}, fmt.Errorf("oauth: end state: %w", err)
	}
	if !swapped {
		return s, errUsed // by the same link, opened twice at once
	}
	return s, nil
}

// begun tells whether the browser of r is the one that began s.
func (l *Login) begun(r *http.Request, name string, s state) bool {
	if s.Cookie != "" {
		c, err := r.Cookie(l.stateCookie(name))
		return err == nil && subtle.ConstantTimeCompare([]byte(hash(c.Value)), []byte(s.Cookie)) == 1
	}
	return !s.Inner || insideWeCom(r)
}

// bind gives the browser a cookie to show when it comes back, and returns its hash. Each state has a cookie of its own,
// so that logins in two tabs do not meet; its name is known only once the state is kept, hence the function.
func (l *Login) bind() (sum string, set func(w http.ResponseWriter, name string)) {
	value := rand.Text()
	return hash(value), func(w http.ResponseWriter, name string) {
		http.SetCookie(w, &http.Cookie{
			Name: l.stateCookie(name), Value: value, Path: "/", MaxAge: int(stateLife / time.Second),
			HttpOnly: true, Secure: l.secure(), SameSite: http.SameSiteLaxMode, // Lax: it must come along from WeChat's page
		})
	}
}

// unbind takes the cookie of an ended state back.
func (l *Login) unbind(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: l.stateCookie(name), Path: "/", MaxAge: -1, HttpOnly: true, Secure: l.secure(), SameSite: http.SameSiteLaxMode,
	})
}

func (l *Login) stateCookie(name string) string { return l.cookie("wetoken-login-" + name[:8]) }

// cookie is the name of a cookie that no neighbour of the host, such as evil.example.com, can plant: browsers let nobody
// but the host itself set a __Host- cookie.
func (l *Login) cookie(name string) string {
	if l.secure() {
		return "__Host-" + name
	}
	return name
}

func (l *Login) secure() bool { return len(l.URL) > 8 && strings.EqualFold(l.URL[:8], "https://") }

// insideWeCom tells whether a page is open in WeCom, or in WeChat, where members use WeCom by its plug-in (微信插件): neither
// could scan a QR code on its own screen. It goes by what their browsers call themselves.
func insideWeCom(r *http.Request) bool {
	agent := strings.ToLower(r.UserAgent())
	return strings.Contains(agent, "wxwork") || strings.Contains(agent, "micromessenger")
}

// hash is what the store sees of a value that opens something.
func hash(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}
