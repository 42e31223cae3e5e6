package wechattest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/wechattest/push"
)

var (
	errNoPlatform = errors.New("wechattest: unknown platform, or one without EventURL and Handler")
	errNoGrant    = errors.New("wechattest: unknown app, or one that has not authorized the platform")
)

// PushTicket pushes a component_verify_ticket to a platform now, and returns the result. It does so even after
// [Server.StopTickets].
func (s *Server) PushTicket(ctx context.Context, platformID string) (push.Result, error) {
	s.mu.Lock()
	p := s.platforms[platformID]
	if p == nil {
		s.mu.Unlock()
		return push.Result{}, errNoPlatform
	}
	ticket := p.newTicket(time.Now())
	s.mu.Unlock()
	return s.notify(ctx, platformID, "component_verify_ticket", map[string]any{"ComponentVerifyTicket": ticket})
}

// pushTicket pushes a ticket, unless none are wanted.
func (s *Server) pushTicket(platformID string) {
	s.mu.Lock()
	p := s.platforms[platformID]
	stopped := p == nil || p.stopped
	s.mu.Unlock()
	if !stopped {
		_, _ = s.PushTicket(context.Background(), platformID) // Notices has the result
	}
}

// Run pushes a component_verify_ticket to each platform every 10 minutes, the first at once, until ctx ends. A platform with
// another [Platform.Life] gets them in proportion.
func (s *Server) Run(ctx context.Context) error {
	next := make(map[string]time.Time)
	for {
		now := time.Now()
		wait := time.Second
		s.mu.Lock()
		var due []string
		for id, p := range s.platforms {
			if (p.EventURL != "" || p.Handler != nil) && !now.Before(next[id]) {
				due, next[id] = append(due, id), now.Add(p.interval())
			}
		}
		s.mu.Unlock()
		for _, id := range due {
			s.background(func() { s.pushTicket(id) })
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// StopTickets has no more tickets pushed to a platform by [Server.Run], until it calls api_start_push_ticket.
func (s *Server) StopTickets(platformID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.platforms[platformID]; p != nil {
		p.stopped = true
	}
}

// Tickets returns the tickets of a platform, the newest first.
func (s *Server) Tickets(platformID string) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.platforms[platformID]; p != nil {
		for _, t := range p.tickets {
			list = append(list, t.value)
		}
	}
	return list
}

// EndTicket ends a ticket as if 12 hours had passed: 61005.
func (s *Server) EndTicket(platformID, ticket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.platforms[platformID]; p != nil {
		for _, t := range p.tickets {
			t.ended = t.ended || t.value == ticket
		}
	}
}

// Authorize makes an app authorize a platform, or change its authorization, as its administrator does on WeChat's page. It
// returns the authorization code after the platform was notified.
func (s *Server) Authorize(ctx context.Context, platformID, appID string) (code string, err error) {
	s.mu.Lock()
	p, a := s.platforms[platformID], s.apps[appID]
	if p == nil || a == nil {
		s.mu.Unlock()
		return "", errNoGrant
	}
	code, infoType := p.authorize(a, "", time.Now())
	s.mu.Unlock()
	_, err = s.notifyGrant(ctx, platformID, infoType, appID, code, "")
	if errors.Is(err, errNoPlatform) {
		err = nil // a platform without notices
	}
	return code, err
}

// Unauthorize makes an app revoke its authorization. The result is that of the notice to the platform.
func (s *Server) Unauthorize(ctx context.Context, platformID, appID string) (push.Result, error) {
	s.mu.Lock()
	p := s.platforms[platformID]
	if p == nil || !p.revoke(appID) {
		s.mu.Unlock()
		return push.Result{}, errNoGrant
	}
	s.mu.Unlock()
	return s.notify(ctx, platformID, "unauthorized", map[string]any{"AuthorizerAppid": appID})
}

func (s *Server) notifyGrant(ctx context.Context, platformID, infoType, appID, code, preauth string) (push.Result, error) {
	return s.notify(ctx, platformID, infoType, map[string]any{
		"AuthorizerAppid": appID, "AuthorizationCode": code, "AuthorizationCodeExpiredTime": time.Now().Add(authCodeLife).Unix(), "PreAuthCode": preauth,
	})
}

// notify sends a notice to a platform, and keeps the result.
func (s *Server) notify(ctx context.Context, platformID, infoType string, more map[string]any) (push.Result, error) {
	s.mu.Lock()
	p := s.platforms[platformID]
	if p == nil || p.EventURL == "" && p.Handler == nil {
		s.mu.Unlock()
		return push.Result{}, errNoPlatform
	}
	to := push.Callback{AppID: p.ID, URL: p.EventURL, Handler: p.Handler, Token: p.Token, EncodingAESKey: p.EncodingAESKey}
	s.mu.Unlock()
	result, err := to.Push(ctx, push.Message{InfoType: infoType, Fields: more})
	if err != nil {
		return result, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.notices = append(p.notices, result)
	p.notices = p.notices[max(len(p.notices)-maxNotices, 0):]
	return result, nil
}

// Notices returns the results of the notices to a platform, the oldest first, at most the last 1000.
func (s *Server) Notices(platformID string) []push.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.platforms[platformID]; p != nil {
		return slices.Clone(p.notices)
	}
	return nil
}

// PlatformMessages returns the callback by which a platform gets the messages of an app that has authorized it.
func (s *Server) PlatformMessages(platformID, appID string) (*push.Callback, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.platforms[platformID]
	if p == nil || p.MessageURL == "" {
		return nil, errors.New("wechattest: unknown platform, or one without MessageURL")
	}
	return &push.Callback{
		AppID: appID, URL: strings.ReplaceAll(p.MessageURL, "$APPID$", appID), Handler: p.Handler, Token: p.Token, EncodingAESKey: p.EncodingAESKey, Sealed: p.ID,
	}, nil
}

// background runs work of WeChat that no call waits for. Wait waits for it.
func (s *Server) background(work func()) { s.work.Go(work) }

// Wait waits for the notices that are being sent because of calls and pages.
func (s *Server) Wait() { s.work.Wait() }
