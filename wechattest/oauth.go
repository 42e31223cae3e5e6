package wechattest

import (
	"net/http"
	"strings"
	"time"
)

func oauthRoutes() []route {
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{path: "/sns/oauth2/component/access_token", on: apiHost, method: get, open: true, plain: true, serve: (*Server).webToken},
		{path: "/sns/oauth2/component/refresh_token", on: apiHost, method: get, open: true, plain: true, serve: (*Server).webRefresh},
		{path: "/sns/oauth2/access_token", on: apiHost, method: get, open: true, plain: true, serve: (*Server).webToken},
		{path: "/sns/oauth2/refresh_token", on: apiHost, method: get, open: true, plain: true, serve: (*Server).webRefresh},
		{path: "/sns/userinfo", on: apiHost, method: get, open: true, plain: true, serve: (*Server).webUser},
		{path: "/sns/auth", on: apiHost, method: get, open: true, plain: true, serve: (*Server).webAuth},
		{path: "/cgi-bin/auth/getuserinfo", on: workHost, method: get, serve: (*Server).workAuthUserInfo},
		{path: "/cgi-bin/user/getuserinfo", on: workHost, method: get, serve: (*Server).workUserInfo},
		{path: "/cgi-bin/auth/getuserdetail", on: workHost, method: post, body: jsonBody, serve: (*Server).workDetail},
	}
}

// grant is what a person has let an app have.
type webGrant struct {
	code
	access, renew string
	expires, ends time.Time // of the access token, of the refresh token
}

const (
	accessLife  = 2 * time.Hour
	refreshLife = 30 * 24 * time.Hour
)

// webToken exchanges a code for tokens of its person.
func (s *Server) webToken(c *call) reply {
	a, platform, errcode := s.callerOrPlatform(c)
	if errcode == 0 && c.query.Get("code") == "" {
		errcode = 41008
	}
	if errcode == 0 && c.query.Get("grant_type") != "authorization_code" {
		errcode = 40002
	}
	if errcode != 0 {
		return c.refuse(errcode)
	}
	got, errcode := s.takeCode(c.query.Get("code"), "web"+platform, func(of *app) bool { return of == a }, c.now)
	if errcode != 0 {
		return c.refuse(errcode)
	}
	g := &webGrant{code: *got, renew: newID("refresh", 110), ends: c.now.Add(refreshLife)}
	if s.people.refresh == nil {
		s.people.refresh, s.people.access = make(map[string]*webGrant), make(map[string]*webGrant)
	}
	s.people.refresh[g.renew] = g
	s.extend(g, c.now)
	body := s.grantFields(g)
	if g.virtual != "" {
		body["is_snapshotuser"] = 1
	}
	if union := s.unionID(&g.code); union != "" {
		body["unionid"] = union
	}
	return c.ok(body)
}

// webRefresh extends the access token, or issues a new one if it has expired. It needs no secret.
func (s *Server) webRefresh(c *call) reply {
	q := c.query
	a := s.apps[q.Get("appid")]
	g := s.people.refresh[q.Get("refresh_token")]
	switch {
	case q.Get("appid") == "":
		return c.refuse(41002)
	case q.Get("refresh_token") == "":
		return c.refuse(41003)
	case q.Get("grant_type") != "refresh_token":
		return c.refuse(40002)
	case a == nil:
		return c.refuse(40013)
	}
	platform := ""
	if isComponentPath(c.path) {
		var errcode int
		if _, platform, errcode = s.callerOrPlatform(c); errcode != 0 {
			return c.refuse(errcode)
		}
	}
	switch {
	case g == nil || g.app != a || g.what != "web"+platform:
		return c.refuse(40030)
	case !c.now.Before(g.ends):
		return c.refuse(42002)
	}
	s.extend(g, c.now)
	return c.ok(s.grantFields(g))
}

func (s *Server) extend(g *webGrant, now time.Time) {
	if !now.Before(g.expires) {
		g.access = newID("web", 110)
		s.people.access[g.access] = g
	}
	g.expires = now.Add(accessLife)
}

func (s *Server) grantFields(g *webGrant) fields {
	return fields{
		"access_token": g.access, "expires_in": int(accessLife / time.Second), "refresh_token": g.renew,
		"openid": s.openID(&g.code), "scope": g.scope,
	}
}

// webUser replies with the person of a grant, if the scope allows it.
func (s *Server) webUser(c *call) reply {
	g, code := s.grantOf(c)
	if code == 0 && g.scope == "snsapi_base" {
		code = 48001
	}
	if code != 0 {
		return c.refuse(code)
	}
	p, ok := s.person(g.person.Name) // as the person is now
	if !ok {
		p = g.person
	}
	body := fields{
		"openid": s.openID(&g.code), "nickname": p.Nickname, "sex": 0, "language": "", "city": "", "province": "", "country": "",
		"headimgurl": p.HeadImgURL, "privilege": []string{},
	}
	if g.virtual != "" {
		body["nickname"] = "微信用户"
	}
	if union := s.unionID(&g.code); union != "" {
		body["unionid"] = union
	}
	return c.ok(body)
}

