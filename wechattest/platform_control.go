package wechattest

import (
	"context"
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/wechattest/push"
)

type platformBody struct {
	Platform
	Seconds float64 `json:"life"`
}

func controlPlatform(_ context.Context, s *Server, in platformBody) (any, error) {
	if in.ID == "" || in.Secret == "" {
		return nil, errors.New("wechattest: id, secret: must be set")
	}
	if in.Seconds < 0 {
		return nil, errors.New("wechattest: life: want 0 or more")
	}
	in.Life = inSeconds(in.Seconds)
	s.AddPlatform(in.Platform)
	return fields{}, nil
}

// grantBody names a platform, and an account of it or one of its tickets.
type grantBody struct {
	Platform string `json:"platform"`
	App      string `json:"app"`
	Ticket   string `json:"ticket"`
}

func controlPushTicket(ctx context.Context, s *Server, in grantBody) (any, error) {
	return s.PushTicket(ctx, in.Platform)
}

func controlStopTickets(_ context.Context, s *Server, in grantBody) (any, error) {
	s.StopTickets(in.Platform)
	return fields{}, nil
}

func controlEndTicket(_ context.Context, s *Server, in grantBody) (any, error) {
	s.EndTicket(in.Platform, in.Ticket)
	return fields{}, nil
}

func controlAuthorize(ctx context.Context, s *Server, in grantBody) (any, error) {
	code, err := s.Authorize(ctx, in.Platform, in.App)
	if err != nil {
		return nil, err
	}
	return fields{"code": code}, nil
}

func controlUnauthorize(ctx context.Context, s *Server, in grantBody) (any, error) {
	return s.Unauthorize(ctx, in.Platform, in.App)
}

func controlRelease(ctx context.Context, s *Server, in grantBody) (any, error) {
	return s.CheckRelease(ctx, in.Platform)
}

type accountPushBody struct {
	Platform string       `json:"platform"`
	App      string       `json:"app"`
	Push     push.Message `json:"push"`
}

func controlAccountPush(ctx context.Context, s *Server, in accountPushBody) (any, error) {
	to, err := s.PlatformMessages(in.Platform, in.App)
	if err != nil {
		return nil, err
	}
	return to.Push(ctx, in.Push)
}

func controlTickets(s *Server, r *http.Request) (any, error) {
	return append([]string{}, s.Tickets(r.URL.Query().Get("platform"))...), nil
}
