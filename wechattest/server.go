package wechattest

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server simulates WeChat. The zero value is ready: add an app, then either give [Server.Client] to the code under test, or
// serve the Server over HTTP and point the base URLs to it. It is safe for concurrent use, and must not be copied after
// first use.
type Server struct {
	ClientIP string // source address of calls over Client; set before use; default 127.0.0.1

	// ControlHosts are the names, without port, under which the control calls are served besides loopback names and
	// addresses. Set it before use. A POST by a page of another origin is refused under any name.
	ControlHosts []string

	// FindPayment returns the payment of a TransactionID, or of a MchID and OutTradeNo, for upload_shipping_info. Set it before use. It
	// must not call the Server. Default: there is no payment, errcode 10060001.
	FindPayment func(Payment) (Payment, bool)

	once  sync.Once
	paths map[string][]*route

	// mu guards all fields below. No code waits while it holds mu: faults wait before and after.
	mu     sync.Mutex
	apps   map[string]*app  // by appid
	corps  map[string]*corp // by corpid
	tokens map[string]*issued
	calls  map[string]int            // by path
	byApp  map[string]map[string]int // by appid or corpid, then path
	faults []*Fault
	sent   []Message
	media  mediaStore
	serial int64 // the last msgid

	qrcodes    map[string]*qrcode // by ticket
	qrcodesDue int                // the number of qrcodes at which the expired ones are dropped

	people people

	shipments map[string]*shipment // by transaction_id

	platforms map[string]*platform
	bindings  map[string]*bindVisit // authorization pages that wait, by ticket
	work      sync.WaitGroup        // of background
}

const (
	maxBody  = 1 << 20  // of a call
	maxMedia = 10 << 20 // of a call that uploads
	maxPaths = 10_000   // unknown paths counted, so that a scanner cannot fill the memory
	maxFile  = 20 << 20 // of a file that is uploaded to WeCom
	maxForm  = 64 << 10 // of the parts and headers around it
)

// ServeHTTP replies as WeChat would. A request whose Host is a WeChat host is served by that host only. Under any other
// name, such as 127.0.0.1:8080, all hosts are served, and the owner of the token decides which one is meant.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.do(r).write(w)
}

// do serves a call, over a socket or in memory: it reads and counts the call, and applies a fault that is due.
func (s *Server) do(r *http.Request) reply {
	on, named := hostOf(r)
	if name, ok := strings.CutPrefix(r.URL.Path, controlPrefix); ok && !named {
		return s.control(r, name)
	}

	if rep, ok := s.page(r); ok {
		return rep
	}

	candidates := s.routes()[r.URL.Path]
	c := &call{
		method: r.Method,
		path:   r.URL.Path,
		query:  r.URL.Query(),
		kind:   r.Header.Get("Content-Type"),
		ip:     callerIP(r),
	}
	takes := func(kind bodyKind) bool {
		return slices.ContainsFunc(candidates, func(rt *route) bool { return rt.body == kind })
	}
	limit := int64(maxBody)
	for _, rt := range candidates {
		limit = max(limit, rt.limit())
	}
	var err error
	if c.body, c.over, err = readBody(r, limit); err != nil {
		return reply{cut: true, err: err} // the caller went away before the end of its body
	}
	if takes(jsonBody) {
		c.parse()
	}

	s.mu.Lock()
	c.route = s.pick(c, candidates, on, named)
	c.over = c.over || c.route != nil && int64(len(c.body)) > c.route.limit()
	id := s.idOf(c)
	s.count(c.path, id)
	fault := s.due(c.path, id)
	s.mu.Unlock()

	if fault == nil {
		return s.serve(c)
	}
	return fault.apply(r.Context(), c, s.serve)
}

// serve makes the checks that every path shares, and calls the handler of the path.
func (s *Server) serve(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.now = time.Now()
	if c.route == nil {
		return c.refuse(40066)
	}
	if rep, ok := s.check(c); !ok {
		return rep
	}
	return c.route.serve(s, c)
}

// idOf returns the id of the app that a call belongs to, from the call itself, or "". A call of a platform for an account belongs to
// the account.
func (s *Server) idOf(c *call) string {
	if t := s.tokens[c.query.Get("access_token")]; t != nil {
		return t.app.ID
	}
	if t := s.tokens[c.query.Get("component_access_token")]; t != nil {
		if id := c.text("authorizer_appid"); id != "" {
			return id
		}
		return t.app.ID
	}
	for _, id := range []string{c.query.Get("appid"), c.query.Get("corpid"), c.text("appid"), c.text("component_appid")} {
		if s.apps[id] != nil || s.corps[id] != nil || s.platforms[id] != nil {
			return id
		}
	}
	return ""
}

func (s *Server) count(path, id string) {
	if s.calls == nil {
		s.calls = make(map[string]int)
		s.byApp = make(map[string]map[string]int)
	}
	if _, seen := s.calls[path]; seen || len(s.calls) < maxPaths {
		s.calls[path]++
	}
	if id == "" || s.paths[path] == nil {
		return
	}
	if s.byApp[id] == nil {
		s.byApp[id] = make(map[string]int)
	}
	s.byApp[id][path]++
}

// Calls returns the number of calls to path so far, with those that were refused, faulted or cut.
func (s *Server) Calls(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// AppCalls returns, like [Server.Calls], the number of calls of one app: those with its appid or corpid, or with a token of
// it. It does not count paths that the Server does not have.
func (s *Server) AppCalls(id, path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byApp[id][path]
}

// readBody reads at most limit bytes. over reports whether the body is longer.
func readBody(r *http.Request, limit int64) (body []byte, over bool, err error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, false, nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	if int64(len(body)) > limit {
		return nil, true, nil
	}
	return body, false, err
}

func callerIP(r *http.Request) string {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return ip
}
