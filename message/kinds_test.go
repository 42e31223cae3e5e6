package message_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechattest/push"
)

// TestEachKindOfAccountIsReadAndAnsweredInEachMode checks the reply that the user reads, with an independent WeChat.
func TestEachKindOfAccountIsReadAndAnsweredInEachMode(t *testing.T) {
	for _, kind := range []push.Kind{push.Official, push.Mini, push.Work} {
		for _, mode := range []message.Mode{message.Plain, message.Compatible, message.Secure} {
			for _, json := range []bool{false, true} {
				if kind == push.Official && json || kind == push.Work && mode != message.Secure {
					continue // this mode does not exist
				}
				synctest.Test(t, func(t *testing.T) {
					name := fmt.Sprint(kind, " ", mode, " JSON:", json)
					in, log := receiver(t, func(c *message.Config) { c.Mode = mode })
					var got []*message.Message
					in.Handle(message.Any, func(_ context.Context, m *message.Message) (message.Reply, error) {
						got = append(got, m)
						if kind == push.Mini {
							return message.TransferCustomerService{KfAccount: "a@b"}, nil
						}
						return message.Text("re: " + m.Content + m.EventKey), nil
					})
					c := callback(in)
					c.Kind, c.Mode, c.JSON, c.AgentID = kind, string(mode), json, 7
					require.NoError(t, c.Verify(t.Context()), name)

					text := deliver(t, c, push.Message{Content: "你好 ]]> <&>", MsgID: 1<<53 + 1, Fields: map[string]any{"New": map[string]any{"Field": "kept"}}})
					event := deliver(t, c, push.Message{Event: "CLICK", EventKey: "key"})
					require.Empty(t, text.Fault+event.Fault, name)
					require.Empty(t, log.String(), name)
					if kind == push.Mini {
						require.Equal(t, "transfer_customer_service", text.Type, name)
					} else {
						require.Equal(t, "re: 你好 ]]> <&>", text.Shown, name)
						require.Equal(t, "re: key", event.Shown, name)
					}
					require.Len(t, got, 2, name)
					require.EqualValues(t, 1<<53+1, got[0].MsgID, name)
					require.Equal(t, text.Document, got[0].Raw, name)
					require.Equal(t, "kept", got[0].Root.Get("New", "Field"), name)
					require.Equal(t, kind == push.Work, got[1].AgentID == 7, name)

					c.Token = "another"
					require.Equal(t, push.Unavailable, deliver(t, c, push.Message{}).Shown, name)
					require.Len(t, got, 2, "an unsigned one is not heard: %s", name)
				})
			}
		}
	}
}
