package wechattest

import (
	"context"
	"net/http"
	"time"
)

// Fault is something that goes wrong. Which of its fields say what: Code answers an errcode, Status and Body anything
// else, Cut and Hang nothing; Delay alone makes the call slow and then serves it, and so do BOM and Numbers
// with an answer that is written another way.
type Fault struct {
	Path  string `json:"path"`  // the path it happens to; empty: any
	App   string `json:"app"`   // only to calls of this appid or corpid; empty: to all
	Times int    `json:"times"` // how often; 0: until Heal

	Code   int           `json:"code"`   // answer this errcode
	Msg    string        `json:"msg"`    // with this errmsg; default WeChat's wording
	Status int           `json:"status"` // answer this HTTP status, 200 to 999; default 200
	Body   string        `json:"body"`   // answer these bytes, as text/html; with Cut, send them and then break the connection
	Cut    bool          `json:"cut"`    // break the connection without an answer
	Hang   bool          `json:"hang"`   // never answer; the call ends when the caller goes away
	Delay  time.Duration `json:"-"`      // wait before anything is answered

	// The answer, or the errcode, is served as JSON in a way that WeChat writes it in at times.
	BOM     bool   `json:"bom"`     // a byte order mark before it
	Numbers string `json:"numbers"` // numbers other than errcode as text ("7200"), or as float (7200.0)

	// AfterWork lets the call take effect first: a token is issued, a message sent, and then the fault befalls the
	// answer. With Delay alone the true answer arrives late. Otherwise the call has no effect.
	AfterWork bool `json:"after_work"`

	// Late lets the call take effect Delay from now even when its caller has gone away by then, as a request does that
	// a network holds back.
	Late bool `json:"late"`
}

// Fail makes calls go wrong from now on. Of several faults that fit a call the one set first befalls it, until its Times
// are used up. A client that keeps connections open may repeat a GET by itself when a reused one is cut: net/http does.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal ends all faults. Calls that hang or are delayed already stay so.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// due finds the fault due for a call and uses up one of its times.
func (s *Server) due(path, id string) *Fault {
	for i, f := range s.faults {
		if (f.Path != "" && f.Path != path) || (f.App != "" && f.App != id) {
			continue
		}
		due := *f
		if f.Times == 1 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		} else if f.Times > 1 {
			f.Times--
		}
		return &due
	}
	return nil
}

// play lets the fault befall a call.
func (f *Fault) play(ctx context.Context, c *call, work func(*call) reply) reply {
	return f.rewrite(f.befall(ctx, c, work))
}

func (f *Fault) befall(ctx context.Context, c *call, work func(*call) reply) reply {
	var rep reply
	if f.AfterWork {
		rep = work(c)
	}
	if f.Late {
		ctx = context.WithoutCancel(ctx)
	}
	if !wait(ctx, f.Delay) {
		return reply{cut: true}
	}
	switch {
	case f.Hang:
		<-ctx.Done()
		return reply{cut: true}
	case f.Cut:
		return reply{cut: true, status: f.Status, body: []byte(f.Body)}
	case f.Code != 0:
		rep = c.refuse(f.Code)
		if f.Msg != "" {
			rep = c.refuseAs(f.Code, f.Msg)
		}
		rep.status = f.Status
		return rep
	case f.Status != 0 || f.Body != "":
		return reply{status: f.Status, header: http.Header{"Content-Type": {"text/html"}}, body: []byte(f.Body)}
	case !f.AfterWork:
		return work(c)
	}
	return rep
}

// wait waits for d; false when the caller went away before.
func wait(ctx context.Context, d time.Duration) bool {
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
