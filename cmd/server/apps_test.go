package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// Apps that are registered at one server are served by another one, also after both were killed.
func TestAppsAreRegisteredAtOneServerAndServedByAll(t *testing.T) {
	t.Parallel()
	const (
		admin, reader = "a-key-of-this-test-to-administer", "a-key-of-this-test-to-read"
		appID, secret = "wx1111111111111111", "a-secret-of-a-later-app"
	)
	wx := new(wechattest.Server)
	wx.AddApp(appID, secret)
	weChat := httptest.NewServer(wx)
	t.Cleanup(weChat.Close)
	file := write(t, `
records: sqlite:`+filepath.Join(t.TempDir(), "records.db")+`
endpoints: {api: "`+weChat.URL+`"}
keys:
  - {name: admin, key: `+admin+`, apps: ["*"], scopes: [admin]}
  - {name: reader, key: `+reader+`, apps: ["*"], scopes: [token]}
apps: {shop: {app_id: wx0123456789abcdef, secret: a-secret-of-this-test}}
`)
	env := []string{"WETOKEN_MASTER_KEYS=" + newKey()}
	one, two := start(t, env, "-config", file), start(t, env, "-config", file)
	call := func(p *process, method, path, body, ifMatch string) (status int, text, tag string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.base+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+admin)
		if ifMatch != "" {
			r.Header.Set("If-Match", ifMatch)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		all, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NotContains(t, string(all), secret)
		return resp.StatusCode, string(all), resp.Header.Get("ETag")
	}
	serves := func(p *process, app string, want int) func() bool {
		return func() bool {
			status, _ := fetchWith(t, p, reader, "/app/"+app+"/token")
			return status == want
		}
	}
	require.True(t, serves(two, "later", 404)())
	status, text, tag := call(one, "PUT", "/apps/later?verify=1", `{"app_id":"`+appID+`","secret":"`+secret+`"}`, "")
	require.Equal(t, http.StatusCreated, status, text)
	require.JSONEq(t, `{"app_id":"`+appID+`","secret":"********","verify":0}`, text)
	require.True(t, serves(one, "later", 200)(), "at once")
	waitUntil(t, 20*time.Second, "the other server serves the app", serves(two, "later", 200))

	status, text, _ = call(two, "PUT", "/apps/later", `{"app_id":"`+appID+`","allow":["/message"]}`, tag)
	require.Equal(t, http.StatusOK, status, text)
	waitUntil(t, 20*time.Second, "the app allows no tokens at the first server", serves(one, "later", 404))
	status, text, _ = call(one, "PUT", "/apps/later", `{"app_id":"`+appID+`"}`, tag)
	require.Equal(t, http.StatusPreconditionFailed, status, text)
	status, text, _ = call(one, "PUT", "/apps/later", `{"app_id":"`+appID+`"}`, "")
	require.Equal(t, http.StatusOK, status, text)
	status, text, _ = call(one, "POST", "/apps/later/rename", `{"to":"renamed"}`, "")
	require.Equal(t, http.StatusOK, status, text)
	for _, p := range []*process{one, two} {
		p.kill()
		require.NotContains(t, p.log.String(), secret)
	}

	again := start(t, env, "-config", file)
	require.True(t, serves(again, "renamed", 200)())
	require.True(t, serves(again, "later", 404)())
	status, text, _ = call(again, "DELETE", "/apps/renamed", "", "")
	require.Equal(t, http.StatusNoContent, status, text)
	require.True(t, serves(again, "renamed", 404)())
	status, text, _ = call(again, "GET", "/audit?caller=admin", "", "")
	require.Equal(t, http.StatusOK, status)
	for _, action := range []string{`"action":"put"`, `"action":"rename"`, `"action":"delete"`, `"from":"127.0.0.1"`} {
		require.Contains(t, text, action)
	}
}
