package wechattest

import (
	"context"
	"errors"
	"net/http"
)

func controlPerson(_ context.Context, s *Server, in Person) (any, error) {
	if in.Name == "" {
		return nil, errors.New("wechattest: name: must be set")
	}
	s.AddPerson(in)
	return fields{}, nil
}

func controlOpenID(s *Server, r *http.Request) (any, error) {
	q := r.URL.Query()
	return fields{"openid": s.OpenID(q.Get("app"), q.Get("person"))}, nil
}

// personBody names a person, and an app that the person uses.
type personBody struct {
	App     string  `json:"app"`
	Person  string  `json:"person"`
	Consent Consent `json:"consent"`
}

func controlBrowse(_ context.Context, s *Server, in personBody) (any, error) {
	s.Browse(in.Person, in.Consent)
	return fields{}, nil
}

var errNoUser = errors.New("wechattest: unknown mini program or person, or no session yet")

// controlCode replies with a code from the person's phone.
func controlCode(issue func(s *Server, app, person string) string) func(context.Context, *Server, personBody) (any, error) {
	return func(_ context.Context, s *Server, in personBody) (any, error) {
		code := issue(s, in.App, in.Person)
		if code == "" {
			return nil, errNoUser
		}
		return fields{"code": code}, nil
	}
}

// controlData replies with encrypted data from the person's phone.
func controlData(seal func(s *Server, app, person string) (OpenData, bool)) func(context.Context, *Server, personBody) (any, error) {
	return func(_ context.Context, s *Server, in personBody) (any, error) {
		data, ok := seal(s, in.App, in.Person)
		if !ok {
			return nil, errNoUser
		}
		return data, nil
	}
}
