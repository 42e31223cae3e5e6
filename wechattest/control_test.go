package wechattest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

const control = "http://127.0.0.1:1/_wechattest/"

func TestControlOverHTTPDrivesTheServer(t *testing.T) {
	wx := new(wechattest.Server)
	web := httptest.NewServer(wx)
	defer web.Close()
	do := func(method, call, body string) string {
		a := send(t, web.Client(), method, web.URL+"/_wechattest/"+call, "", body)
		require.Equal(t, 200, a.Status, a.Raw)
		require.Equal(t, "application/json", a.Type)
		return a.Raw
	}
	do("POST", "apps", `{"id":"wx1","secret":"s1","life":100,"ips":["127.0.0.1"],"quotas":{"/cgi-bin/user/info":2}}`)
	do("POST", "apps", `{"id":"ww1","secret":"s1","kind":"work","agent_id":7}`)
	one := stable(t, wx)
	require.Equal(t, 100, one.ExpiresIn)
	token := func(value string) string { return `{"token":"` + value + `"}` }

	require.JSONEq(t, `{"errcode":0}`, do("GET", "check?token="+one.Token, ""))
	do("POST", "refuse", token(one.Token))
	require.JSONEq(t, `{"errcode":40001}`, do("GET", "check?token="+one.Token, ""))
	do("POST", "revoke", token(one.Token))
	two := stable(t, wx)
	require.NotEqual(t, one.Token, two.Token)
	do("POST", "expire", token(two.Token))
	require.JSONEq(t, `{"errcode":42001}`, do("GET", "check?token="+two.Token, ""))

	var tokens []wechattest.Token
	require.NoError(t, json.Unmarshal([]byte(do("GET", "tokens?app=wx1", "")), &tokens))
	require.Len(t, tokens, 2)
	require.Equal(t, wechattest.Expired, tokens[1].State)
	require.JSONEq(t, `[]`, do("GET", "tokens?app=nobody", ""))

	do("POST", "fail", `{"path":"/cgi-bin/stable_token","code":-1,"delay":0.001,"after_work":true}`)
	require.Equal(t, -1, stable(t, wx).Code)
	do("POST", "heal", "")
	three := stable(t, wx).Token
	require.NotEmpty(t, three)

	require.JSONEq(t, `{"calls":4}`, do("GET", "calls?path=/cgi-bin/stable_token", ""))
	require.JSONEq(t, `{"calls":4}`, do("GET", "calls?path=/cgi-bin/stable_token&app=wx1", ""))
	require.JSONEq(t, `{"calls":0}`, do("GET", "calls?path=/cgi-bin/stable_token&app=ww1", ""))

	require.JSONEq(t, `[]`, do("GET", "sent", ""))
	post(t, wx, api+"/cgi-bin/message/custom/send?access_token="+three, `{"touser":"o","msgtype":"text","text":{"content":"\u003c"}}`)
	var sent []struct{ App, Path, Body string }
	require.NoError(t, json.Unmarshal([]byte(do("GET", "sent", "")), &sent))
	require.Len(t, sent, 1)
	require.Equal(t, `{"touser":"o","msgtype":"text","text":{"content":"\u003c"}}`, sent[0].Body)
	require.Equal(t, "wx1", sent[0].App)
}

func TestControlRefusesInvalidCalls(t *testing.T) {
	wx := new(wechattest.Server)
	for _, c := range []struct {
		call, body string
		want       int
	}{
		{"nothing", `{}`, 404},
		{"calls", `{}`, 404}, // a GET call
		{"apps", ``, 400},
		{"apps", `{"id":"a"}`, 400},
		{"apps", `{"secret":"a"}`, 400},
		{"apps", `{"id":"a","secret":"b","kind":"other"}`, 400},
		{"apps", `{"id":"a","secret":"b","life":-1}`, 400},
		{"apps", `{"id":"a","secret":"b","colour":"red"}`, 400},
		{"apps", `{"id":"a","secret":"b"}{}`, 400},
		{"fail", `{"status":100}`, 400},
		{"fail", `{"times":-1}`, 400},
		{"revoke", `[]`, 400},
	} {
		a := post(t, wx, control+c.call, c.body)
		require.Equal(t, c.want, a.Status, "%s %s", c.call, c.body)
		require.Contains(t, a.Raw, `{"error":"`)
	}
}

func TestControlIsForLoopbackAndConfiguredHosts(t *testing.T) {
	wx := &wechattest.Server{ControlHosts: []string{"wechat", "Fake.Example"}}
	web := httptest.NewServer(wx)
	defer web.Close()
	status := func(method, host string, header ...string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, web.URL+"/_wechattest/heal", strings.NewReader("{}"))
		require.NoError(t, err)
		if method == http.MethodGet {
			r.URL.Path = "/_wechattest/calls"
		}
		if host != "" {
			r.Host = host
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := web.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	for _, host := range []string{"", "localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:8099", "[::1]", "[::1]:8099", "wechat:8099", "fake.example"} {
		require.Equal(t, 200, status("POST", host), host)
		require.Equal(t, 200, status("GET", host), host)
	}
	for _, host := range []string{"evil.example", "evil.example:8099", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", "0.0.0.0", "[::2]", "wechat.evil.example", "127.0.0.1@evil.example"} {
		require.Contains(t, []int{400, 403}, status("POST", host), host)
		require.Contains(t, []int{400, 403}, status("GET", host), host)
	}
	own := strings.TrimPrefix(web.URL, "http://")
	require.Equal(t, 200, status("POST", "", "Origin", web.URL))
	require.Equal(t, 200, status("POST", "", "Sec-Fetch-Site", "same-origin", "Origin", web.URL))
	require.Equal(t, 200, status("POST", "", "Sec-Fetch-Site", "none"))
	for _, site := range []string{"cross-site", "same-site"} {
		require.Equal(t, 403, status("POST", own, "Sec-Fetch-Site", site), site)
	}
	require.Equal(t, 403, status("POST", "", "Origin", "https://evil.example"))
	require.Equal(t, 403, status("POST", "", "Origin", "null"))
	require.Equal(t, 403, status("POST", "wechat:8099", "Origin", "http://localhost:3000"))

	require.Equal(t, 40066, get(t, wx, api+"/_wechattest/heal").Code, "no host of WeChat has them")
	r, err := http.NewRequestWithContext(t.Context(), "GET", web.URL+"/cgi-bin/token", nil)
	require.NoError(t, err)
	r.Host = "evil.example"
	res, err := web.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode, "WeChat's own calls are served under any name")
}
