package wechattest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestAFaultMayWriteTheAnswerAnotherWay(t *testing.T) {
	wx := webServer()
	wx.AddPerson(wechattest.Person{Name: "li", Nickname: "a\x14\t\"\\u0014\n李"})
	g := exchange(t, wx, "wx1", loginCode(t, wx, inside, "wx1", "snsapi_userinfo"))
	web := httptest.NewServer(wx)
	defer web.Close()
	raw := func(path, body string) string {
		method := http.MethodGet
		if body != "" {
			method = http.MethodPost
		}
		r, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		res, err := web.Client().Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(answer)
	}
	user := func() string { return raw("/sns/userinfo?access_token="+g.Token+"&openid="+g.OpenID, "") }
	fail := func(fault string) {
		require.Equal(t, 200, send(t, web.Client(), "POST", web.URL+"/_wechattest/fail", "", fault).Status)
	}
	whole := user()

	require.False(t, json.Valid([]byte(whole)), "control characters of a name come as they are")

	fail(`{"bom":true,"times":1}`)
	require.Equal(t, "\ufeff"+whole, user())
	fail(`{"numbers":"text","times":1}`)
	require.Equal(t, strings.Replace(whole, `"sex":0`, `"sex":"0"`, 1), user())
	fail(`{"numbers":"float","times":1}`)
	require.Equal(t, strings.Replace(whole, `"sex":0`, `"sex":0.0`, 1), user())
	require.Equal(t, whole, user())

	fail(`{"code":40001,"numbers":"text","bom":true,"times":1}`)
	require.True(t, strings.HasPrefix(user(), "\ufeff{\"errcode\":40001,"), "an errcode is a number everywhere")
	fail(`{"path":"/cgi-bin/stable_token","numbers":"text","times":1}`)
	require.Contains(t, raw("/cgi-bin/stable_token", stableBody("wx1", "s1", false)), `"expires_in":"7200"`)
	fail(`{"status":502,"body":"<html>1</html>","bom":true,"times":1}`)
	require.Equal(t, "<html>1</html>", user())
	fail(`{"status":200,"body":"-1.5e3","numbers":"text","times":1}`)
	require.Equal(t, `"-1.5e3"`, user())
	require.Equal(t, 400, send(t, web.Client(), "POST", web.URL+"/_wechattest/fail", "", `{"numbers":"hex"}`).Status)
}
