package wechattest

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A page is what a browser sees, on WeChat's hosts for browsers. Unlike a call it needs no token and answers HTML.
var pageHosts = map[string]string{
	"/connect/oauth2/authorize": "open.weixin.qq.com",
	"/connect/qrconnect":        "open.weixin.qq.com",
	"/connect/answer":           "open.weixin.qq.com",
	componentPagePath:           "mp.weixin.qq.com",
	componentMobilePath:         "mp.weixin.qq.com",
	componentAnswerPath:         "mp.weixin.qq.com",
	"/wwlogin/sso/login":        "login.work.weixin.qq.com",
	"/wwopen/sso/qrConnect":     "open.work.weixin.qq.com",
	showqrcodePath:              "mp.weixin.qq.com",
	jweixinPath:                 "res.wx.qq.com",
	"/open/js/verify":           "res.wx.qq.com",
	miniScriptPath:              "servicewechat.com",
	miniCallPath:                "servicewechat.com",
}

// page serves a page for browsers. ok is false if the request is for something else.
func (s *Server) page(r *http.Request) (rep reply, ok bool) {
	home, known := pageHosts[r.URL.Path]
	name := strings.ToLower(bare(requestHost(r)))
	if !known || (name != home && (strings.HasSuffix(name, ".weixin.qq.com") || name == "res.wx.qq.com")) {
		return reply{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(r.URL.Path, "")
	switch r.URL.Path {
	case "/connect/oauth2/authorize":
		return s.authorize(r, false), true
	case "/connect/qrconnect":
		return s.authorize(r, true), true
	case "/wwlogin/sso/login":
		return s.workQR(r, true), true
	case "/wwopen/sso/qrConnect":
		return s.workQR(r, false), true
	case showqrcodePath:
		return s.showQRCode(r), true
	case "/connect/answer":
		return s.answerVisit(r), true
	case componentPagePath, componentMobilePath:
		return s.componentPage(r, r.URL.Path == componentMobilePath), true
	case componentAnswerPath:
		return s.answerBinding(r), true
	case jweixinPath:
		return scriptReply(jweixin), true
	case miniScriptPath:
		return scriptReply(miniScript), true
	case miniCallPath:
		return s.playMini(r), true
	}
	return s.verifyConfig(r), true
}

// visit is a browser on a consent page of WeChat.
type visit struct {
	app      *app
	what     string
	scope    string
	redirect *url.URL
	state    string
	platform string // that the login is for, by component_appid
	expires  time.Time
}

// authorize serves the page inside WeChat or, with qr, the QR code of a website.
func (s *Server) authorize(r *http.Request, qr bool) reply {
	q := r.URL.Query()
	if !inOrder(r.URL.RawQuery) {
		return errorPage(0, "参数错误", "The parameters must be appid, redirect_uri, response_type, scope, state, in this order, and each once.")
	}
	v := &visit{scope: q.Get("scope"), state: q.Get("state"), what: "web"}
	switch scopes := strings.Split(v.scope, ","); {
	case q.Get("appid") == "":
		return errorPage(10014, "appid 为空", "appid is empty.")
	case q.Get("redirect_uri") == "":
		return errorPage(10013, "redirect_uri 为空", "redirect_uri is empty.")
	case v.scope == "":
		return errorPage(10012, "scope 为空", "scope is empty.")
	case len(v.state) > 128 || strings.Trim(v.state, letters) != "":
		return errorPage(10011, "state 过长", "state is longer than 128 letters and digits.")
	case q.Get("response_type") != "code":
		return errorPage(0, "参数错误", "response_type must be code.")
	case qr && v.scope != "snsapi_login":
		return errorPage(10005, "Scope 参数错误或没有 Scope 权限", "The scope must be snsapi_login.")
	case !qr && !slices.Contains(webScopes, scopes[0]):
		return errorPage(10005, "Scope 参数错误或没有 Scope 权限", "The scope is unknown.")
	}
	if co := s.corps[q.Get("appid")]; co != nil && !qr {
		return s.workAuthorize(r, co, v)
	}
	v.app = s.apps[q.Get("appid")]
	if v.app == nil || (v.app.Kind == Website) != qr || v.app.Kind == Mini || v.scope == "snsapi_privateinfo" {
		return errorPage(40013, "AppID 参数错误", "The app is unknown, or has no login on this page.")
	}
	domain := v.app.RedirectDomain
	if id := q.Get("component_appid"); id != "" {
		p := s.platforms[id]
		if p == nil || p.grantOf(v.app.ID) == nil || qr {
			return errorPage(61003, "公众号未授权给第三方平台", "component_appid is no platform that the app has authorized.")
		}
		v.platform, v.what, domain = id, "web by "+id, p.LoginDomain
	}
	if !v.returnsTo(q.Get("redirect_uri"), domain) {
		return errorPage(10003, "redirect_uri 参数错误", "The host of redirect_uri is not the one that is configured.")
	}
	if v.scope == "snsapi_base" {
		return s.decide(v, Allow)
	}
	if q.Get("forceSnapShot") == "true" {
		return s.decide(v, Snapshot)
	}
	return s.askConsent(v, qr)
}

var webScopes = []string{"snsapi_base", "snsapi_userinfo", "snsapi_privateinfo"}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// inOrder reports whether the parameters are in the order of the WeChat manual, each at most once. WeCom's agentid comes
// before state or after it, and the optional ones follow in any order.
func inOrder(raw string) bool {
	order := []string{"appid", "redirect_uri", "response_type", "scope", "state"}
	after := []string{"lang", "forcePopup", "forceSnapShot", "component_appid", "connect_redirect"}
	seen := make(map[string]bool)
	last := -1
	for _, pair := range strings.Split(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		at := slices.Index(order, name)
		switch {
		case name == "agentid":
			at = max(last, len(order)-1)
		case slices.Contains(after, name):
			at = len(order)
		}
		if at < 0 || at < last || seen[name] {
			return false
		}
		last, seen[name] = at, true
	}
	return true
}

// workAuthorize serves the page inside WeCom.
func (s *Server) workAuthorize(r *http.Request, co *corp, v *visit) reply {
	q := r.URL.Query()
	v.what = "work"
	if v.scope == "snsapi_userinfo" || (v.scope == "snsapi_privateinfo" && q.Get("agentid") == "") {
		return errorPage(0, "参数错误", "WeCom has scope snsapi_base, and with agentid snsapi_privateinfo.")
	}
	return s.workVisit(co, v, q.Get("agentid"), q.Get("redirect_uri"), false)
}

// workQR serves WeCom's page with a QR code. The older one has no login_type.
func (s *Server) workQR(r *http.Request, typed bool) reply {
	q := r.URL.Query()
	co := s.corps[q.Get("appid")]
	if typed && q.Get("login_type") != "CorpApp" {
		return errorPage(0, "参数错误", "login_type must be CorpApp.")
	}
	if co == nil || q.Get("agentid") == "" {
		return errorPage(0, "参数错误", "appid must be a corp id, and agentid one of its applications.")
	}
	v := &visit{what: "work", scope: "snsapi_base", state: q.Get("state")}
	return s.workVisit(co, v, q.Get("agentid"), q.Get("redirect_uri"), true)
}

func (s *Server) workVisit(co *corp, v *visit, agent, redirect string, qr bool) reply {
	for _, a := range co.sorted() {
		if (agent == "" || strconv.Itoa(a.AgentID) == agent) && (v.app == nil || !v.returns(redirect)) {
			v.app = a
		}
	}
	if v.app == nil {
		return errorPage(0, "agentid 错误", "The corp has no application with this agentid.")
	}
	if !v.returns(redirect) {
		return errorPage(50001, "redirect_uri 与配置的授权完成回调域名不一致", "The host of redirect_uri is not trusted by this application.")
	}
	if v.scope == "snsapi_base" && !qr {
		return s.decide(v, Allow)
	}
	return s.askConsent(v, qr)
}

// returns reports whether the app's domain is that of the redirect address, and keeps the address.
func (v *visit) returns(redirect string) bool { return v.returnsTo(redirect, v.app.RedirectDomain) }

// returnsTo reports whether a domain, if one is set, is that of the redirect address, and keeps the address.
func (v *visit) returnsTo(redirect, domain string) bool {
	u, err := url.Parse(redirect)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return false
	}
	v.redirect = u
	return domain == "" || u.Host == domain || bare(u.Host) == domain
}

// askConsent asks the person for consent, on a page or as set by Browse.
func (s *Server) askConsent(v *visit, qr bool) reply {
	if s.people.consent != "" && s.people.consent != Ask {
		return s.decide(v, s.people.consent)
	}
	if s.people.pending == nil {
		s.people.pending = make(map[string]*visit)
	}
	now := time.Now()
	for ticket, old := range s.people.pending {
		if !now.Before(old.expires) {
			delete(s.people.pending, ticket)
		}
	}
	v.expires = now.Add(10 * time.Minute)
	ticket := newID("visit", 43)
	s.people.pending[ticket] = v
	names := []string{}
	for _, p := range s.people.list {
		names = append(names, p.Name)
	}
	who, _ := s.person(s.people.current)
	return htmlReply(http.StatusOK, "consent", map[string]any{
		"App": v.app.ID, "Host": v.redirect.Host, "Ticket": ticket, "Names": names, "Who": who, "QR": qr,
		"Snapshot": v.scope == "snsapi_userinfo",
	})
}

// answerVisit serves the links of the consent page.
func (s *Server) answerVisit(r *http.Request) reply {
	q := r.URL.Query()
	v := s.people.pending[q.Get("ticket")]
	if v == nil || !time.Now().Before(v.expires) {
		return errorPage(0, "页面已失效", "This page was used before, or is older than 10 minutes.")
	}
	delete(s.people.pending, q.Get("ticket"))
	if name := q.Get("as"); name != "" {
		s.people.current = name
	}
	return s.decide(v, Consent(q.Get("do")))
}

// decide redirects the browser back, with a code or without one.
func (s *Server) decide(v *visit, consent Consent) reply {
	p, ok := s.person(s.people.current)
	if !ok {
		return errorPage(0, "没有这个用户", "The person is unknown: AddPerson adds one.")
	}
	pairs := "state=" + url.QueryEscape(v.state)
	if consent == Allow || consent == Snapshot {
		c := &code{what: v.what, app: v.app, person: p, scope: v.scope}
		if consent == Snapshot && v.scope == "snsapi_userinfo" {
			c.virtual = newID("visitor", 43)
		}
		life := codeLife
		if v.app.Kind == Website {
			life = websiteLife
		}
		pairs = "code=" + s.issueCode(c, life) + "&" + pairs
	}
	if v.platform != "" {
		pairs += "&appid=" + url.QueryEscape(v.app.ID)
	}
	to := *v.redirect
	if to.RawQuery != "" {
		pairs = to.RawQuery + "&" + pairs
	}
	to.RawQuery = pairs
	return reply{status: http.StatusFound, header: http.Header{"Location": {to.String()}, "Cache-Control": {"no-store"}}}
}

//go:embed oauth_page.html
var pageSource string

var pages = template.Must(template.New("pages").Parse(pageSource))

func htmlReply(status int, name string, data any) reply {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return reply{status: http.StatusInternalServerError, body: []byte(err.Error())}
	}
	return reply{
		status: status,
		header: http.Header{"Content-Type": {"text/html; charset=utf-8"}, "Cache-Control": {"no-store"}},
		body:   b.Bytes(),
	}
}

// errorPage returns WeChat's page for an invalid link, with more details than WeChat gives.
func errorPage(code int, title, text string) reply {
	return htmlReply(http.StatusOK, "mistake", map[string]any{"Code": code, "Title": title, "Text": text})
}
