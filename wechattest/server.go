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

// Server plays WeChat. The zero value is ready: add an app, then either hand [Server.Client] to the code under test or
// serve the Server over HTTP and point the base URLs there. Safe for concurrent use; must not be copied after first use.
type Server struct {
	ClientIP string // the address that calls over Client come from, set before use; default 127.0.0.1

	// ControlHosts are the names, without port, under which the driving calls are served beside loopback names and
	// addresses, set before use. A POST of a page of another origin is refused under any name.
	ControlHosts []string

	once  sync.Once
	paths map[string][]*route

	// mu guards everything below. Nothing waits while holding it: faults wait before and after, never inside.
	mu     sync.Mutex
	apps   map[string]*app  // by appid
	corps  map[string]*corp // by corpid
	tokens map[string]*issued
	calls  map[string]int            // by path
	byApp  map[string]map[string]int // by appid or corpid, then path
	faults []*Fault
	sent   []Message
	media  mediaShelf
	serial int64 // the last msgid given

	qrcodes    map[string]*qrcode // by ticket
	qrcodesDue int                // how many of them have the expired ones dropped

	people people
}

const (
	maxBody  = 1 << 20  // of a call
	maxMedia = 10 << 20 // of a call that uploads
	maxPaths = 10_000   // unknown paths counted, so that a scanner cannot fill the memory
	maxFile  = 20 << 20 // of a file that is uploaded to WeCom
	maxForm  = 64 << 10 // of the parts and headers around it
)

// ServeHTTP answers as WeChat would. A request whose Host is one of WeChat's sees that host alone; under any other
// name, such as 127.0.0.1:8080, all hosts are served and the owner of the token tells which one is meant.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.do(r).write(w)
}

// do is the way of every call, over a socket or in memory: read it, count it, see whether a fault is due, serve it.
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
		return reply{cut: true, err: err} // the caller went away in the middle of its own body
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
	return fault.play(r.Context(), c, s.serve)
}

// serve does the work of a call: the checks every path shares, then the path's own.
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

// idOf tells whose call this is, by what the call itself says; "" when nothing does.
func (s *Server) idOf(c *call) string {
	if t := s.tokens[c.query.Get("access_token")]; t != nil {
		return t.app.ID
	}
	for _, id := range []string{c.query.Get("appid"), c.query.Get("corpid"), c.text("appid")} {
		if s.apps[id] != nil || s.corps[id] != nil {
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

// Calls counts the calls that arrived at path so far, whatever became of them: refused, faulted and cut ones included.
func (s *Server) Calls(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// AppCalls counts, like [Server.Calls], the calls of one app: those that named its
// appid or corpid, or used a token of it. Paths the Server does not play are not counted here.
func (s *Server) AppCalls(id, path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byApp[id][path]
}

// readBody reads at most limit bytes; over tells that there was more.
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
