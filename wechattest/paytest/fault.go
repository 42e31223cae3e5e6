package paytest

import (
	"context"
	"net/http"
	"path"
	"strings"
	"time"
)

// Fault is a failure of calls. Refuse, Reset, Code, Status and Body are answered in place of the true
// answer, Sign says how the answer is signed, Delay alone makes it late.
type Fault struct {
	Method string `json:"method"` // empty: any
	Path   string `json:"path"`   // pattern as of package path over the escaped path; empty: any
	Host   string `json:"host"`   // only calls to this host; empty: to any
	MchID  string `json:"mchid"`  // only calls of the merchant that signs; empty: of any
	Times  int    `json:"times"`  // how often; 0: until Heal

	Refuse  bool          `json:"refuse"`  // no connection: with AfterWork or over a socket, the same as Reset
	Reset   bool          `json:"reset"`   // the connection breaks without an answer
	Code    string        `json:"code"`    // answer this code, such as SYSTEM_ERROR; in v2 FAIL is a refusal without one
	Message string        `json:"message"` // with this message; default WeChat's
	Status  int           `json:"status"`  // answer this status; default the code's, or 200
	Body    string        `json:"body"`    // answer these bytes; as JSON or text with a 2xx, else as a gateway's HTML
	Sign    Signing       `json:"sign"`    // how a 2xx is signed
	Delay   time.Duration `json:"-"`       // wait before anything is answered

	// AfterWork makes the call take effect before the fault replaces its answer. Otherwise a call that is answered by the
	// fault has no effect.
	AfterWork bool `json:"after_work"`

	// Late makes the call take effect after Delay even when its caller has closed the connection by then, as a request
	// does that a network delays.
	Late bool `json:"late"`
}

// AddFault makes calls fail from now on. Of several faults that match a call the one added first is applied, until its
// Times are used up.
func (s *Server) AddFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal ends the faults of calls and of notifications. Calls that are delayed already stay delayed.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.disturbed = nil, nil
}

// NoCertificates returns the four refusals with which WeChat answers a merchant without a platform certificate.
func NoCertificates() []Fault {
	const path = "/v3/certificates"
	return []Fault{
		{Path: path, Code: "RESOURCE_NOT_EXISTS", Message: noCertificate},
		{Path: path, Code: "RESOURCE_NOT_EXISTS", Message: "证书不存在"},
		{Path: path, Code: "SYSTEM_ERROR", Message: "系统繁忙"},
		{Path: path, Code: "NOT_ENOUGH", Message: "平台证书已过期失效，请联系微信支付技术支持。"},
	}
}

// claims returns the mchid that the Authorization of a call names, or a call of v2, whether its signature is true or not.
func (c *call) claims() string {
	if c.route != nil && c.route.v2 != nil {
		return c.v2MchID()
	}
	_, rest, _ := strings.Cut(c.header.Get("Authorization"), " ")
	values, _ := credentials(rest)
	return values["mchid"]
}

// due finds the fault due for a call and uses up one of its times.
func (s *Server) due(c *call) *Fault {
	for i, f := range s.faults {
		if f.Method != "" && f.Method != c.method || f.Host != "" && !strings.EqualFold(f.Host, c.host) || f.MchID != "" && f.MchID != c.claims() {
			continue
		}
		if ok, err := path.Match(f.Path, c.path); f.Path != "" && (!ok || err != nil) {
			continue
		}
		found := *f
		if f.Times == 1 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		} else if f.Times > 1 {
			f.Times--
		}
		return &found
	}
	return nil
}

// refuse returns the refusal of a code in the form of the call's version.
func (c *call) refuse(code, message string) answer {
	if c.route != nil && c.route.v2 != nil {
		return c.refuseV2(code, message)
	}
	return refuse(code, message)
}

func (f *Fault) answers() bool {
	return f.Refuse || f.Reset || f.Code != "" || f.Status != 0 || f.Body != ""
}

// apply applies a fault to a call.
func (s *Server) apply(f *Fault, c *call) answer {
	var a answer
	if f.AfterWork {
		a = s.serve(c)
	}
	ctx := c.request.Context()
	if f.Late {
		ctx = s.ended
	}
	if !wait(ctx, f.Delay) {
		return answer{cut: context.Cause(ctx)}
	}
	if !f.answers() && !f.AfterWork {
		a = s.serve(c)
	}
	switch {
	case f.Refuse && !f.AfterWork:
		return answer{cut: errRefused}
	case f.Refuse || f.Reset:
		return answer{cut: errReset}
	case f.Body != "" || f.Status != 0 && f.Code == "":
		a = answer{status: f.Status, body: []byte(f.Body), kind: "text/html"}
		if a.status == 0 {
			a.status = http.StatusOK
		}
		if a.status < 300 {
			a.kind = ""
			if c.route != nil && c.route.v2 != nil {
				a.kind = v2Kind
			}
		}
	case f.Code != "":
		a = c.refuse(f.Code, f.Message)
		if f.Status != 0 {
			a.status = f.Status
		}
	}
	return s.sign(c, a, f.Sign)
}