func (s *Server) webAuth(c *call) reply {
	if _, code := s.grantOf(c); code != 0 {
		return c.refuse(code)
	}
	return c.done(nil)
}

// grantOf returns the grant of the tokens in a call.
func (s *Server) grantOf(c *call) (g *webGrant, code int) {
	token, openID := c.query.Get("access_token"), c.query.Get("openid")
	g = s.people.access[token]
	switch {
	case token == "":
		return nil, 41001
	case openID == "":
		return nil, 41009
	case g == nil:
		return nil, 40014
	case g.access != token || !c.now.Before(g.expires):
		return nil, 42001
	case openID != s.openID(&g.code):
		return nil, 40003
	}
	return g, 0
}

// isComponentPath reports whether a path is called by a platform for an account, in place of the account itself.
func isComponentPath(path string) bool { return strings.Contains(path, "/component/") }

// callerOrPlatform returns the app of a call, with the platform that makes the call for it, by component_access_token.
func (s *Server) callerOrPlatform(c *call) (a *app, platform string, code int) {
	if !isComponentPath(c.path) {
		a, code = s.caller(c)
		return a, "", code
	}
	if c.query.Get("appid") == "" {
		return nil, "", 41002
	}
	p, code := s.componentOf(c, c.query.Get("component_appid"))
	if code != 0 {
		return nil, "", code
	}
	g := p.grantOf(c.query.Get("appid"))
	if g == nil {
		return nil, "", 61003
	}
	return g.app, " by " + p.ID, 0
}

// caller returns the app of a call with appid and secret.
func (s *Server) caller(c *call) (a *app, code int) {
	a = s.apps[c.query.Get("appid")]
	switch {
	case c.query.Get("appid") == "":
		return nil, 41002
	case c.query.Get("secret") == "":
		return nil, 41004
	case a == nil:
		return nil, 40013
	case !a.allowsCall(c.ip, true):
		return nil, a.notAllowed()
	case !a.secretIs(c.query.Get("secret")):
		return nil, 40125
	}
	return a, 0
}

// workAuthUserInfo replies with the person of a code, with the field names of the newer path.
func (s *Server) workAuthUserInfo(c *call) reply {
	got, ticket, errcode := s.workCode(c)
	if errcode != 0 {
		return c.refuse(errcode)
	}
	if got.person.Visitor {
		return c.done(fields{"openid": s.OpenID(c.app.ID, got.person.Name)})
	}
	body := fields{"userid": got.person.UserID}
	if ticket != "" {
		body["user_ticket"] = ticket
	}
	return c.done(body)
}

// workUserInfo replies with the person of a code, with the field names of the older path.
func (s *Server) workUserInfo(c *call) reply {
	got, ticket, errcode := s.workCode(c)
	if errcode != 0 {
		return c.refuse(errcode)
	}
	body := fields{"DeviceId": deriveID("device", c.app.ID, got.person.Name)}
	if got.person.Visitor {
		body["OpenId"] = s.OpenID(c.app.ID, got.person.Name)
		return c.done(body)
	}
	body["UserId"] = got.person.UserID
	if ticket != "" {
		body["user_ticket"], body["expires_in"] = ticket, int(ticketLife/time.Second)
	}
	return c.done(body)
}

const ticketLife = 30 * time.Minute // of a user_ticket

// workCode uses up the code of a call. ticket is a user_ticket if the scope gives one. WeCom has one errcode for all
// invalid codes.
func (s *Server) workCode(c *call) (got *code, ticket string, errcode int) {
	got, errcode = s.takeCode(c.query.Get("code"), "work", func(of *app) bool { return of.corp == c.app.corp }, c.now)
	if errcode == 40163 || errcode == 42003 {
		errcode = 40029
	}
	if errcode != 0 {
		return nil, "", errcode
	}
	if got.scope != "snsapi_privateinfo" || got.person.Visitor {
		return got, "", 0
	}
	if s.people.details == nil {
		s.people.details = make(map[string]*code)
	}
	ticket = newID("user_ticket", 86)
	detail := *got
	detail.expires = c.now.Add(ticketLife)
	s.people.details[ticket] = &detail
	return got, ticket, 0
}

// workDetail replies with the details that a member has agreed to share.
func (s *Server) workDetail(c *call) reply {
	d := s.people.details[c.text("user_ticket")]
	if d == nil || d.app.corp != c.app.corp || !c.now.Before(d.expires) {
		return c.refuseAs(40078, "invalid user_ticket")
	}
	return c.done(fields{
		"userid": d.person.UserID, "gender": "1", "avatar": d.person.HeadImgURL, "qr_code": "", "mobile": d.person.Phone,
		"email": d.person.Name + "@example.com", "biz_mail": "", "address": "",
	})
}

// bare returns a host without its port.
func bare(host string) string {
	if i := strings.LastIndex(host, ":"); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}
