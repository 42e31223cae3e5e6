package wechattest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/wetoken/wetoken/wechattest/push"
)

// ReleaseStep is a step of the release check (全网发布检测) of a platform.
type ReleaseStep struct {
	Name  string `json:"name"`  // ticket, authorized, text, event, query_auth_code or customer_service
	Fault string `json:"fault"` // the reason why it failed; empty if it passed
}

// ReleaseAccount is the official account of WeChat's that the release check authorizes and writes from.
const ReleaseAccount = "wx570bc396a51b8ff8"

// releaseTimeout is the time within which the customer service message has to come.
const releaseTimeout = 5 * time.Second

// CheckRelease makes the check that WeChat makes before a platform is released to all accounts, and returns all of its steps.
func (s *Server) CheckRelease(ctx context.Context, platformID string) (steps []ReleaseStep, err error) {
	s.mu.Lock()
	known := s.apps[ReleaseAccount] != nil
	s.mu.Unlock()
	if !known {
		s.AddApp(ReleaseAccount, newID("secret", 32))
	}
	messages, err := s.PlatformMessages(platformID, ReleaseAccount)
	if err != nil {
		return nil, err
	}
	add := func(name, fault string) { steps = append(steps, ReleaseStep{name, fault}) }
	notice, err := s.PushTicket(ctx, platformID)
	if err != nil {
		return nil, err
	}
	add("ticket", notice.Fault)

	s.mu.Lock()
	p := s.platforms[platformID]
	code, infoType := p.authorize(s.apps[ReleaseAccount], "", time.Now())
	s.mu.Unlock()
	if notice, err = s.notifyGrant(ctx, platformID, infoType, ReleaseAccount, code, ""); err != nil {
		return steps, err
	}
	add("authorized", notice.Fault)

	const text = "TESTCOMPONENT_MSG_TYPE_TEXT"
	for _, ask := range []struct {
		name, want string
		message    push.Message
	}{
		{"text", text + "_callback", push.Message{Content: text}},
		{"event", "LOCATIONfrom_callback", push.Message{Event: "LOCATION", Fields: map[string]any{"Latitude": "23.1", "Longitude": "113.3", "Precision": "1.0"}}},
	} {
		result, err := messages.Push(ctx, ask.message)
		if err != nil {
			return steps, err
		}
		fault := result.Fault
		if fault == "" && (result.Type != "text" || result.Shown != ask.want) {
			fault = fmt.Sprintf("the reply is %.100q: want a text %q", result.Shown, ask.want)
		}
		add(ask.name, fault)
	}

	asked := time.Now()
	result, err := messages.Push(ctx, push.Message{Content: "QUERY_AUTH_CODE:" + code})
	if err != nil {
		return steps, err
	}
	fault := result.Fault
	if fault == "" && result.Reply != "" {
		fault = "the reply is not empty"
	}
	add("query_auth_code", fault)
	fault = ""
	if !s.waitForText(ctx, ReleaseAccount, code+"_from_api", asked) {
		fault = fmt.Sprintf("no customer service message with the code and _from_api came within %s", releaseTimeout)
	}
	add("customer_service", fault)
	return steps, ctx.Err()
}

// waitForText reports whether an app sends a customer service message with a text, after an instant.
func (s *Server) waitForText(ctx context.Context, appID, text string, after time.Time) bool {
	for until := after.Add(releaseTimeout); ; {
		for _, m := range s.Sent() {
			if m.AppID == appID && strings.HasSuffix(m.Path, "/custom/send") && !m.Time.Before(after) && bytes.Contains(m.Body, []byte(`"`+text+`"`)) {
				return true
			}
		}
		if !time.Now().Before(until) || !wait(ctx, 50*time.Millisecond) {
			return false
		}
	}
}
