package wechattest_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

type qrcode struct {
	Code    int    `json:"errcode"`
	Ticket  string `json:"ticket"`
	Seconds int    `json:"expire_seconds"`
	URL     string `json:"url"`
}

func createQRCode(t *testing.T, wx *wechattest.Server, token, body string) (q qrcode) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(post(t, wx, api+"/cgi-bin/qrcode/create?access_token="+token, body).Raw), &q))
	return q
}

func TestAScanPushesTheSceneAsEventKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, official, _, _ := trio(t)
		wx.AddPerson(wechattest.Person{Name: "li"})
		wx.AddPerson(wechattest.Person{Name: "han"})
		wx.Follow("wx1", "han", false)
		c := &push.Callback{AppID: "wx1", Token: "tok", Handler: answering("success")}
		q := createQRCode(t, wx, official, `{"expire_seconds":604800,"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":"shop 1"}}}`)
		require.Equal(t, 604800, q.Seconds)
		require.Contains(t, q.URL, "http://weixin.qq.com/q/")
		require.NotEqual(t, q.Ticket, url.QueryEscape(q.Ticket), "a ticket must be escaped")

		p, err := wx.Scan(t.Context(), c, q.Ticket, "li")
		require.NoError(t, err)
		require.Empty(t, p.Fault)
		for _, part := range []string{"<Event><![CDATA[SCAN]]>", "<EventKey><![CDATA[shop 1]]>", "<Ticket><![CDATA[" + q.Ticket + "]]>", wx.OpenID("wx1", "li")} {
			require.Contains(t, p.Document, part)
		}
		info := func() string {
			return get(t, wx, api+"/cgi-bin/user/info?access_token="+official+"&openid="+wx.OpenID("wx1", "han")).Raw
		}
		require.Contains(t, info(), `"subscribe":0`)
		p, err = wx.Scan(t.Context(), c, q.Ticket, "han")
		require.NoError(t, err)
		require.Contains(t, p.Document, "<Event><![CDATA[subscribe]]>")
		require.Contains(t, p.Document, "<EventKey><![CDATA[qrscene_shop 1]]>")
		require.Contains(t, info(), `"subscribe":1`)
		p, err = wx.Scan(t.Context(), c, q.Ticket, "han")
		require.NoError(t, err)
		require.Contains(t, p.Document, "SCAN", "by then han follows")

		limit := createQRCode(t, wx, official, `{"action_name":"QR_LIMIT_SCENE","action_info":{"scene":{"scene_id":100000}}}`)
		require.Zero(t, limit.Seconds)
		short := createQRCode(t, wx, official, `{"action_name":"QR_SCENE","action_info":{"scene":{"scene_id":4294967295}}}`)
		require.Equal(t, 60, short.Seconds)
		show := func(ticket string) int {
			status, _, _ := look(t, wx, "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket="+url.QueryEscape(ticket))
			return status
		}
		require.Equal(t, []int{200, 200, 404}, []int{show(limit.Ticket), show(short.Ticket), show("made-up")})
		pass(time.Minute)
		require.Equal(t, []int{200, 404}, []int{show(limit.Ticket), show(short.Ticket)})

		_, err = wx.Scan(t.Context(), c, short.Ticket, "li")
		require.ErrorContains(t, err, "expired")
		_, err = wx.Scan(t.Context(), c, "made-up", "li")
		require.ErrorContains(t, err, "unknown ticket")
		_, err = wx.Scan(t.Context(), c, limit.Ticket, "nobody")
		require.ErrorContains(t, err, "unknown person")
		c.AppID = "wx2"
		_, err = wx.Scan(t.Context(), c, limit.Ticket, "li")
		require.ErrorContains(t, err, "another app")
		_, err = wx.Scan(t.Context(), &push.Callback{}, limit.Ticket, "li")
		require.Error(t, err)
	})
}

func TestQRCodesThatAreNone(t *testing.T) {
	wx, official, mini, _ := trio(t)
	for body, want := range map[string]int{
		`{"action_name":"QR","action_info":{"scene":{"scene_id":1}}}`:                                                  40052,
		`{"action_info":{"scene":{"scene_id":1}}}`:                                                                     40052,
		`{"action_name":"QR_SCENE"}`:                                                                                   40053,
		`{"action_name":"QR_SCENE","action_info":{"scene_id":1}}`:                                                      40053,
		`{"action_name":"QR_SCENE","action_info":{"scene":{"scene_id":0}}}`:                                            40053,
		`{"action_name":"QR_SCENE","action_info":{"scene":{"scene_id":4294967296}}}`:                                   40053,
		`{"action_name":"QR_SCENE","action_info":{"scene":{"scene_str":"a"}}}`:                                         40053,
		`{"action_name":"QR_LIMIT_SCENE","action_info":{"scene":{"scene_id":100001}}}`:                                 40053,
		`{"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":""}}}`:                                      40053,
		`{"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_id":1}}}`:                                        40053,
		`{"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":true}}}`:                                    40053,
		`{"action_name":"QR_LIMIT_STR_SCENE","action_info":{"scene_str":"1"}}`:                                         40053,
		`{"expire_seconds":2592001,"action_name":"QR_SCENE","action_info":{"scene":{"scene_id":1}}}`:                   40053,
		`{"expire_seconds":"600","action_name":"QR_SCENE","action_info":{"scene":{"scene_id":1}}}`:                     47001,
		`{"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":111}}}`:                                     0,
		`{"action_name":"QR_LIMIT_STR_SCENE","action_info":{"scene":{"scene_str":"` + strings.Repeat("字", 64) + `"}}}`: 0,
		`{"action_name":"QR_LIMIT_STR_SCENE","action_info":{"scene":{"scene_str":"` + strings.Repeat("a", 65) + `"}}}`: 40053,
	} {
		require.Equal(t, want, createQRCode(t, wx, official, body).Code, body)
	}
	require.Equal(t, 48001, createQRCode(t, wx, mini, `{"action_name":"QR_SCENE"}`).Code)
}

func TestAScanIsDrivenOverHTTP(t *testing.T) {
	wx, official, _, _ := trio(t)
	web := httptest.NewServer(wx)
	defer web.Close()
	app := httptest.NewServer(answering("success"))
	defer app.Close()
	do := func(call string, body any) answer {
		raw, err := json.Marshal(body)
		require.NoError(t, err)
		return send(t, web.Client(), "POST", web.URL+"/_wechattest/"+call, "", string(raw))
	}
	q := createQRCode(t, wx, official, `{"action_name":"QR_LIMIT_SCENE","action_info":{"scene":{"scene_id":7}}}`)
	scan := map[string]any{"app": "wx1", "url": app.URL, "token": "tok", "ticket": q.Ticket, "person": "ming"}
	require.Equal(t, 200, do("follow", map[string]any{"app": "wx1", "person": "ming", "follows": false}).Status)
	require.Contains(t, do("scan", scan).Raw, "qrscene_7")
	require.NotContains(t, do("scan", scan).Raw, "qrscene_7")
	require.Equal(t, 200, do("departments", map[string]any{"corp": "ww1", "id": 2, "name": "研发"}).Status)
	scan["ticket"] = "made-up"
	for call, body := range map[string]any{
		"scan": scan, "follow": map[string]any{"app": "wx1", "person": "nobody"}, "departments": map[string]any{"corp": "ww1"},
	} {
		require.Equal(t, 400, do(call, body).Status, call)
	}
}
