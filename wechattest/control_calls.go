package wechattest

import (
	"context"
	"errors"
	"net/http"
)

type appBody struct {
	App
	Seconds float64 `json:"life"`
}

func controlAdd(_ context.Context, s *Server, in appBody) (any, error) {
	switch {
	case in.ID == "":
		return nil, errors.New("wechattest: id: must be set")
	case in.Secret == "":
		return nil, errors.New("wechattest: secret: must be set")
	case in.Kind != "" && in.Kind != Official && in.Kind != Mini && in.Kind != Work && in.Kind != Website:
		return nil, errors.New("wechattest: kind: want official, mini, work or website")
	case in.Seconds < 0:
		return nil, errors.New("wechattest: life: want 0 or more")
	}
	in.Life = inSeconds(in.Seconds)
	s.Add(in.App)
	return fields{}, nil
}

type faultBody struct {
	Fault
	Seconds float64 `json:"delay"`
}

func controlFail(_ context.Context, s *Server, in faultBody) (any, error) {
	if in.Status != 0 && (in.Status < 200 || in.Status > 999) {
		return nil, errors.New("wechattest: status: want 200 to 999")
	}
	if in.Numbers != "" && in.Numbers != "text" && in.Numbers != "float" {
		return nil, errors.New("wechattest: numbers: want text or float")
	}
	if in.Times < 0 || in.Seconds < 0 {
		return nil, errors.New("wechattest: times, delay: want 0 or more")
	}
	in.Delay = inSeconds(in.Seconds)
	s.AddFault(in.Fault)
	return fields{}, nil
}

func controlHeal(s *Server, _ *http.Request) (any, error) {
	s.ClearFaults()
	return fields{}, nil
}

type tokenBody struct {
	Token string `json:"token"`
}

func controlToken(do func(s *Server, token string)) func(context.Context, *Server, tokenBody) (any, error) {
	return func(_ context.Context, s *Server, in tokenBody) (any, error) {
		do(s, in.Token)
		return fields{}, nil
	}
}

func controlCheck(s *Server, r *http.Request) (any, error) {
	return fields{"errcode": s.Check(r.URL.Query().Get("token"))}, nil
}

func controlCalls(s *Server, r *http.Request) (any, error) {
	q := r.URL.Query()
	if q.Has("app") {
		return fields{"calls": s.AppCalls(q.Get("app"), q.Get("path"))}, nil
	}
	return fields{"calls": s.Calls(q.Get("path"))}, nil
}

func controlTokens(s *Server, r *http.Request) (any, error) {
	return append([]Token{}, s.Tokens(r.URL.Query().Get("app"))...), nil
}

func controlSent(s *Server, _ *http.Request) (any, error) {
	type message struct {
		Message
		Text string `json:"body"`
	}
	list := []message{}
	for _, m := range s.Sent() {
		list = append(list, message{m, string(m.Body)})
	}
	return list, nil
}

type acceptBody struct {
	App      string `json:"app"`
	Person   string `json:"person"`
	Template string `json:"template"`
}

func controlAccept(_ context.Context, s *Server, in acceptBody) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.person(in.Person)
	if a := s.apps[in.App]; a == nil || a.Kind != Mini || !ok || in.Template == "" {
		return nil, errors.New("wechattest: unknown mini program or person, or no template")
	}
	s.accept(in.App, p.Name, in.Template)
	return fields{}, nil
}
