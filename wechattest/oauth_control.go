package wechattest

import (
	"errors"
	"net/http"
)

// controlPeople answers the driving calls about persons and what their phones give out; known is false for others.
func (s *Server) controlPeople(r *http.Request, name string) (answer any, known bool, err error) {
	var in struct {
		App     string  `json:"app"`
		Person  string  `json:"person"`
		Consent Consent `json:"consent"`
	}
	switch r.Method + " " + name {
	case "POST people":
		var p Person
		if err := controlBody(r, &p); err != nil {
			return nil, true, err
		}
		if p.Name == "" {
			return nil, true, errors.New("wechattest: name is missing")
		}
		s.AddPerson(p)
		return fields{}, true, nil
	case "GET openid":
		q := r.URL.Query()
		return fields{"openid": s.OpenID(q.Get("app"), q.Get("person"))}, true, nil
	case "POST browse", "POST mini_code", "POST phone_code", "POST user_data", "POST phone_data":
	default:
		return nil, false, nil
	}
	if err := controlBody(r, &in); err != nil {
		return nil, true, err
	}
	found := true
	switch name {
	case "browse":
		s.Browse(in.Person, in.Consent)
		answer = fields{}
	case "mini_code", "phone_code":
		code := s.codeFor(name[:len(name)-len("_code")], in.App, in.Person)
		answer, found = fields{"code": code}, code != ""
	case "user_data":
		answer, found = s.UserData(in.App, in.Person)
	case "phone_data":
		answer, found = s.PhoneData(in.App, in.Person)
	}
	if !found {
		return nil, true, errors.New("wechattest: no such mini program, no such person, or no session of theirs yet")
	}
	return answer, true, nil
}
