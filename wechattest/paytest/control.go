package paytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// controlPrefix is the path under which a test in another language drives the Server. No host of WeChat Pay serves it.
const controlPrefix = "/_paytest/"

// controls are the driving calls by method and name. The package documentation lists them.
var controls = map[string]func(s *Server, r *http.Request) (answer any, err error){
	"POST merchants":         withBody(controlMerchant),
	"GET merchant":           controlShowMerchant,
	"POST mode":              withBody(controlMode),
	"POST api_v3_key":        withBody(controlKey),
	"POST api_key":           withBody(controlV2Key),
	"POST rotate":            withBody(controlRotate),
	"POST deposit":           withBody(controlDeposit),
	"POST pay":               withBody(controlPay),
	"POST start_paying":      withBody(controlPaying((*Server).StartPaying)),
	"POST cancel_paying":     withBody(controlPaying((*Server).CancelPaying)),
	"POST open_sheet":        withBody(controlOpenSheet),
	"POST answer_sheet":      withBody(controlAnswerSheet),
	"POST pay_code":          withBody(controlPayCode),
	"POST refund":            withBody(controlRefund),
	"POST refund_in_console": withBody(controlConsole),
	"POST transfer":          withBody(controlTransfer),
	"POST complain":          withBody(controlComplain),
	"POST bill":              withBody(controlBill),
	"POST notify":            withBody(controlNotify),
	"POST fail":              withBody(controlFail),
	"POST disturb":           withBody(controlDisturb),
	"POST heal":              controlHeal,
	"GET order":              controlOrder,
	"GET orders":             controlOrders,
	"GET prepaid":            controlPrepaid,
	"GET sheet":              controlSheet,
	"GET sheets":             controlSheets,
	"GET complaints":         controlComplaints,
	"GET deliveries":         controlDeliveries,
	"GET calls":              controlCalls,
}

// control answers one of the driving calls.
func (s *Server) control(r *http.Request, name string) answer {
	if err := s.mayControl(r); err != nil {
		return answer{status: http.StatusForbidden, body: toJSON(fields{"error": err.Error()})}
	}
	serve, ok := controls[r.Method+" "+name]
	if !ok {
		return answer{status: http.StatusNotFound, body: toJSON(fields{"error": "no such control call; the package documentation lists them"})}
	}
	v, err := serve(s, r)
	if err != nil {
		return answer{status: http.StatusBadRequest, body: toJSON(fields{"error": err.Error()})}
	}
	return answer{status: http.StatusOK, body: toJSON(v)}
}

// mayControl returns an error for a driving call that a web page may have caused: one under a foreign host name
// (DNS rebinding), or a POST from another origin.
func (s *Server) mayControl(r *http.Request) error {
	if err := s.mayReach(r); err != nil {
		return err
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return fmt.Errorf("paytest: control calls of pages of other origins are refused: %w", err)
	}
	return nil
}

func (s *Server) mayReach(r *http.Request) error {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	ip, err := netip.ParseAddr(name)
	loopback := name == "localhost" || err == nil && ip.Unmap().IsLoopback()
	if !loopback && !slices.ContainsFunc(s.ControlHosts, func(host string) bool { return strings.EqualFold(host, name) }) {
		return errors.New("paytest: control calls and the phone are served under loopback names and those of ControlHosts alone")
	}
	return nil
}

// withBody decodes the JSON body of a driving call for do.
func withBody[T any](do func(s *Server, in T) (answer any, err error)) func(*Server, *http.Request) (any, error) {
	return func(s *Server, r *http.Request) (any, error) {
		var in T
		body, over, err := readBody(r, maxUpload)
		if err != nil || over {
			return nil, errors.New("paytest: the body is broken or too long")
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			return nil, errors.New("paytest: the body is not the JSON wanted: " + err.Error())
		}
		if _, err := dec.Token(); err != io.EOF {
			return nil, errors.New("paytest: the body holds more than one JSON value")
		}
		return do(s, in)
	}
}
