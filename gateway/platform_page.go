package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/platform"
)

const (
	maxReturn       = 2048 // bytes of the address to return to
	bindStateLife   = time.Hour
	bindLinkLife    = 24 * time.Hour
	maxBindLinkLife = 30 * 24 * time.Hour
	maxSigned       = 8 << 10
)

// binding is an authorization that a browser is to make, as a link or a state carries it.
type binding struct {
	To     string `json:"to,omitempty"`
	Type   int    `json:"type,omitempty"`
	App    string `json:"app,omitempty"`
	Cookie string `json:"c,omitempty"` // of a state: digest of the cookie of the browser that began
	Until  int64  `json:"e"`           // Unix seconds
}

// The purposes of signed bindings.
const (
	linkPurpose  = "link"
	statePurpose = "state"
)

// sign returns a binding as text that nobody else can make.
func (p *platformPart) sign(purpose string, b binding) (string, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(signBinding(p.app.secret, purpose, text)), nil
}

func signBinding(secret, purpose, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("wetoken platform " + purpose + "\n" + text))
	return h.Sum(nil)
}

var errBinding = errors.New("the link is not one of this server, or is too old")

// verify returns the binding of a signed text.
func (p *platformPart) verify(purpose, signed string) (b binding, err error) {
	text, sum, ok := strings.Cut(signed, ".")
	mac, err := base64.RawURLEncoding.DecodeString(sum)
	if !ok || err != nil || len(signed) > maxSigned {
		return b, errBinding
	}
	known := 0
	for _, secret := range []string{p.app.secret, p.app.nextSecret, p.app.previousSecret} {
		if secret != "" {
			known |= subtle.ConstantTimeCompare(mac, signBinding(secret, purpose, text))
		}
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	if known != 1 || err != nil || json.Unmarshal(body, &b) != nil || time.Now().Unix() >= b.Until {
		return binding{}, errBinding
	}
	return b, nil
}

// checkBinding returns an error for a binding that must not be made. Its texts are for developers.
func (p *platformPart) checkBinding(b binding) error {
	switch {
	case b.Type < 0 || b.Type > 3:
		return errors.New("type: want 1 for official accounts, 2 for mini programs, or 3 for both")
	case len(b.To) > maxReturn:
		return fmt.Errorf("to: is longer than %d bytes", maxReturn)
	case b.App != "" && checkAppName(b.App) != nil:
		return errors.New("app: want the name of an app")
	}
	if b.To == "" {
		return errors.New("to: must be set: the address to return to, on one of hosts of the platform")
	}
	u, err := hosts.Parse(b.To, p.app.hosts)
	if err != nil {
		return fmt.Errorf("to: %w", err)
	}
	if strings.HasPrefix(p.app.publicURL, "https:") && strings.EqualFold(u.Scheme, "http") && !hosts.Loopback(u.Host) {
		return errors.New("to: it must be https")
	}
	return nil
}

// baseURL returns the public address of the platform's routes.
func (p *platformPart) baseURL() string {
	return strings.TrimSuffix(p.app.publicURL, "/") + "/app/" + url.PathEscape(p.app.name)
}

// serveLink makes a link that an administrator of an account is sent.
func (p *platformPart) serveLink(w http.ResponseWriter, r *http.Request) {
	var in struct {
		To        string    `json:"to"`
		Type      int       `json:"type"`
		App       string    `json:"app"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	body, ok := readAdminBody(w, r)
	if !ok {
		return
	}
	if err := decodeExactly(body, &in); err != nil {
		answer.Refuse(w, http.StatusBadRequest, `want {"to":"…","type":3,"app":"…","expires_at":"…"}: `+err.Error())
		return
	}
	now := time.Now()
	if in.ExpiresAt.IsZero() {
		in.ExpiresAt = now.Add(bindLinkLife)
	}
	b := binding{To: in.To, Type: in.Type, App: in.App, Until: in.ExpiresAt.Unix()}
	err := p.checkBinding(b)
	switch {
	case err != nil:
	case !in.ExpiresAt.After(now) || in.ExpiresAt.After(now.Add(maxBindLinkLife)):
		err = errors.New("expires_at: want a time in the next 30 days")
	default:
		_, err = p.accountNamed(r, b.App, true)
	}
	var signed string
	if err == nil {
		signed, err = p.sign(linkPurpose, b)
	}
	if errors.Is(err, errRecordsAway) {
		answer.Refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	if err != nil {
		answer.Refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	replyJSON(w, http.StatusOK, map[string]any{"url": p.baseURL() + "/authorize?link=" + signed, "expires_at": in.ExpiresAt.UTC().Truncate(time.Second)})
}

// accountNamed returns the appid of the account whose app has a name, or "" for a name that is free, which only a signed link may bring:
// a stranger must not choose names, which keys refer to.
func (p *platformPart) accountNamed(r *http.Request, name string, signed bool) (appID string, err error) {
	if name == "" {
		return "", nil
	}
	a, err := p.app.gateway.appNamed(r.Context(), name)
	switch {
	case err != nil:
		return "", err
	case a != nil && a.platform == p.app.name:
		return a.appID, nil
	case a == nil && signed && p.app.gateway.Apps().checkName(name) == nil:
		return "", nil
	}
	return "", errors.New("app: want the name of an account that has authorized this platform; a new name needs a link of POST …/authorizations")
}

// serveAuthorize serves the page that leads to WeChat's. WeChat demands a page of the platform's domain before its own, so it is no
// redirect.
func (p *platformPart) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	b, appID, err := p.readBinding(r)
	if err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, errRecordsAway) {
			status = http.StatusServiceUnavailable
		}
		p.writePage(w, r, status, bindPage{Title: textBindLink, Text: textBindLinkMore, Reason: err.Error()})
		return
	}
	if appID != "" {
		b.App = "" // the name must not pass to another account, even if it is free by then
	}
	cookie := rand.Text()
	b.Cookie, b.Until = digestText(cookie), time.Now().Add(bindStateLife).Unix()
	state, err := p.sign(statePurpose, b)
	var next string
	if err == nil {
		next, _, err = p.platform.AuthorizeURL(r.Context(), platform.Page{
			RedirectURI: p.baseURL() + "/authorize/callback?state=" + url.QueryEscape(state), Type: b.Type, AppID: appID, Mobile: isInsideWeChat(r),
		})
	}
	if err != nil {
		p.app.gateway.log.ErrorContext(r.Context(), "an account cannot authorize a platform", "app", p.app.name, "error", err)
		p.writePage(w, r, http.StatusServiceUnavailable, bindPage{Title: textBindAway, Text: textBindAwayMore})
		return
	}
	p.setCookie(w, cookie, int(bindStateLife/time.Second))
	p.writePage(w, r, http.StatusOK, bindPage{Title: textBindGo, Text: textBindGoMore, Link: next, Follow: true})
}

// readBinding returns what the address of the page asks for, and the appid of the only account that may be chosen, or "".
func (p *platformPart) readBinding(r *http.Request) (b binding, appID string, err error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return b, "", errors.New("invalid query: percent-encode to, as encodeURIComponent does")
	}
	for name, values := range q {
		if !strings.Contains(" to type app link ", " "+name+" ") || len(values) > 1 {
			return b, "", fmt.Errorf("unknown or repeated parameter %.40q: want to, type and app; percent-encode to, as encodeURIComponent does", name)
		}
	}
	signed := q.Has("link")
	if signed {
		if len(q) > 1 {
			return b, "", errors.New("link: want it alone")
		}
		b, err = p.verify(linkPurpose, q.Get("link"))
	} else {
		b = binding{To: q.Get("to"), App: q.Get("app")}
		if text := q.Get("type"); text != "" {
			if b.Type, err = strconv.Atoi(text); err != nil {
				err = errors.New("type: want 1, 2 or 3")
			}
		}
	}
	if err == nil {
		err = p.checkBinding(b)
	}
	if err == nil {
		appID, err = p.accountNamed(r, b.App, signed)
	}
	return b, appID, err
}

// isInsideWeChat reports whether a request comes from WeChat's own browser on a phone.
func isInsideWeChat(r *http.Request) bool {
	agent := r.UserAgent()
	return strings.Contains(agent, "MicroMessenger") && !strings.Contains(agent, "WindowsWechat") && !strings.Contains(agent, "MacWechat")
}

// serveCallback ends an authorization: it exchanges the code, opens the app of the account, and sends the browser back.
func (p *platformPart) serveCallback(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return // previews use nothing up
	}
	q := r.URL.Query()
	b, err := p.verify(statePurpose, q.Get("state"))
	if err != nil {
		p.writePage(w, r, http.StatusGone, bindPage{Title: textBindOld, Text: textBindOldMore})
		return
	}
	account, err := p.platform.Authorize(r.Context(), q.Get("auth_code"), time.Time{})
	name := ""
	if err == nil {
		name, err = p.open(r.Context(), account.AppID, b.App, time.Now().Add(-time.Minute))
	}
	if err != nil {
		p.app.gateway.log.ErrorContext(r.Context(), "an authorization is not finished", "app", p.app.name, "error", err)
		p.writePage(w, r, answer.Of(err).Status, bindPage{Title: textBindFailed, Text: textBindFailedMore})
		return
	}
	cookie, _ := r.Cookie(p.cookieName())
	p.setCookie(w, "", -1)
	if cookie == nil || subtle.ConstantTimeCompare([]byte(digestText(cookie.Value)), []byte(b.Cookie)) != 1 {
		p.writePage(w, r, http.StatusOK, bindPage{Title: textBindDone, Text: textBindDoneMore}) // another browser began, whose session it must not become part of
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, withApp(b.To, name), http.StatusFound)
}

// withApp adds the name of an app to the query of an address that was checked.
func withApp(to, name string) string {
	address, fragment, _ := strings.Cut(to, "#")
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	address += sep + "app=" + url.QueryEscape(name)
	if fragment != "" {
		address += "#" + fragment
	}
	return address
}

func digestText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p *platformPart) cookieName() string { return "wetoken-bind-" + digestText(p.app.id)[:12] }

func (p *platformPart) setCookie(w http.ResponseWriter, value string, age int) {
	path := "/"
	if u, err := url.Parse(p.baseURL()); err == nil {
		path = u.EscapedPath() + "/authorize"
	}
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(), Value: value, Path: path, MaxAge: age, HttpOnly: true,
		Secure: strings.HasPrefix(p.app.publicURL, "https:"), SameSite: http.SameSiteLaxMode,
	})
}

// bindPage is a page of an authorization. Texts are in Chinese and English.
type bindPage struct {
	Title, Text [2]string
	Reason      string // for developers
	Link        string // address to go on to
	Follow      bool   // at once

	English bool
	Nonce   string
}

var (
	textBindGo         = [2]string{"授权", "Authorize"}
	textBindGoMore     = [2]string{"正在前往微信的授权页，请由公众号或小程序的管理员扫码确认。", "Going on to WeChat, where the administrator of the account confirms."}
	textBindLink       = [2]string{"授权链接有误", "Faulty link"}
	textBindLinkMore   = [2]string{"授权链接的参数不正确或已过期，请从原网站重新进入。", "This link is not right, or too old. Please start from the site you came from."}
	textBindAway       = [2]string{"暂时无法授权", "Not available now"}
	textBindAwayMore   = [2]string{"请几分钟后重试；如果问题依旧，请联系网站管理员。", "Please try again in a few minutes, or contact the operator of this site."}
	textBindOld        = [2]string{"授权已过期", "Too old"}
	textBindOldMore    = [2]string{"这次授权已超过一小时，请从原网站重新进入。", "This began more than an hour ago. Please start from the site you came from."}
	textBindFailed     = [2]string{"授权未完成", "Not finished"}
	textBindFailedMore = [2]string{"微信的授权码无效或暂时无法使用，请从原网站重新进入。", "WeChat's code cannot be used now. Please start from the site you came from."}
	textBindDone       = [2]string{"授权成功", "Authorized"}
	textBindDoneMore   = [2]string{"授权已完成，请回到最初打开的页面。", "The account has authorized this platform. Please go back to the page where you began."}
)

//go:embed platform_page.html
var bindPageSource string

var bindPageTemplate = template.Must(template.New("page").Parse(bindPageSource))

func (p *platformPart) writePage(w http.ResponseWriter, r *http.Request, status int, page bindPage) {
	page.Nonce = rand.Text()
	languages := strings.ToLower(r.Header.Get("Accept-Language"))
	page.English = strings.HasPrefix(languages, "en")
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "origin") // by which WeChat checks the platform's domain
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+page.Nonce+"'; script-src 'nonce-"+page.Nonce+"'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = bindPageTemplate.Execute(w, page) // the browser has gone
}
