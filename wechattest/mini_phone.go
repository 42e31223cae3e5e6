package wechattest

import (
	_ "embed"
	"net/http"
	"net/url"
	"slices"
)

// A web page plays a mini program with the script below, which gives it wx.login, the getPhoneNumber button and the other
// calls that a phone answers. Only pages of [App.Players] get answers. Script and calls have no place at WeChat.
const (
	miniScriptPath = "/phone/mini/wx.js"
	miniCallPath   = "/phone/mini/call"
)

//go:embed mini_phone.js
var miniScript []byte

// maxAskedTemplates is the number of templates that a call may ask for.
const maxAskedTemplates = 3

// playMini answers the script. All arguments are in the query, so that nothing is read with the Server locked.
func (s *Server) playMini(r *http.Request) reply {
	q := r.URL.Query()
	a, origin := s.apps[q.Get("app")], r.Header.Get("Origin")
	if r.Method != http.MethodPost || a == nil || a.Kind != Mini || !slices.Contains(a.Players, origin) {
		return jsonReply(controlType, fields{"error": "wechattest: the page may not play this mini program: App.Players must have its origin"}).as(http.StatusForbidden)
	}
	rep := jsonReply(controlType, s.answerPlayer(a, q))
	rep.header.Set("Access-Control-Allow-Origin", origin)
	rep.header.Set("Cache-Control", "no-store")
	rep.header.Set("Vary", "Origin")
	return rep
}

// answerPlayer returns the result of a call, as the phone gives it to the mini program.
func (s *Server) answerPlayer(a *app, q url.Values) fields {
	name := q.Get("person")
	if name == "" {
		name = s.people.current
	}
	p, ok := s.person(name)
	if !ok {
		return fields{"errMsg": "fail unknown person"}
	}
	switch q.Get("call") {
	case "login":
		return fields{"errMsg": "login:ok", "code": s.issueCodeFor("mini", a.ID, p.Name)}
	case "getPhoneNumber":
		result := fields{"errMsg": "getPhoneNumber:ok", "code": s.issueCodeFor("phone", a.ID, p.Name)}
		if data, ok := s.sealData(a.ID, p.Name, phoneFields); ok {
			result["encryptedData"], result["iv"] = data.EncryptedData, data.IV
		}
		return result
	case "requestSubscribeMessage":
		return s.answerSubscribe(a, p.Name, q)
	}
	return fields{"errMsg": q.Get("call") + ":fail the function is not simulated"}
}

// answerSubscribe takes the answers of a person to templates: template=ID&answer=accept for each.
func (s *Server) answerSubscribe(a *app, name string, q url.Values) fields {
	asked, answers := q["template"], q["answer"]
	switch {
	case len(asked) == 0 || len(asked) != len(answers):
		return fields{"errMsg": "requestSubscribeMessage:fail TmplIds can't be empty", "errCode": 10001}
	case len(asked) > maxAskedTemplates:
		return fields{"errMsg": "requestSubscribeMessage:fail Templates count out of max bounds", "errCode": 20003}
	}
	result := fields{"errMsg": "requestSubscribeMessage:ok"}
	for i, id := range asked {
		if len(a.Templates) > 0 && !slices.Contains(a.Templates, id) {
			return fields{"errMsg": "requestSubscribeMessage:fail No template data return, verify the template id exist", "errCode": 20001}
		}
		result[id] = "reject"
		if answers[i] == "accept" {
			result[id] = "accept"
		}
	}
	for i, id := range asked {
		if answers[i] == "accept" {
			s.accept(a.ID, name, id)
		}
	}
	return result
}
