package wechattest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// host is a set of WeChat hosts.
type host uint8

const (
	apiHost  host = 1 << iota // api.weixin.qq.com
	workHost                  // qyapi.weixin.qq.com
)

// hostOf returns the WeChat host that a request is for. named is false for any other name.
func hostOf(r *http.Request) (on host, named bool) {
	name, _, _ := strings.Cut(strings.ToLower(requestHost(r)), ":")
	switch name {
	case "api.weixin.qq.com", "api2.weixin.qq.com", "sh.api.weixin.qq.com", "sz.api.weixin.qq.com", "hk.api.weixin.qq.com":
		return apiHost, true
	case "qyapi.weixin.qq.com":
		return workHost, true
	}
	return 0, strings.HasSuffix(name, ".weixin.qq.com")
}

// requestHost returns the host, with its port, that a request is for. The in-memory client has it only in the URL.
func requestHost(r *http.Request) string {
	return cmp.Or(r.Host, r.URL.Host)
}

type bodyKind uint8

const (
	noBody bodyKind = iota
	jsonBody
	formBody // multipart/form-data
)

// route is a path of one host. serve is called with the Server locked and must not wait.
type route struct {
	path   string
	on     host
	method string // GET or POST; empty: either
	body   bodyKind
	open   bool   // needs no access_token; counts its quota by itself
	free   bool   // needs an access_token, but works when the quota is spent
	kinds  []Kind // who may call it; nil: everybody on that host
	plain  bool   // answers text/plain, as many WeChat calls do
	serve  func(*Server, *call) reply
}

// limit returns the largest size of the body of a call.
func (rt *route) limit() int64 {
	switch {
	case rt.body != formBody:
		return maxBody
	case rt.on == workHost:
		return maxFile + maxForm
	}
	return maxMedia
}

// routes returns the routing table. Each file adds its own routes.
func (s *Server) routes() map[string][]*route {
	s.once.Do(func() {
		s.paths = make(map[string][]*route)
		for _, rt := range slices.Concat(
			tokenRoutes(), ticketRoutes(), quotaRoutes(), addressRoutes(),
			messageRoutes(), menuRoutes(), mediaRoutes(), userRoutes(), wxacodeRoutes(),
			oauthRoutes(), miniRoutes(), memberRoutes(), materialRoutes(), qrcodeRoutes(),
			shippingRoutes(), platformRoutes(),
		) {
			s.paths[rt.path] = append(s.paths[rt.path], &rt)
		}
	})
	return s.paths
}

// pick returns the route of a call, or nil. If two hosts share a path and the request names neither, the owner of the token
// decides.
func (s *Server) pick(c *call, candidates []*route, on host, named bool) *route {
	if !named {
		on = apiHost
		if t := s.tokens[c.query.Get("access_token")]; t != nil && t.app.Kind == Work {
			on = workHost
		}
	}
	c.on = on
	for _, rt := range candidates {
		if rt.on&on != 0 {
			return rt
		}
	}
	if !named && len(candidates) > 0 {
		c.on = candidates[0].on
		return candidates[0]
	}
	return nil
}

// call is a request whose body was read.
type call struct {
	method string
	path   string
	query  url.Values
	kind   string // Content-Type
	ip     string
	body   []byte
	over   bool // the body was longer than it may be
	fields map[string]json.RawMessage
	route  *route
	on     host
	now    time.Time
	app    *app // whose token it is; nil on an open route
}

// parse parses the members of a JSON body. Names match in exact case, as for WeChat.
func (c *call) parse() {
	if !utf8.Valid(c.body) {
		return
	}
	if json.Unmarshal(c.body, &c.fields) != nil {
		c.fields = nil
	}
}

// text returns a string member of the JSON, or "" if it is absent or something else.
func (c *call) text(name string) string {
	var v string
	if json.Unmarshal(c.fields[name], &v) != nil {
		return ""
	}
	return v
}

// check makes the checks that all calls share, in WeChat's order.
func (s *Server) check(c *call) (reply, bool) {
	rt := c.route
	switch {
	case rt.method == http.MethodPost && c.method != http.MethodPost:
		return c.refuse(43002), false
	case rt.method == http.MethodGet && c.method != http.MethodGet:
		return c.refuse(43001), false
	case c.over && rt.body == formBody:
		return c.refuse(45001), false
	case c.over:
		return c.refuse(45002), false
	case rt.body != noBody && len(c.body) == 0:
		return c.refuse(44002), false
	case rt.body == jsonBody && c.fields == nil:
		return c.refuse(47001), false
	case rt.open:
		return reply{}, true
	}

	value := c.query.Get("access_token")
	if value == "" {
		return c.refuse(41001), false
	}
	t := s.tokens[value]
	if t == nil || (t.app.Kind == Work) != (c.on == workHost) {
		return c.refuse(40014), false
	}
	if _, code := t.verdict(c.now); code != 0 {
		return c.refuse(code), false
	}
	c.app = t.app
	switch {
	case c.app.Kind == platformKind:
		return c.refuse(48001), false
	case t.grant != nil && !t.grant.platform.allowsCall(c.ip):
		return c.refuse(61004), false
	case t.grant == nil && !c.app.allowsCall(c.ip, false):
		return c.refuse(c.app.notAllowed()), false
	case t.grant != nil && slices.Contains(t.grant.platform.Denied, c.path):
		return c.refuse(61007), false
	}
	if !rt.free && !c.app.day.take(c.path, dayOf(c.now), c.app.quota(c.path)) {
		return c.refuse(45009), false
	}
	if rt.kinds != nil && !slices.Contains(rt.kinds, c.app.Kind) {
		return c.refuse(48001), false
	}
	return reply{}, true
}
