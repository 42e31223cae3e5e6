package wechattest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The page on which the administrator of an account authorizes a platform, on a computer and inside WeChat.
const (
	componentPagePath   = "/cgi-bin/componentloginpage"
	componentMobilePath = "/safe/bindcomponent"
	componentAnswerPath = "/safe/bindcomponent_answer"
)

// bindVisit is a browser on the authorization page.
type bindVisit struct {
	platform *platform
	preauth  string
	redirect *url.URL
	accounts []string
	expires  time.Time
}

// componentPage serves the authorization page.
func (s *Server) componentPage(r *http.Request, mobile bool) reply {
	q, now := r.URL.Query(), time.Now()
	p := s.platforms[q.Get("component_appid")]
	v := &bindVisit{platform: p, preauth: q.Get("pre_auth_code"), expires: now.Add(10 * time.Minute)}
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case p == nil:
		return errorPage(61011, "第三方平台不存在", "component_appid is no platform.")
	case mobile && (q.Get("action") != "bindcomponent" || q.Get("no_scan") != "1"):
		return errorPage(0, "参数错误", "action must be bindcomponent, and no_scan 1.")
	case !now.Before(p.preauth[v.preauth]):
		return errorPage(61010, "预授权码已失效，请重新进入", "pre_auth_code is unknown, used or expired.")
	case err != nil || redirect.Scheme != "http" && redirect.Scheme != "https" || redirect.Host == "":
		return errorPage(0, "redirect_uri 参数错误", "redirect_uri must be an address.")
	case p.Domain != "" && (redirect.Host != p.Domain || refererHost(r) != p.Domain):
		return errorPage(0, "请确认授权入口页所在域名，与授权后回调页所在域名相同，并且，此两者都必须是第三方平台登记的域名",
			"The page that leads here, by its Referer, and redirect_uri must have the platform's domain.")
	}
	v.redirect = redirect
	for id, a := range s.apps {
		if biz := q.Get("biz_appid"); (biz == "" || biz == id) && mayBind(a, q.Get("auth_type")) {
			v.accounts = append(v.accounts, id)
		}
	}
	slices.Sort(v.accounts)
	if len(v.accounts) == 0 {
		return errorPage(0, "没有可授权的帐号", "No account has this kind and biz_appid.")
	}
	if s.people.consent == Allow {
		return s.bind(v, v.accounts[0])
	}
	if s.bindings == nil {
		s.bindings = make(map[string]*bindVisit)
	}
	for ticket, old := range s.bindings {
		if !now.Before(old.expires) {
			delete(s.bindings, ticket)
		}
	}
	ticket := newID("visit", 43)
	s.bindings[ticket] = v
	return htmlReply(http.StatusOK, "bind", map[string]any{"Platform": p.ID, "Ticket": ticket, "Accounts": v.accounts, "Answer": componentAnswerPath})
}

func refererHost(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("Referer"))
	if err != nil {
		return ""
	}
	return u.Host
}

// mayBind reports whether an account is of a kind that auth_type asks for.
func mayBind(a *app, authType string) bool {
	switch authType {
	case "1":
		return a.Kind == Official
	case "2":
		return a.Kind == Mini
	}
	return a.Kind == Official || a.Kind == Mini
}

// answerBinding serves the buttons of the authorization page.
func (s *Server) answerBinding(r *http.Request) reply {
	q := r.URL.Query()
	v := s.bindings[q.Get("ticket")]
	delete(s.bindings, q.Get("ticket"))
	switch {
	case v == nil || !time.Now().Before(v.expires):
		return errorPage(0, "页面已失效", "The page was used, or is too old.")
	case q.Get("do") != "allow":
		return errorPage(0, "已拒绝授权", "The account was not authorized.")
	case !slices.Contains(v.accounts, q.Get("account")):
		return errorPage(0, "没有可授权的帐号", "The account is unknown.")
	}
	return s.bind(v, q.Get("account"))
}

// bind authorizes the platform for an account, and redirects the browser back with the code. The notice is on its way meanwhile.
func (s *Server) bind(v *bindVisit, appID string) reply {
	id := v.platform.ID
	code, infoType := v.platform.authorize(s.apps[appID], v.preauth, time.Now())
	s.background(func() { _, _ = s.notifyGrant(context.Background(), id, infoType, appID, code, v.preauth) })
	to := *v.redirect
	pairs := "auth_code=" + url.QueryEscape(code) + "&expires_in=" + strconv.Itoa(int(authCodeLife/time.Second))
	if to.RawQuery != "" {
		pairs = strings.TrimSuffix(to.RawQuery, "&") + "&" + pairs
	}
	to.RawQuery = pairs
	return reply{status: http.StatusFound, header: http.Header{"Location": {to.String()}, "Cache-Control": {"no-store"}}}
}
