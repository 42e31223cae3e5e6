package wechattest

import (
	"bytes"
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

// controlPrefix is where a test in another language drives the Server. No WeChat host serves it.
const controlPrefix = "/_wechattest/"

// mayControl returns an error for a driving call that a web page may have caused: one under a host name of somebody else
// (DNS rebinding), or a POST from another origin.
func (s *Server) mayControl(r *http.Request) error {
	name := strings.ToLower(strings.Trim(bare(requestHost(r)), "[]"))
	ip, err := netip.ParseAddr(name)
	loopback := name == "localhost" || err == nil && ip.Unmap().IsLoopback()
	if !loopback && !slices.ContainsFunc(s.ControlHosts, func(host string) bool { return strings.EqualFold(host, name) }) {
		return errors.New("wechattest: control calls are served under loopback names and those of ControlHosts alone")
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return fmt.Errorf("wechattest: control calls of pages of other origins are refused: %w", err)
	}
	return nil
}

// control answers one of the driving calls; each is a method of Server under the same name.
func (s *Server) control(r *http.Request, name string) reply {
	if err := s.mayControl(r); err != nil {
		return jsonReply(controlType, fields{"error": err.Error()}).as(http.StatusForbidden)
	}
	q := r.URL.Query()
	var answer any = fields{}
	var err error
	switch r.Method + " " + name {
	case "POST apps":
		err = s.controlAdd(r)
	case "POST revoke":
		err = controlToken(r, s.Revoke)
	case "POST refuse":
		err = controlToken(r, s.Refuse)
	case "POST expire":
		err = controlToken(r, s.Expire)
	case "POST fail":
		err = s.controlFail(r)
	case "POST heal":
		s.Heal()
	case "GET check":
		answer = fields{"errcode": s.Check(q.Get("token"))}
	case "GET calls":
		n := s.Calls(q.Get("path"))
		if q.Has("app") {
			n = s.AppCalls(q.Get("app"), q.Get("path"))
		}
		answer = fields{"calls": n}
	case "GET tokens":
		answer = append([]Token{}, s.Tokens(q.Get("app"))...)
	case "GET sent":
		answer = s.controlSent()
	case "POST push":
		answer, err = controlPush(r)
	case "POST push/verify":
		err = controlVerify(r)
	case "POST scan":
		answer, err = s.controlScan(r)
	case "POST departments":
		err = s.controlDepartment(r)
	case "POST follow":
		err = s.controlFollow(r)
	default:
		if people, known, failed := s.controlPeople(r, name); known {
			answer, err = people, failed
			break
		}
		return jsonReply(controlType, fields{"error": "no such control call; the package documentation lists them"}).as(http.StatusNotFound)
	}
	if err != nil {
		return jsonReply(controlType, fields{"error": err.Error()}).as(http.StatusBadRequest)
	}
	return jsonReply(controlType, answer)
}

const controlType = "application/json"

func (s *Server) controlAdd(r *http.Request) error {
	var in struct {
		App
		Seconds float64 `json:"life"`
	}
	if err := controlBody(r, &in); err != nil {
		return err
	}
	switch {
	case in.ID == "":
		return errors.New("wechattest: id is missing")
	case in.Secret == "":
		return errors.New("wechattest: secret is missing")
	case in.Kind != "" && in.Kind != Official && in.Kind != Mini && in.Kind != Work && in.Kind != Website:
		return errors.New("wechattest: kind is official, mini, work or website")
	case in.Seconds < 0:
		return errors.New("wechattest: life is negative")
	}
	in.Life = inSeconds(in.Seconds)
	s.Add(in.App)
	return nil
}

func (s *Server) controlFail(r *http.Request) error {
	var in struct {
		Fault
		Seconds float64 `json:"delay"`
	}
	if err := controlBody(r, &in); err != nil {
		return err
	}
	if in.Status != 0 && (in.Status < 200 || in.Status > 999) {
		return errors.New("wechattest: status is no final HTTP status")
	}
	if in.Numbers != "" && in.Numbers != "text" && in.Numbers != "float" {
		return errors.New("wechattest: numbers is text or float")
	}
	if in.Times < 0 || in.Seconds < 0 {
		return errors.New("wechattest: times or delay is negative")
	}
	in.Delay = inSeconds(in.Seconds)
	s.Fail(in.Fault)
	return nil
}

func controlToken(r *http.Request, do func(token string)) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := controlBody(r, &in); err != nil {
		return err
	}
	do(in.Token)
	return nil
}

func (s *Server) controlSent() any {
	type message struct {
		Message
		Text string `json:"body"`
	}
	list := []message{}
	for _, m := range s.Sent() {
		list = append(list, message{m, string(m.Body)})
	}
	return list
}

func controlBody(r *http.Request, into any) error {
	body, over, err := readBody(r, maxBody)
	if err != nil || over {
		return errors.New("wechattest: the body is broken or longer than 1 MiB")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New("wechattest: the body is not the JSON wanted: " + err.Error())
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("wechattest: the body holds more than one JSON value")
	}
	return nil
}

func inSeconds(n float64) time.Duration {
	return time.Duration(n * float64(time.Second))
}

func (rep reply) as(status int) reply {
	rep.status = status
	return rep
}
