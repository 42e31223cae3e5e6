package notify_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message/notify"
	wire "github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// fixed is a token that does not expire.
type fixed string

func (f fixed) Token(context.Context) (wire.Credential, error) {
	return wire.Credential{Value: string(f), Expires: time.Now().Add(time.Hour)}, nil
}

func (f fixed) Renew(ctx context.Context, _ string) (wire.Credential, error) { return f.Token(ctx) }

// client returns a Client of wx with the token of an app.
func client(t testing.TB, wx *wechattest.Server, app wechattest.App) *wire.Client {
	wx.Add(app)
	c := &wire.Client{HTTP: wx.Client()}
	var answer struct {
		Token string `json:"access_token"`
	}
	query := url.Values{"grant_type": {"client_credential"}, "appid": {app.ID}, "secret": {app.Secret}}
	require.NoError(t, c.Get(t.Context(), "/cgi-bin/token", query, &answer))
	c.Tokens = fixed(answer.Token)
	return c
}

func TestTemplateAndSubscribeMessages(t *testing.T) {
	wx := new(wechattest.Server)
	api := client(t, wx, wechattest.App{ID: "wx1", Secret: "s1"})
	id, err := notify.SendTemplate(t.Context(), api, notify.Template{ToUser: "o", TemplateID: "T", Data: map[string]string{"thing1": "socks", "amount2": "12.00元"},
		URL: "https://x/", MiniProgram: &notify.MiniProgram{AppID: "wx2", PagePath: "p"}, ClientMsgID: "c"})
	require.NoError(t, err)
	require.Greater(t, id, int64(1)<<53, "the number is not rounded")
	require.JSONEq(t, `{"touser":"o","template_id":"T","data":{"thing1":{"value":"socks"},"amount2":{"value":"12.00元"}},"url":"https://x/",
		"miniprogram":{"appid":"wx2","pagepath":"p"},"client_msg_id":"c"}`, string(wx.Sent()[0].Body))
	_, err = notify.SendTemplate(t.Context(), api, notify.Template{ToUser: "o", Data: map[string]string{"a": "b"}})
	require.ErrorIs(t, err, wire.Code(40037))

	mini := client(t, wx, wechattest.App{ID: "wx2", Secret: "s2", Kind: wechattest.Mini})
	id, err = notify.SendSubscribe(t.Context(), mini, notify.Subscribe{ToUser: "o", TemplateID: "S", Data: map[string]string{"date2": "2026-01-01"}, Page: "index"})
	require.NoError(t, err)
	require.NotZero(t, id)
	require.JSONEq(t, `{"touser":"o","template_id":"S","page":"index","data":{"date2":{"value":"2026-01-01"}}}`, string(wx.Sent()[1].Body))
	wx.AddFault(wechattest.Fault{Path: "/cgi-bin/message/subscribe/send", Code: 43101})
	_, err = notify.SendSubscribe(t.Context(), mini, notify.Subscribe{ToUser: "o", TemplateID: "S", Data: map[string]string{"a": "b"}})
	require.ErrorIs(t, err, wire.ErrUserRefused)
}
