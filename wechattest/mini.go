package wechattest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
)

func miniRoutes() []route {
	get := http.MethodGet
	return []route{
		{path: "/sns/jscode2session", on: apiHost, open: true, plain: true, serve: (*Server).miniSession},
		{path: "/sns/component/jscode2session", on: apiHost, open: true, plain: true, serve: (*Server).miniSession},
		{path: "/wxa/checksession", on: apiHost, method: get, kinds: []Kind{Mini}, serve: (*Server).miniCheck},
		{path: "/wxa/resetusersessionkey", on: apiHost, method: get, kinds: []Kind{Mini}, serve: (*Server).miniReset},
		{path: "/wxa/business/getuserphonenumber", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: []Kind{Mini}, serve: (*Server).miniPhone},
	}
}

// session is the state that a person's phone and a mini program share.
type session struct {
	key     string // base64, used as text and as bytes
	app     *app
	person  Person
	expires time.Time
}

// MiniCode returns the code that wx.login gives a person in a mini program, for jscode2session. It returns "" for an
// unknown app or person.
func (s *Server) MiniCode(appID, name string) string { return s.codeFor("mini", appID, name) }

// PhoneCode returns the code that the getPhoneNumber button gives, for getuserphonenumber. It returns "" for an unknown app
// or person.
func (s *Server) PhoneCode(appID, name string) string { return s.codeFor("phone", appID, name) }

func (s *Server) codeFor(what, appID, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issueCodeFor(what, appID, name)
}

// issueCodeFor is called with the Server locked.
func (s *Server) issueCodeFor(what, appID, name string) string {
	a := s.apps[appID]
	p, ok := s.person(name)
	if a == nil || a.Kind != Mini || !ok {
		return ""
	}
	return s.issueCode(&code{what: what, app: a, person: p}, codeLife)
}

// EndSession ends a person's session_key, as WeChat does after a long absence.
func (s *Server) EndSession(appID, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.person(name); ok {
		delete(s.people.sessions, s.OpenID(appID, p.Name))
	}
}

// miniSession gives each login a new session_key, and ends the one before. It reads only the query: to a posted form it
// replies that the appid is missing.
func (s *Server) miniSession(c *call) reply {
	a, _, errcode := s.callerOrPlatform(c) // a code of wx.login is for either
	if errcode == 0 && c.query.Get("js_code") == "" {
		errcode = 41008
	}
	if errcode == 0 && c.query.Get("grant_type") != "authorization_code" {
		errcode = 40002
	}
	if errcode != 0 {
		return c.refuse(errcode)
	}
	if a.Kind != Mini {
		return c.refuse(48001)
	}
	got, errcode := s.takeCode(c.query.Get("js_code"), "mini", func(of *app) bool { return of == a }, c.now)
	switch {
	case errcode != 0:
		return c.refuse(errcode)
	case got.person.Blocked:
		return c.refuse(40226)
	}
	openID := s.openID(got)
	if s.people.sessions == nil {
		s.people.sessions, s.people.minute = make(map[string]*session), make(map[string]*periodCounter)
	}
	if s.people.minute[openID] == nil {
		s.people.minute[openID] = new(periodCounter)
	}
	if !s.people.minute[openID].take(c.path, minuteOf(c.now), 100) {
		return c.refuse(45011)
	}
	s.people.sessions[openID] = &session{key: sessionKey(), app: a, person: got.person, expires: c.now.Add(3 * 24 * time.Hour)}
	body := fields{"openid": openID, "session_key": s.people.sessions[openID].key}
	if union := s.unionID(got); union != "" {
		body["unionid"] = union
	}
	return c.ok(body)
}

func sessionKey() string {
	b := make([]byte, 16)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// miniCheck checks that the caller has the person's session_key.
func (s *Server) miniCheck(c *call) reply {
	if _, errcode := s.signedSession(c); errcode != 0 {
		return c.refuse(errcode)
	}
	return c.done(nil)
}

// miniReset gives the person another session_key, with the remaining life of the old one.
func (s *Server) miniReset(c *call) reply {
	got, errcode := s.signedSession(c)
	if errcode != 0 {
		return c.refuse(errcode)
	}
	got.key = sessionKey()
	return c.done(fields{"openid": c.query.Get("openid"), "session_key": got.key})
}

// signedSession returns the session whose key signed the call. The key is the base64 text.
func (s *Server) signedSession(c *call) (got *session, errcode int) {
	q := c.query
	got = s.people.sessions[q.Get("openid")]
	switch {
	case q.Get("openid") == "":
		return nil, 41009
	case q.Get("sig_method") != "hmac_sha256":
		return nil, 87008
	case got == nil || got.app != c.app || !c.now.Before(got.expires):
		return nil, 87007
	}
	mac := hmac.New(sha256.New, []byte(got.key))
	if q.Get("signature") != hex.EncodeToString(mac.Sum(nil)) {
		return nil, 87009
	}
	return got, 0
}

// miniPhone replies with the phone number of the person who pressed the button.
func (s *Server) miniPhone(c *call) reply {
	if raw, ok := c.fields["code"]; ok && json.Unmarshal(raw, new(string)) != nil {
		return c.refuse(47001)
	}
	value := c.text("code")
	got, errcode := s.takeCode(value, "phone", func(of *app) bool { return of == c.app }, c.now)
	if errcode == 41008 || errcode == 42003 {
		errcode = 40029
	}
	if errcode != 0 {
		return c.refuse(errcode)
	}
	if openID := c.text("openid"); openID != "" && openID != s.openID(got) {
		return c.refuse(40003)
	}
	return c.done(fields{"phone_info": phoneOf(got.person, c.app, c.now)})
}

// phoneOf returns the phone number of a person. The country code is a text, as in WeChat's manual, or a number, as in its
// example.
func phoneOf(p Person, a *app, now time.Time) fields {
	var country any = "86"
	if a.CountryCodeNumber {
		country = 86
	}
	return fields{
		"phoneNumber": p.Phone, "purePhoneNumber": p.Phone, "countryCode": country,
		"watermark": fields{"timestamp": now.Unix(), "appid": a.ID},
	}
}
