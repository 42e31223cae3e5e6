package wechattest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

func platformRoutes() []route {
	post := func(path string, serve func(*Server, *call) reply) route {
		return route{path: "/cgi-bin/component/" + path, on: apiHost, method: http.MethodPost, body: jsonBody, open: true, serve: serve}
	}
	return []route{
		post("api_start_push_ticket", (*Server).startPushTicket),
		post("api_component_token", (*Server).componentToken),
		post("api_create_preauthcode", withComponent((*Server).createPreAuthCode)),
		post("api_query_auth", withComponent((*Server).queryAuth)),
		post("api_authorizer_token", withComponent((*Server).authorizerToken)),
		post("api_get_authorizer_info", withComponent((*Server).authorizerInfo)),
		post("api_get_authorizer_list", withComponent((*Server).authorizerList)),
	}
}

// signInPlatform checks the caller of a call with the platform's secret.
func (s *Server) signInPlatform(c *call, secretName string) (*platform, int) {
	id, secret := c.text("component_appid"), c.text(secretName)
	p := s.platforms[id]
	switch {
	case id == "":
		return nil, 41018
	case p == nil:
		return nil, 40013
	case secret == "":
		return nil, 41004
	case !p.allowsCall(c.ip):
		return nil, 61004
	case !p.app.secretIs(secret):
		return nil, 40125
	}
	return p, 0
}

// startPushTicket has tickets pushed again.
func (s *Server) startPushTicket(c *call) reply {
	p, code := s.signInPlatform(c, "component_secret")
	if code != 0 {
		return c.refuse(code)
	}
	p.stopped = false
	id := p.ID
	s.background(func() { s.pushTicket(id) })
	return c.done(nil)
}

// componentToken issues a new token with every call, like cgi-bin/token.
func (s *Server) componentToken(c *call) reply {
	p, code := s.signInPlatform(c, "component_appsecret")
	if code == 0 {
		code = p.ticketCode(c.text("component_verify_ticket"), c.now)
	}
	if code == 0 && !p.app.day.take(c.path, dayOf(c.now), 2000) {
		code = 45009
	}
	if code != 0 {
		return c.refuse(code)
	}
	t := s.issue(p.app, &p.tokens, c.path, c.now, c.now.Add(p.app.window()))
	return c.ok(fields{"component_access_token": t.value, "expires_in": seconds(t.expires.Sub(c.now))})
}

// withComponent checks the component token of a call. Newer pages of WeChat's name it access_token.
func withComponent(serve func(*Server, *call, *platform) reply) func(*Server, *call) reply {
	return func(s *Server, c *call) reply {
		p, code := s.componentOf(c, c.text("component_appid"))
		if code == 0 && !p.app.day.take(c.path, dayOf(c.now), 500_000) {
			code = 45009
		}
		if code != 0 {
			return c.refuse(code)
		}
		return serve(s, c, p)
	}
}

// componentOf returns the platform of the component token of a call.
func (s *Server) componentOf(c *call, appID string) (*platform, int) {
	value := cmp.Or(c.query.Get("component_access_token"), c.query.Get("access_token"))
	t := s.tokens[value]
	switch {
	case value == "":
		return nil, 41021
	case t == nil || t.app.Kind != platformKind:
		return nil, 40014
	}
	switch _, code := t.verdict(c.now); code {
	case 0:
	case 42001:
		return nil, 42006
	default:
		return nil, code
	}
	p := s.platforms[t.app.ID]
	switch {
	case !p.allowsCall(c.ip):
		return nil, 61004
	case appID == "":
		return nil, 41018
	case appID != p.ID:
		return nil, 61011
	}
	return p, 0
}

func (s *Server) createPreAuthCode(c *call, p *platform) reply {
	for code, end := range p.preauth {
		if !c.now.Before(end) {
			delete(p.preauth, code)
		}
	}
	code := newID("preauthcode", 64)
	p.preauth[code] = c.now.Add(preAuthLife)
	return c.ok(fields{"pre_auth_code": code, "expires_in": int(preAuthLife / time.Second)})
}

