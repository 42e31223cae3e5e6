package oauth

import (
	"bytes"
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

const (
	stateLife   = 10 * time.Minute // for a login to end
	expiredLife = 10 * time.Minute // beyond stateLife, in which a late login still finds the way to its site
	repeatLife  = 30 * time.Second // beyond its end, in which the same browser may ask for it again
	endedLife   = 5 * time.Minute  // beyond its end, in which it is told from an unknown one
)

// state is a login that has begun, found again by the name that WeChat echoes. Strangers make as many as they like, so
// each is small: To and Nonce are bounded, and the rest is of fixed length.
type state struct {
	To     string `json:"to,omitempty"`
	Scope  string `json:"scope"`
	Lang   string `json:"lang,omitempty"`
	Nonce  string `json:"nonce,omitempty"`
	Begun  int64  `json:"begun,omitempty"`  // Unix seconds
	Cookie string `json:"cookie,omitempty"` // hash of the cookie that the browser was given
	Loose  bool   `json:"loose,omitempty"`  // may end in a browser that has lost the cookie
	Inner  bool   `json:"inner,omitempty"`  // begun inside WeCom or WeChat, where it must end
	Stay   bool   `json:"stay,omitempty"`   // begun by Require: ends in a session of ours
	Used   bool   `json:"used,omitempty"`   // its code was taken to WeChat, or the user declined
	Proven bool   `json:"proven,omitempty"` // used by a browser that showed the cookie

	End *outcome `json:"end,omitempty"` // its outcome, if Used and Proven
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
	errUnknown = errors.New("unknown state")
	errExpired = errors.New("state has expired")
	errUsed    = errors.New("state was used before")
	errBrowser = errors.New("state is another browser's")
)

// begin keeps a state and returns its name, 32 hex digits.
func (l *Login) begin(ctx context.Context, s state) (name string, err error) {
	var random [16]byte
	rand.Read(random[:]) // never fails
	name = hex.EncodeToString(random[:])
	s.Begun = time.Now().Unix()
	b, err := s.encode()
	if err == nil {
		err = l.store().Set(ctx, l.key("state", name), b, stateLife+expiredLife)
	}
	if err != nil {
		return "", fmt.Errorf("oauth: keep state: %w", err)
	}
	return name, nil
}

// encode is json.Marshal without the escapes for HTML, which would make an address up to six times as long.
func (s state) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return b.Bytes(), err
}

// readState returns the state called name and its record. It fails with errUnknown where no such state is kept.
func (l *Login) readState(ctx context.Context, name string) (s state, raw []byte, err error) {
	if b, err := hex.DecodeString(name); err != nil || len(b) != 16 {
		return state{}, nil, errUnknown
	}
	raw, ok, err := l.store().Get(ctx, l.key("state", name))
	if err != nil {
		return state{}, nil, fmt.Errorf("oauth: read state: %w", err)
	}
	if !ok || json.Unmarshal(raw, &s) != nil {
		return state{}, nil, errUnknown
	}
	return s, raw, nil
}

// take marks the state called name as used, once, for the browser that began it. One that is another browser's stays as
// it is. The state comes with an error where the browser may be sent back to the site that began the login.
func (l *Login) take(r *http.Request, name string) (state, error) {
	s, raw, err := l.readState(r.Context(), name)
	if err != nil {
		return state{}, err
	}
	begun, proven := l.begun(r, name, s), l.shown(r, name, s) != ""
	switch {
	case s.Used && !begun:
		return state{}, errUsed
	case s.End != nil && proven && time.Since(time.Unix(s.End.At, 0)) >= repeatLife:
		return s, errExpired
	case s.Used:
		return s, errUsed
	case s.Begun != 0 && time.Since(time.Unix(s.Begun, 0)) >= stateLife:
		return s, errExpired
	case !begun:
		return state{}, errBrowser
	}
	s.Used, s.Proven = true, proven
	b, err := s.encode()
	if err != nil {
		return s, fmt.Errorf("oauth: end state: %w", err)
	}
	swapped, err := l.store().Swap(r.Context(), l.key("state", name), raw, b, -1)
	if err != nil {
		return s, fmt.Errorf("oauth: end state: %w", err)
	}
	if !swapped {
		s.Proven = proven
		return s, errUsed // by the same link, opened twice at once
	}
	return s, nil
}

// begun reports whether the browser of r may be the one that began s. For pages inside WeChat that is any.
func (l *Login) begun(r *http.Request, name string, s state) bool {
	switch {
	case s.Cookie != "" && !s.Loose:
		return l.shown(r, name, s) != ""
	case s.Inner:
		return insideWeCom(r)
	}
	return true
}

// shown returns the cookie that the browser was given with s, or "" where it does not show it.
func (l *Login) shown(r *http.Request, name string, s state) string {
	if s.Cookie == "" {
		return ""
	}
	c, err := r.Cookie(l.stateCookie(name))
	if err != nil || subtle.ConstantTimeCompare([]byte(hash(c.Value)), []byte(s.Cookie)) != 1 {
		return ""
	}
	return c.Value
}

// bind gives the browser the cookie of the state called name for a while. Each state has a cookie of its own, so that
// logins in two tabs do not meet.
func (l *Login) bind(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: l.stateCookie(name), Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: l.secure(), SameSite: http.SameSiteLaxMode, // Lax: it must come along from WeChat's page
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

// insideWeCom reports whether a page is open in WeCom, or in WeChat, where members use WeCom by its plug-in (微信插件): neither
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
