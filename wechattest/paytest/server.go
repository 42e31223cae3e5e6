package paytest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server simulates WeChat Pay. The zero value is ready: add a merchant, then either pass [Server.Client] to the code under
// test or serve the Server over HTTP and set the base URL to it. Set the fields before use. It is safe for concurrent use,
// and must not be copied after first use. Close it when notifications may still be under way.
type Server struct {
	// Transport carries notifications to merchants; default one that opens a connection for each. [InMemory] makes one
	// that reaches a handler of this process.
	Transport http.RoundTripper

	// RefundAfter is how long a refund stays PROCESSING until it becomes SUCCESS by itself; default: until FinishRefund.
	RefundAfter time.Duration

	// GenerateKey returns the next RSA key; default a new one of 2048 bits. A test that adds many merchants saves time with
	// a few keys that it returns in turn, one that signs very much with keys of 1024 bits.
	GenerateKey func() (*rsa.PrivateKey, error)

	// ControlHosts are the names, without port, under which the driving calls and the phone are served beside loopback names and
	// addresses. A POST of a page of another origin is refused under any name.
	ControlHosts []string

	once   sync.Once
	routes []*route
	pages  *http.ServeMux  // for browsers
	ended  context.Context // when the Server is closed
	end    context.CancelFunc
	sender *http.Client
	work   sync.WaitGroup // goroutines in the background

	// mu guards everything below, and all that accounts hold. No goroutine waits or sends while it holds mu.
	mu         sync.Mutex
	closed     bool
	accounts   map[string]*account // by mchid
	prepaid    map[string]*order   // by prepay_id
	codes      map[string]*payCode // by auth_code
	bills      map[string]*billFile
	billsDue   int // at so many the expired ones are dropped
	calls      map[string]int
	faults     []*Fault
	disturbed  []*NotificationFault
	deliveries []Delivery
	sheets     []*sheet // the oldest first
	serial     int64    // the last number given
}

const (
	maxBody   = 1 << 20 // of a call
	maxUpload = 6 << 20 // of a call that uploads
	maxPaths  = 10_000  // paths counted, so that a scanner cannot fill the memory
)

func (s *Server) start() {
	s.once.Do(func() {
		s.ended, s.end = context.WithCancel(context.Background())
		transport := s.Transport
		if transport == nil {
			transport = &http.Transport{DisableKeepAlives: true}
		}
		s.sender = &http.Client{
			Transport:     transport,
			Timeout:       answerWithin,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		s.routes = allRoutes()
		s.pages = s.newPages()
	})
}

// Close ends the notifications that wait for their next attempt and everything else in the background, and returns
// when it has ended. Calls are answered as before, but no notification is sent any more.
func (s *Server) Close() {
	s.start()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.work.Wait()
}

// background runs do beside the calls. It is called with the Server locked.
func (s *Server) background(do func(ctx context.Context)) {
	if s.closed {
		return
	}
	s.work.Go(func() { do(s.ended) })
}

// after runs do, with the Server locked, when d is over. It is called with the Server locked.
func (s *Server) after(d time.Duration, do func()) {
	s.background(func(ctx context.Context) {
		if wait(ctx, d) {
			s.mu.Lock()
			defer s.mu.Unlock()
			do()
		}
	})
}

// ServeHTTP answers as WeChat Pay does, under any host name.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.start()
	if name, ok := strings.CutPrefix(r.URL.Path, controlPrefix); ok {
		s.control(r, name).write(w)
		return
	}
	if isPage(r.URL.Path) {
		s.pages.ServeHTTP(w, r)
		return
	}
	c := s.read(r)

	s.mu.Lock()
	if _, seen := s.calls[c.path]; seen || len(s.calls) < maxPaths {
		if s.calls == nil {
			s.calls = make(map[string]int)
		}
		s.calls[c.path]++
	}
	fault := s.due(c)
	s.mu.Unlock()

	var a answer
	if fault == nil {
		a = s.sign(c, s.serve(c), "")
	} else {
		a = s.apply(fault, c)
	}
	a.write(w)
}

// Calls returns the number of calls to path, escaped and without query, refused ones too.
func (s *Server) Calls(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// serve returns the answer to a call: it makes the checks that all paths share, then calls the path's own function.
func (s *Server) serve(c *call) answer {
	c.now = time.Now()
	if a, ok := s.check(c); !ok {
		return a
	}
	if c.route.unlocked {
		return c.route.serve(s, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.route.serve(s, c)
}

func (s *Server) generateKey() (*rsa.PrivateKey, error) {
	if s.GenerateKey != nil {
		return s.GenerateKey()
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// wait waits for d, and reports whether ctx lasted as long.
func wait(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// readBody reads at most limit bytes. over reports whether the body has more.
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