// queryAuth exchanges the code of an authorization. The same code again returns the same refresh token, unless CodesOnce.
func (s *Server) queryAuth(c *call, p *platform) reply {
	ac := p.codes[c.text("authorization_code")]
	switch {
	case ac == nil || ac.used && p.CodesOnce:
		return c.refuse(61009)
	case !c.now.Before(ac.expires):
		return c.refuse(61010)
	case ac.grant.revoked:
		return c.refuse(61003)
	}
	ac.used = true
	g := ac.grant
	if g.refresh == "" {
		g.refresh = newRefreshToken()
	}
	t := g.tokens.alive(c.now)
	if t == nil || t.expires.Sub(c.now) < g.app.window() {
		t = s.issueGranted(c, g)
	}
	return c.ok(fields{"authorization_info": fields{
		"authorizer_appid": g.app.ID, "authorizer_access_token": t.value, "expires_in": seconds(t.expires.Sub(c.now)),
		"authorizer_refresh_token": g.refresh, "func_info": funcInfo(),
	}})
}

func newRefreshToken() string { return newID("refreshtoken", 50) }

// issueGranted issues a token of an account for a platform. The one before stays valid for the window at most.
func (s *Server) issueGranted(c *call, g *grant) *issued {
	t := s.issue(g.app, &g.tokens, c.path, c.now, c.now.Add(g.app.window()))
	t.grant = g
	return t
}

// funcInfo is the permissions of an account, by WeChat's numbers.
func funcInfo() (list []fields) {
	for _, id := range []int{1, 2, 3, 4, 15} {
		list = append(list, fields{"funcscope_category": fields{"id": id}})
	}
	return list
}

// authorizerToken issues a new token with every call and, with Rotate, a new refresh token.
func (s *Server) authorizerToken(c *call, p *platform) reply {
	g := p.grantOf(c.text("authorizer_appid"))
	switch {
	case g == nil:
		return c.refuse(61003)
	case g.refresh == "" || g.refresh != c.text("authorizer_refresh_token"):
		return c.refuse(61023)
	}
	t := s.issueGranted(c, g)
	if p.Rotate {
		g.refresh = newRefreshToken()
	}
	return c.ok(fields{"authorizer_access_token": t.value, "expires_in": seconds(t.expires.Sub(c.now)), "authorizer_refresh_token": g.refresh})
}

func (s *Server) authorizerInfo(c *call, p *platform) reply {
	g := p.grantOf(c.text("authorizer_appid"))
	if g == nil {
		return c.refuse(61003)
	}
	account := fields{
		"nick_name": "wechattest " + g.app.ID, "head_img": "", "service_type_info": fields{"id": 2}, "verify_type_info": fields{"id": 0},
		"user_name": "gh_" + deriveID("account", g.app.ID, "")[:12], "principal_name": "wechattest", "alias": "", "qrcode_url": "",
		"business_info": fields{"open_pay": 0, "open_shake": 0, "open_scan": 0, "open_card": 0, "open_store": 0},
	}
	if g.app.Kind == Mini {
		account["service_type_info"] = fields{"id": 0}
		account["MiniProgramInfo"] = fields{"network": fields{"RequestDomain": []string{}}, "categories": []fields{}, "visit_status": 0}
	}
	authorization := fields{"authorizer_appid": g.app.ID, "func_info": funcInfo()}
	if !p.HideInInfo && g.refresh != "" {
		authorization["authorizer_refresh_token"] = g.refresh
	}
	return c.ok(fields{"authorizer_info": account, "authorization_info": authorization})
}

// maxAuthorizers is the largest page of api_get_authorizer_list.
const maxAuthorizers = 500

func (s *Server) authorizerList(c *call, p *platform) reply {
	var offset, count int
	if json.Unmarshal(c.fields["offset"], &offset) != nil || json.Unmarshal(c.fields["count"], &count) != nil {
		return c.refuse(47001)
	}
	if offset < 0 || count < 1 || count > maxAuthorizers {
		return c.refuse(40097)
	}
	granted := slices.DeleteFunc(slices.Clone(p.order), func(id string) bool { return p.grantOf(id) == nil })
	list := []fields{}
	for _, id := range granted[min(offset, len(granted)):min(offset+count, len(granted))] {
		entry := fields{"authorizer_appid": id, "auth_time": p.grants[id].at.Unix()}
		if !p.HideInList {
			entry["refresh_token"] = p.grants[id].refresh
		}
		list = append(list, entry)
	}
	return c.ok(fields{"total_count": len(granted), "list": list})
}
