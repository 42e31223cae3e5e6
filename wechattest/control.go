package wechattest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// controlPrefix is the prefix of the calls by which a test in another language drives the Server. No WeChat host serves it.
const controlPrefix = "/_wechattest/"

// mayControl returns an error for a driving call that a web page may have made: one under a foreign host name (DNS
// rebinding), or a POST from another origin.
func (s *Server) mayControl(r *http.Request) error {
	name := strings.ToLower(strings.Trim(bare(requestHost(r)), "[]"))
	ip, err := netip.ParseAddr(name)
	loopback := name == "localhost" || err == nil && ip.Unmap().IsLoopback()
	if !loopback && !slices.ContainsFunc(s.ControlHosts, func(host string) bool { return strings.EqualFold(host, name) }) {
		return errors.New("wechattest: invalid host: control calls are served only under loopback names and those of ControlHosts")
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return fmt.Errorf("wechattest: control calls by pages of other origins are refused: %w", err)
	}
	return nil
}

// controls are the driving calls by method and name. The package documentation lists them.
var controls = map[string]func(s *Server, r *http.Request) (answer any, err error){
	"POST apps":        withBody(controlAdd),
	"POST departments": withBody(controlDepartment),
	"POST people":      withBody(controlPerson),
	"POST follow":      withBody(controlFollow),
	"POST browse":      withBody(controlBrowse),
	"GET openid":       controlOpenID,

	"POST mini_code":  withBody(controlCode((*Server).MiniCode)),
	"POST phone_code": withBody(controlCode((*Server).PhoneCode)),
	"POST user_data":  withBody(controlData((*Server).UserData)),
	"POST phone_data": withBody(controlData((*Server).PhoneData)),
	"POST accept":     withBody(controlAccept),

	"POST fail":   withBody(controlFail),
	"POST heal":   controlHeal,
	"POST revoke": withBody(controlToken((*Server).Revoke)),
	"POST refuse": withBody(controlToken((*Server).Refuse)),
	"POST expire": withBody(controlToken((*Server).Expire)),

	"GET check":  controlCheck,
	"GET calls":  controlCalls,
	"GET tokens": controlTokens,
	"GET sent":   controlSent,

	"POST push":        withBody(controlPush),
	"POST push/verify": withBody(controlVerify),
	"POST scan":        withBody(controlScan),

	"POST platforms":             withBody(controlPlatform),
	"POST platform/ticket":       withBody(controlPushTicket),
	"POST platform/stop_tickets": withBody(controlStopTickets),
	"POST platform/end_ticket":   withBody(controlEndTicket),
	"POST platform/authorize":    withBody(controlAuthorize),
	"POST platform/unauthorize":  withBody(controlUnauthorize),
	"POST platform/push":         withBody(controlAccountPush),
	"POST platform/release":      withBody(controlRelease),
	"GET platform/tickets":       controlTickets,
}

const controlType = "application/json"

// control serves a driving call.
func (s *Server) control(r *http.Request, name string) reply {
	if err := s.mayControl(r); err != nil {
		return jsonReply(controlType, fields{"error": err.Error()}).as(http.StatusForbidden)
	}
	serve, ok := controls[r.Method+" "+name]
	if !ok {
		return jsonReply(controlType, fields{"error": "unknown control call: see the package documentation"}).as(http.StatusNotFound)
	}
	answer, err := serve(s, r)
	if err != nil {
		return jsonReply(controlType, fields{"error": err.Error()}).as(http.StatusBadRequest)
	}
	return jsonReply(controlType, answer)
}

// withBody decodes the JSON body of a driving call for do. A call without a result replies with an empty object.
func withBody[T any](do func(ctx context.Context, s *Server, in T) (answer any, err error)) func(*Server, *http.Request) (any, error) {
	return func(s *Server, r *http.Request) (any, error) {
		var in T
		body, over, err := readBody(r, maxBody)
		if err != nil || over {
			return nil, errors.New("wechattest: invalid body: want at most 1 MiB")
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			return nil, errors.New("wechattest: invalid body: " + err.Error())
		}
		if _, err := dec.Token(); err != io.EOF {
			return nil, errors.New("wechattest: invalid body: want one JSON value")
		}
		return do(r.Context(), s, in)
	}
}

func inSeconds(n float64) time.Duration {
	return time.Duration(n * float64(time.Second))
}

func (rep reply) as(status int) reply {
	rep.status = status
	return rep
}
