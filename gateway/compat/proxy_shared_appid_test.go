package compat_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// tokenAt returns the token that a path of the private side answers.
func tokenAt(t *testing.T, private http.Handler, path string) string {
	t.Helper()
	status, body, _ := send(private, input{path: path, key: allKey})
	var out struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &out), body)
	require.Equal(t, 200, status, body)
	require.NotEmpty(t, out.Token, body)
	return out.Token
}

// Where one program renews the token by its key, no other program is left with a dead one.
func TestKeysOfOneAppidHaveOneToken(t *testing.T) {
	t.Parallel() // each renewal waits for other processes to hear of the last one
	w := newProxyWorld(t, nil)
	w.wx.AddApp(noneID, secret)
	_, err := w.gateway.Apps().Put(t.Context(), "first", gateway.App{AppID: noneID, Secret: secret, TokenMode: "classic"}, "")
	require.NoError(t, err)
	status, body := w.register("key", "second", "appid", noneID, "secret", secret)
	require.Equal(t, success, body)
	require.Equal(t, 200, status)
	require.Equal(t, "classic", w.registered("second").TokenMode, "as the other key of the appid")

	_, elsewhere, _ := w.open()
	sides := []http.Handler{w.private, elsewhere}
	asked := w.wx.Calls("/cgi-bin/token")
	before := tokenAt(t, w.private, "/app/first/api")
	for _, name := range []string{"first", "second"} {
		for _, side := range sides {
			require.Equal(t, before, tokenAt(t, side, "/app/"+name+"/token"), name)
		}
	}
	require.Equal(t, asked+1, w.wx.Calls("/cgi-bin/token"))
	for i, path := range []string{"/app/first/api/new", "/app/second/api/new"} {
		next := tokenAt(t, sides[i], path)
		require.NotEqual(t, before, next)
		for _, name := range []string{"first", "second"} {
			for _, side := range sides {
				require.Zero(t, w.wx.Check(tokenAt(t, side, "/app/"+name+"/api")), "%s after %s", name, path)
			}
		}
		require.Eventually(t, func() bool { return tokenAt(t, elsewhere, "/app/second/api") == next }, 20*time.Second, 50*time.Millisecond, "it hears of the new one")
		before = next
	}

	// A key that is removed takes nothing from the other.
	before = tokenAt(t, elsewhere, "/app/second/api")
	asked = w.wx.Calls("/cgi-bin/token")
	require.NoError(t, w.gateway.Apps().Delete(t.Context(), "first", ""))
	_, fresh, _ := w.open()
	require.Equal(t, before, tokenAt(t, fresh, "/app/second/api"))
	require.Equal(t, asked, w.wx.Calls("/cgi-bin/token"))
}

func TestANewKeyOfAnAppidIsOfItsKind(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, body := w.register("key", "second", "appid", miniID, "secret", secret)
	require.Equal(t, success, body)
	require.Equal(t, wechat.Mini, w.registered("second").Kind)
	require.Equal(t, tokenAt(t, w.private, "/app/mini/token"), tokenAt(t, w.private, "/app/second/api"))
}

// Each secret of a corp has a token of its own.
func TestKeysOfOneCorpMayHaveTheirOwnSecrets(t *testing.T) {
	w := newProxyWorld(t, nil)
	const corpID = "ww0123456789abcdef"
	w.wx.Add(wechattest.App{ID: corpID, Secret: secret, Kind: wechattest.Work})
	for _, key := range []string{"first", "second"} {
		_, body := w.register("key", key, "appid", corpID, "secret", secret)
		require.Equal(t, success, body)
	}
	require.Equal(t, tokenAt(t, w.private, "/app/first/qyapi"), tokenAt(t, w.private, "/app/second/qyapi"))
}

// A forced renewal of a stable token ends the one before at once.
func TestAForcedRenewalReachesAllAppsOfTheAppid(t *testing.T) {
	for name, in := range map[string]input{
		"/api/new":    {path: "/app/shop/api/new", key: allKey},
		"POST /token": {method: "POST", path: "/app/shop/token", key: allKey, body: `{"refused":"%s"}`, form: formJSON},
		"force=true":  {path: "/apis/v1/wx/mp/access_token?force=true", key: shopKey},
	} {
		w := newProxyWorld(t, nil, func(o *gateway.Options) { o.Config.Compat.Systems = []string{"proxy", "accesstoken"} })
		for _, key := range []string{"first", "second"} {
			_, body := w.register("key", key, "appid", shopID, "secret", secret)
			require.Equal(t, success, body)
		}
		apps, before := []string{"shop", "first", "second"}, ""
		for _, app := range apps {
			before = tokenAt(t, w.private, "/app/"+app+"/token")
		}
		in.body = strings.Replace(in.body, "%s", before, 1)
		status, body := w.get(in)
		require.Equal(t, 200, status, "%s: %s", name, body)
		require.NotContains(t, body, before)
		require.NotZero(t, w.wx.Check(before))
		for _, app := range apps {
			require.Zero(t, w.wx.Check(tokenAt(t, w.private, "/app/"+app+"/api")), "%s: %s", name, app)
		}
	}
}

// So does one that a ticket needs, whose token WeChat has refused.
func TestARenewalForATicketReachesAllAppsOfTheAppid(t *testing.T) {
	w := newProxyWorld(t, nil)
	for _, key := range []string{"first", "second"} {
		_, body := w.register("key", key, "appid", shopID, "secret", secret)
		require.Equal(t, success, body)
	}
	before := tokenAt(t, w.private, "/app/second/token")
	require.Equal(t, before, tokenAt(t, w.private, "/app/first/token"))
	w.wx.Refuse(before)
	status, body := w.get(input{path: "/app/first/ticket/jsapi", key: allKey})
	require.Equal(t, 200, status, body)
	require.Zero(t, w.wx.Check(tokenAt(t, w.private, "/app/second/token")))
}
