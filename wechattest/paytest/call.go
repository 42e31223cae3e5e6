package paytest

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// call is one request, read and ready.
type call struct {
	method string
	uri    string // path and query as they were sent
	path   string // escaped
	query  url.Values
	host   string
	header http.Header
	body   []byte
	signed []byte // the part of the body that is signed
	broken bool   // the body did not arrive, or is too long
	vars   []string
	route  *route
	other  bool // whether the path is known with another method
	plain  bool // whether it came over http
	now    time.Time
	from   *account // who signed
	v2     values   // the fields of a call of v2
	v2Err  error    // the reason why they could not be read

	request *http.Request
}

// route is one call of WeChat Pay. serve is called with the Server locked and must not wait, unless unlocked is set.
type route struct {
	method   string
	segments []string // of the path; {}: any
	bare     bool     // the answer carries no signature
	upload   bool
	unlocked bool
	v2       *v2Rules // nil: a call of v3
	serve    func(*Server, *call) answer
}

func at(pattern string, serve func(*Server, *call) answer) *route {
	method, path, _ := strings.Cut(pattern, " ")
	return &route{method: method, segments: strings.Split(path, "/"), serve: serve}
}

// read reads a request and finds its route.
func (s *Server) read(r *http.Request) *call {
	c := &call{method: r.Method, uri: r.RequestURI, query: r.URL.Query(), host: r.Host, header: r.Header, plain: r.TLS == nil, request: r}
	if !strings.HasPrefix(c.uri, "/") {
		c.uri = r.URL.RequestURI()
	}
	c.path, _, _ = strings.Cut(c.uri, "?")
	s.find(c)
	limit := int64(maxBody)
	if c.route != nil && c.route.upload {
		limit = maxUpload
	}
	var err error
	var over bool
	c.body, over, err = readBody(r, limit)
	c.broken = over || err != nil
	c.signed = c.body
	if c.route != nil && c.route.v2 != nil {
		c.readV2()
	}
	if c.route != nil && c.route.upload {
		c.signed = metaOf(c)
	}
	return c
}

func (s *Server) find(c *call) {
	segments := strings.Split(c.path, "/")
	for _, rt := range s.routes {
		vars, ok := rt.match(segments)
		if !ok {
			continue
		}
		if rt.method == c.method || rt.v2 != nil {
			c.route, c.vars = rt, vars
			return
		}
		c.other = true
	}
}

func (rt *route) match(segments []string) (vars []string, ok bool) {
	if len(segments) != len(rt.segments) {
		return nil, false
	}
	for i, want := range rt.segments {
		if want != "{}" {
			if segments[i] != want {
				return nil, false
			}
			continue
		}
		v, err := url.PathUnescape(segments[i])
		if err != nil || v == "" {
			return nil, false
		}
		vars = append(vars, v)
	}
	return vars, true
}

// check makes the checks that all calls share, in WeChat's order.
func (s *Server) check(c *call) (answer, bool) {
	switch {
	case c.route == nil && c.other:
		return answer{status: http.StatusMethodNotAllowed}, false
	case c.route == nil:
		return answer{status: http.StatusNotFound}, false
	case c.broken && c.route.v2 == nil:
		return refuse("PARAM_ERROR", "请求体过大或不完整"), false
	}
	if c.route.v2 != nil {
		return s.checkV2(c)
	}
	if !c.acceptable() {
		if c.ofOrders() {
			return refuse("SIGN_ERROR", "签名信息错误，验签失败"), false
		}
		return refuse("INVALID_REQUEST", "Http头缺少Accept或User-Agent"), false
	}
	if a, ok := s.authorize(c); !ok {
		return a, false
	}
	if a, ok := c.ownMchID(); !ok {
		return a, false
	}
	return answer{}, true
}

// ofOrders reports whether the call is one of those that refuse with messages of their own.
func (c *call) ofOrders() bool { return strings.HasPrefix(c.path, "/v3/pay/") }
