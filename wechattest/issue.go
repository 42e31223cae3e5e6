package wechattest

import (
	"encoding/json"
	"net/http"
	"time"
)

func tokenRoutes() []route {
	return []route{
		{path: "/cgi-bin/token", on: apiHost, method: http.MethodGet, open: true, serve: (*Server).classicToken},
		{path: "/cgi-bin/stable_token", on: apiHost, method: http.MethodPost, body: jsonBody, open: true, plain: true, serve: (*Server).stableToken},
		{path: "/cgi-bin/gettoken", on: workHost, method: http.MethodGet, open: true, serve: (*Server).workToken},
	}
}

// classicToken issues a new token with every call. The token before stays valid for the window at most.
func (s *Server) classicToken(c *call) reply {
	a, rep := s.signIn(c, c.query.Get("grant_type"), c.query.Get("appid"), c.query.Get("secret"))
	if a == nil {
		return rep
	}
	if !a.day.take(c.path, dayOf(c.now), a.quota(c.path)) {
		return c.refuse(45009)
	}
	t := s.issue(a, &a.classic, c.path, c.now, c.now.Add(a.window()))
	return c.token(t)
}

// stableToken replies with the same token until it is due. Forced refreshes are limited: one too soon after the last
// changes nothing, without an error. WeChat does not document the reply beyond the daily limit; 45009 is the choice of this
// package.
func (s *Server) stableToken(c *call) reply {
	var force bool
	for name, into := range map[string]any{
		"grant_type": new(string), "appid": new(string), "secret": new(string), "force_refresh": &force,
	} {
		if raw, ok := c.fields[name]; ok && json.Unmarshal(raw, into) != nil {
			return c.refuse(47001)
		}
	}
	a, rep := s.signIn(c, c.text("grant_type"), c.text("appid"), c.text("secret"))
	if a == nil {
		return rep
	}
	if !a.minute.take(c.path, minuteOf(c.now), 10_000) {
		return c.refuse(45011)
	}
	if !a.day.take(c.path, dayOf(c.now), a.quota(c.path)) {
		return c.refuse(45009)
	}
	if force && (a.forced.IsZero() || c.now.Sub(a.forced) >= a.spacing()) {
		if !a.force.take(c.path, dayOf(c.now), orDefault(a.ForceQuota, 20)) {
			return c.refuse(45009)
		}
		a.forced = c.now
		return c.token(s.issue(a, &a.stable, c.path, c.now, c.now))
	}
	if a.stable.remaining(c.now) < a.window() {
		// The old one goes on to its own end.
		return c.token(s.issue(a, &a.stable, c.path, c.now, c.now.Add(a.life())))
	}
	return c.token(a.stable.current)
}

// signIn checks the caller of a token call of api.weixin.qq.com, in WeChat's order.
func (s *Server) signIn(c *call, grant, id, secret string) (*app, reply) {
	switch {
	case id == "":
		return nil, c.refuse(41002)
	case secret == "":
		return nil, c.refuse(41004)
	case grant != "client_credential":
		return nil, c.refuse(40002)
	}
	a := s.apps[id]
	switch {
	case s.platforms[id] != nil:
		return nil, c.refuse(61024)
	case a == nil:
		return nil, c.refuse(40013)
	case !a.allows(c.ip):
		return nil, c.refuse(40164)
	case !a.secretIs(secret):
		return nil, c.refuse(40125)
	case a.SecretFrozen:
		return nil, c.refuse(40243)
	}
	return a, reply{}
}

func (c *call) token(t *issued) reply {
	return c.ok(fields{"access_token": t.value, "expires_in": seconds(t.expires.Sub(c.now))})
}

// workToken replies with the same token until it expires. The whitelist belongs to the application, so it is checked after
// the secret, which identifies the application.
func (s *Server) workToken(c *call) reply {
	id, secret := c.query.Get("corpid"), c.query.Get("corpsecret")
	switch {
	case id == "":
		return c.refuseAs(41002, "corpid missing")
	case secret == "":
		return c.refuseAs(41004, "corpsecret missing")
	}
	co := s.corps[id]
	if co == nil {
		return c.refuseAs(40013, "invalid corpid")
	}
	a := co.apps[secret]
	switch {
	case a == nil:
		return c.refuseAs(40001, "invalid credential")
	case !a.allows(c.ip):
		return c.refuse(60020)
	case a.SecretFrozen:
		return c.refuse(50003)
	case !a.day.take(c.path, dayOf(c.now), a.quota(c.path)):
		return c.refuse(45009)
	}
	t := a.work.alive(c.now)
	if t == nil {
		t = s.issue(a, &a.work, c.path, c.now, time.Time{})
	}
	return c.done(fields{"access_token": t.value, "expires_in": seconds(t.expires.Sub(c.now))})
}
