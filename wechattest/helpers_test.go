package wechattest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

const (
	api  = "https://api.weixin.qq.com"
	work = "https://qyapi.weixin.qq.com"
)

// answer is what came back, with the fields these tests look at.
type answer struct {
	Status  int
	Type    string
	Raw     string
	HasCode bool // the body has an errcode

	Code      int             `json:"errcode"`
	Msg       string          `json:"errmsg"`
	Token     string          `json:"access_token"`
	ExpiresIn int             `json:"expires_in"`
	Ticket    string          `json:"ticket"`
	MediaID   string          `json:"media_id"`
	MsgID     json.RawMessage `json:"msgid"`
	IPList    []string        `json:"ip_list"`
	Quota     struct {
		Limit  int `json:"daily_limit"`
		Used   int `json:"used"`
		Remain int `json:"remain"`
	} `json:"quota"`
}

func send(t testing.TB, client *http.Client, method, target, kind, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	require.NoError(t, err)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	res, err := client.Do(r)
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	a := answer{Status: res.StatusCode, Type: res.Header.Get("Content-Type"), Raw: string(raw)}
	if strings.HasPrefix(a.Raw, "{") {
		require.NoError(t, json.Unmarshal(raw, &a), a.Raw)
		a.HasCode = strings.Contains(a.Raw, `"errcode"`)
	}
	return a
}

func get(t testing.TB, wx *wechattest.Server, target string) answer {
	t.Helper()
	return send(t, wx.Client(), http.MethodGet, target, "", "")
}

func post(t testing.TB, wx *wechattest.Server, target, body string) answer {
	t.Helper()
	return send(t, wx.Client(), http.MethodPost, target, "application/json", body)
}

func classicURL(id, secret string) string {
	return api + "/cgi-bin/token?" + url.Values{"grant_type": {"client_credential"}, "appid": {id}, "secret": {secret}}.Encode()
}

func workURL(id, secret string) string {
	return work + "/cgi-bin/gettoken?" + url.Values{"corpid": {id}, "corpsecret": {secret}}.Encode()
}

const stableURL = api + "/cgi-bin/stable_token"

func stableBody(id, secret string, force bool) string {
	b, _ := json.Marshal(map[string]any{"grant_type": "client_credential", "appid": id, "secret": secret, "force_refresh": force})
	return string(b)
}

func stable(t testing.TB, wx *wechattest.Server) answer {
	t.Helper()
	return post(t, wx, stableURL, stableBody("wx1", "s1", false))
}

func force(t testing.TB, wx *wechattest.Server) answer {
	t.Helper()
	return post(t, wx, stableURL, stableBody("wx1", "s1", true))
}

func classic(t testing.TB, wx *wechattest.Server) answer {
	t.Helper()
	return get(t, wx, classicURL("wx1", "s1"))
}

// business is the answer to an ordinary call with the token.
func business(t testing.TB, wx *wechattest.Server, token string) int {
	t.Helper()
	code := get(t, wx, api+"/cgi-bin/get_api_domain_ip?access_token="+token).Code
	require.Equal(t, code, wx.Check(token), "Check must agree with a real call")
	return code
}

func states(wx *wechattest.Server, id string) []wechattest.State {
	var list []wechattest.State
	for _, token := range wx.Tokens(id) {
		list = append(list, token.State)
	}
	return list
}

// pass lets time go by inside a bubble, where the clock jumps.
func pass(d time.Duration) { <-time.After(d) }
