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
	stateLife   = 10 * time.Minute // time for a login to end
	expiredLife = 10 * time.Minute // after stateLife, in which a late login still returns to its site
	repeatLife  = 30 * time.Second // after the end, in which the same browser may repeat the request
	endedLife   = 5 * time.Minute  // after the end, in which the state is still known
)

// state is a login that has begun. WeChat returns its name. Strangers can create any number of states, so each is
// small: To and Nonce are bounded, and the other fields have a fixed length.
type state struct {
	To             string `json:"to,omitempty"`
	Scope          string `json:"scope"`
	Lang           string `json:"lang,omitempty"`
	Nonce          string `json:"nonce,omitempty"`
	Path           string `json:"path,omitempty"`   // of the Form that it is for; default /login/callback
	Began          int64  `json:"begun,omitempty"`  // Unix seconds
	Cookie         string `json:"cookie,omitempty"` // hash of the cookie given to the browser
	CookieOptional bool   `json:"loose,omitempty"`  // may end in a browser that lost the cookie
	InsideApp      bool   `json:"inner,omitempty"`  // began inside WeCom or WeChat, and must end there
	ForSession     bool   `json:"stay,omitempty"`   // began by Require, and ends in a session
	Used           bool   `json:"used,omitempty"`   // its code was sent to WeChat, or the user declined
	CookieShown    bool   `json:"proven,omitempty"` // was used by a browser that sent the cookie

	Outcome *outcome `json:"end,omitempty"` // set after the end, if CookieShown
}

// siteOrigin returns the origin that a login returns to.
func (s state) siteOrigin() string {
	u, err := url.Parse(s.To)
	if err != nil {
		return "" // checkReturn would have refused it
	}
	return hosts.Origin(u)
}

var (
	errUnknown = errors.New("unknown state")
	errExpired = errors.New("state has expired")
	errUsed    = errors.New("state was used before")
	errBrowser = errors.New("state belongs to another browser")
)

// saveState stores a state and returns its name, 32 hex digits.
func (l *Login) saveState(ctx context.Context, s state) (name string, err error) {
	var random [16]byte
	rand.Read(random[:]) // never fails
	name = hex.EncodeToString(random[:])
	s.Began = time.Now().Unix()
	b, err := s.encode()
	if err == nil {
		err = l.store().Set(ctx, l.recordKey("state", name), b, stateLife+expiredLife)
	}
	if err != nil {
		return "", fmt.Errorf("oauth: store state: %w", err)
	}
	return name, nil
}

// encode returns the JSON of s without HTML escapes, which would make an address up to six times as long.
func (s state) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return b.Bytes(), err
}

// readState returns the state called name and its record. The error is errUnknown if the store has no such state.
func (l *Login) readState(ctx context.Context, name string) (s state, raw []byte, err error) {
	if b, err := hex.DecodeString(name); err != nil || len(b) != 16 {
		return state{}, nil, errUnknown
	}
	raw, ok, err := l.store().Get(ctx, l.recordKey("state", name))
	if err != nil {
		return state{}, nil, fmt.Errorf("oauth: read state: %w", err)
	}
	if !ok || decodeRecord(raw, &s) != nil { // a login in a later format is unknown here, and begins again
		return state{}, nil, errUnknown
	}
	return s, raw, nil
}

// consumeState marks the state called name as used, once, for the browser that began it. The state of another browser, or
// of a login that ends at another path, is not changed. consumeState returns the state along with an error if the browser
// may return to the site that began the login.
func (l *Login) consumeState(r *http.Request, name, path string) (state, error) {
	s, raw, err := l.readState(r.Context(), name)
	if err == nil && s.Path != path {
		err = errUnknown
	}
	if err != nil {
		return state{}, err
	}
	begun, proven := l.mayFinish(r, name, s), l.presentedCookie(r, name, s) != ""
	switch {
	case s.Used && !begun:
		return state{}, errUsed
	case s.Outcome != nil && proven && time.Since(time.Unix(s.Outcome.At, 0)) >= repeatLife:
		return s, errExpired
	case s.Used:
		return s, errUsed
	case s.Began != 0 && time.Since(time.Unix(s.Began, 0)) >= stateLife:
		return s, errExpired
	case !begun:
		return state{}, errBrowser
	}
	s.Used, s.CookieShown = true, proven
	b, err := s.encode()
	if err != nil {
		return s, fmt.Errorf("oauth: consume state: %w", err)
	}
	swapped, err := l.store().Swap(r.Context(), l.recordKey("state", name), raw, b, -1)
	if err != nil {
		return s, fmt.Errorf("oauth: consume state: %w", err)
	}
	if !swapped {
		s.CookieShown = proven
		return s, errUsed // the same link was opened twice at once
	}
	return s, nil
}

// mayFinish reports whether the browser of r may finish the login of s. On pages inside WeChat any browser may.
func (l *Login) mayFinish(r *http.Request, name string, s state) bool {
	switch {
	case s.Cookie != "" && !s.CookieOptional:
		return l.presentedCookie(r, name, s) != ""
	case s.InsideApp:
		return insideWeCom(r)
	}
	return true
}

// presentedCookie returns the cookie of the state, or "" if the browser did not send it.
func (l *Login) presentedCookie(r *http.Request, name string, s state) string {
	if s.Cookie == "" {
		return ""
	}
	c, err := r.Cookie(l.stateCookieName(name))
	if err != nil || subtle.ConstantTimeCompare([]byte(hash(c.Value)), []byte(s.Cookie)) != 1 {
		return ""
	}
	return c.Value
}

// setStateCookie sets the cookie of the state called name. Each state has its own cookie, so that logins in two tabs do
// not conflict.
func (l *Login) setStateCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: l.stateCookieName(name), Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: l.usesHTTPS(), SameSite: http.SameSiteLaxMode, // Lax: sent when WeChat's page redirects here
	})
}

func (l *Login) stateCookieName(name string) string { return l.cookieName("wetoken-login-" + name[:8]) }

// cookieName returns a cookie name that no sibling host, such as evil.example.com, can set: browsers accept a __Host-
// cookie from the host itself only.
func (l *Login) cookieName(name string) string {
	if l.usesHTTPS() {
		return "__Host-" + name
	}
	return name
}

func (l *Login) usesHTTPS() bool { return len(l.URL) > 8 && strings.EqualFold(l.URL[:8], "https://") }

// insideWeCom reports whether a page is open in WeCom, or in WeChat, where members use WeCom's plug-in (微信插件). Neither
// can scan a QR code on its own screen. The User-Agent decides.
func insideWeCom(r *http.Request) bool {
	agent := strings.ToLower(r.UserAgent())
	return strings.Contains(agent, "wxwork") || strings.Contains(agent, "micromessenger")
}

// hash returns the hash under which the store keeps a secret value.
func hash(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}
