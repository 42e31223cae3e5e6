package gateway_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestThePlatformPassesTheReleaseCheck(t *testing.T) {
	for name, change := range map[string]func(*gateway.Options){
		"without backends": nil,
		"with a backend": func(o *gateway.Options) {
			app := o.Config.Apps["saas"]
			app.Message.Forward = []gateway.Forward{{URL: "http://127.0.0.1:1/never", Answer: true}}
			o.Config.Apps["saas"] = app
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newPlatformWorld(t, change)
				for range 2 {
					steps, err := w.wx.CheckRelease(t.Context(), platformID)
					require.NoError(t, err)
					require.Len(t, steps, 6)
					for _, step := range steps {
						require.Empty(t, step.Fault, step.Name)
					}
				}
				time.Sleep(time.Minute) // for the answers on their way
			})
		})
	}
}

func TestThePlatformAnswersNoReleaseCheckUnlessItIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, func(o *gateway.Options) {
			app := o.Config.Apps["saas"]
			app.ReleaseCheck = false
			o.Config.Apps["saas"] = app
		})
		steps, err := w.wx.CheckRelease(t.Context(), platformID)
		require.NoError(t, err)
		var failed []string
		for _, step := range steps {
			if step.Fault != "" {
				failed = append(failed, step.Name)
			}
		}
		require.Equal(t, []string{"text", "event", "customer_service"}, failed)
	})
}

func TestUsersOfAccountsGetNoAnswersOfTheReleaseCheckByEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, aliceID)
		_, err := w.gateways[0].Apps().PutJSON(t.Context(), "app-alice00000000001",
			[]byte(`{"kind":"authorized","platform":"saas","app_id":"`+aliceID+`","message":{"forward":[{"url":"http://127.0.0.1:1/never"}]}}`), "")
		require.NoError(t, err)
		to, err := w.wx.PlatformMessages(platformID, aliceID)
		require.NoError(t, err)
		result, err := to.Push(t.Context(), push.Message{Event: "CLICK", EventKey: "menu"})
		require.NoError(t, err)
		require.Empty(t, result.Reply)

		// A user of an account who knows a code of it gets no more than that account's message, and of others nothing.
		sent := len(w.wx.Sent())
		result, err = to.Push(t.Context(), push.Message{Content: "QUERY_AUTH_CODE:unknown"})
		require.NoError(t, err)
		require.Empty(t, result.Reply)
		time.Sleep(time.Minute)
		require.Len(t, w.wx.Sent(), sent)
		require.Zero(t, w.wx.Calls("/cgi-bin/message/custom/send"))
	})
}
