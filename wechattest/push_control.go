package wechattest

import (
	"context"

	"github.com/wetoken/wetoken/wechattest/push"
)

// callbackBody is the callback in a driving call.
type callbackBody struct {
	push.Callback
	Seconds float64 `json:"timeout"`
}

func (c callbackBody) callback() *push.Callback {
	c.Timeout = inSeconds(c.Seconds)
	return &c.Callback
}

type pushBody struct {
	callbackBody
	Push push.Message `json:"push"`
}

// controlPush makes a push, and replies with its result.
func controlPush(ctx context.Context, _ *Server, in pushBody) (any, error) {
	return in.callback().Push(ctx, in.Push)
}

func controlVerify(ctx context.Context, _ *Server, in callbackBody) (any, error) {
	return fields{}, in.callback().Verify(ctx)
}

type scanBody struct {
	callbackBody
	Ticket string `json:"ticket"`
	Person string `json:"person"`
}

// controlScan makes a person scan a QR code, and replies with the result of the push.
func controlScan(ctx context.Context, s *Server, in scanBody) (any, error) {
	return s.Scan(ctx, in.callback(), in.Ticket, in.Person)
}
