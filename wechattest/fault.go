package wechattest

import (
	"context"
	"net/http"
	"time"
)

// Fault is a failure of calls. Code replies with an errcode, Status and Body with anything else, Cut and Hang with nothing.
// Delay alone makes the call slow and then serves it. BOM and Numbers change how the reply is written.
type Fault struct {
	Path  string `json:"path"`  // the path of the calls; empty: any
	App   string `json:"app"`   // the appid or corpid of the calls; empty: any
	Times int    `json:"times"` // how many calls; 0: until ClearFaults

	Code   int           `json:"code"`   // reply with this errcode
	Msg    string        `json:"msg"`    // and this errmsg; default WeChat's text
	Status int           `json:"status"` // reply with this HTTP status, 200 to 999; default 200
	Body   string        `json:"body"`   // reply with these bytes, as text/html; with Cut, send them and then break the connection
	Cut    bool          `json:"cut"`    // break the connection without a reply
	Hang   bool          `json:"hang"`   // never reply; the call ends when the caller goes away
	Delay  time.Duration `json:"-"`      // wait before the reply

	// BOM and Numbers write the JSON of the reply, or of the errcode, in a way that WeChat uses at times.
	BOM     bool   `json:"bom"`     // a byte order mark before it
	Numbers string `json:"numbers"` // numbers other than errcode as text ("7200"), or as float (7200.0)

	// AfterWork lets the call take effect before the fault affects the reply: a token is issued, a message sent. With Delay
	// alone the real reply comes late. Otherwise the call has no effect.
	AfterWork bool `json:"after_work"`

	// Late lets the call take effect after Delay even if its caller has gone away by then, like a request that a network
	// holds back.
	Late bool `json:"late"`
}

// AddFault makes calls fail from now on. If several faults match a call, the one added first applies, until its Times are
// used up. A client that keeps connections open may repeat a GET by itself when a reused one is cut: net/http does.
func (s *Server) AddFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults. It does not change calls that already hang or wait.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// due returns the fault for a call and uses up one of its times.
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

// apply serves a call with the fault.
func (f *Fault) apply(ctx context.Context, c *call, work func(*call) reply) reply {
	return f.rewrite(f.affect(ctx, c, work))
}

func (f *Fault) affect(ctx context.Context, c *call, work func(*call) reply) reply {
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

// wait waits for d, and reports false if the caller went away before.
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
