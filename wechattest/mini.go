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
		{path: "/wxa/checksession", on: apiHost, method: get, kinds: []Kind{Mini}, serve: (*Server).miniCheck},
		{path: "/wxa/resetusersessionkey", on: apiHost, method: get, kinds: []Kind{Mini}, serve: (*Server).miniReset},
		{path: "/wxa/business/getuserphonenumber", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: []Kind{Mini}, serve: (*Server).miniPhone},
	}
}

// session is what the phone of a person and a mini program share.
type session struct {
	key     string // base64, used as text and as bytes
	app     *app
	person  Person
	expires time.Time
}

// MiniCode is what wx.login gives a person in a mini program: a code for jscode2session. It is "" for an app or a person
// the Server does not know.
func (s *Server) MiniCode(appID, name string) string { return s.codeFor("mini", appID, name) }

// PhoneCode is what the getPhoneNumber button gives: a code for getuserphonenumber. It is "" for an app or a person the
// Server does not know.
func (s *Server) PhoneCode(appID, name string) string { return s.codeFor("phone", appID, name) }

func (s *Server) codeFor(what, appID, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.apps[appID]
	p, ok := s.person(name)
	if a == nil || a.Kind != Mini || !ok {
		return ""
	}
	return s.issueCode(&code{what: what, app: a, person: p}, codeLife)
}

// EndSession makes a person's session_key one that WeChat no longer knows, as it does to people who stay away.
func (s *Server) EndSession(appID, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.person(name); ok {
		delete(s.people.sessions, s.OpenID(appID, p.Name))
	}
}

// miniSession gives each login a session_key of its own; the one before ends. It reads the query alone: to a form that
// is posted it answers that the appid is missing.
func (s *Server) miniSession(c *call) reply {
	a, errcode := s.caller(c)
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
		s.people.sessions, s.people.minute = make(map[string]*session), make(map[string]*tally)
	}
	if s.people.minute[openID] == nil {
		s.people.minute[openID] = new(tally)
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

// miniCheck tells whether the caller has the person's session_key.
func (s *Server) miniCheck(c *call) reply {
	if _, errcode := s.proven(c); errcode != 0 {
		return c.refuse(errcode)
	}
	return c.done(nil)
}

// miniReset gives the person another session_key, with the life of the old one.
func (s *Server) miniReset(c *call) reply {
	got, errcode := s.proven(c)
	if errcode != 0 {
		return c.refuse(errcode)
	}
	got.key = sessionKey()
	return c.done(fields{"openid": c.query.Get("openid"), "session_key": got.key})
}

// proven is the session whose key signed the call. The key is its base64 text.
func (s *Server) proven(c *call) (got *session, errcode int) {
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

// miniPhone answers the phone number of the person who pressed the button.
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

// phoneOf has the country code as text, as WeChat's manual says, or as a number, as its example shows.
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
