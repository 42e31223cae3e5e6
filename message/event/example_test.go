package event_test

import (
	"context"
	"fmt"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/message/event"
	"github.com/wetoken/wetoken/wechattest/push"
)

// A handler that records whether template messages have arrived.
func Example() {
	in, err := message.New(message.Config{AppID: "wx0123456789abcdef", Token: "AAAAA"})
	if err != nil {
		fmt.Println(err)
		return
	}
	in.Handle(message.OnEvent("TEMPLATESENDJOBFINISH"), func(ctx context.Context, m *message.Message) (message.Reply, error) {
		var e event.TemplateSendJobFinish
		if err := m.Decode(&e); err != nil {
			return nil, err
		}
		fmt.Println(m.FromUserName, e.MsgID, e.Status)
		return nil, nil
	})

	wx := &push.Callback{AppID: "wx0123456789abcdef", Token: "AAAAA", Handler: wetoken.Handler(in)} // WeChat, for this example
	job := map[string]any{"MsgID": 200163836, "Status": "success"}
	if _, err := wx.Push(context.Background(), push.Message{Event: "TEMPLATESENDJOBFINISH", Fields: job}); err != nil {
		fmt.Println(err)
	}
	// Output: oUser 200163836 success
}
