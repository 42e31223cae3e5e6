package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

const (
	laterID     = "wx1111111111111111"
	laterSecret = "a-secret-of-a-later-app"
)

// newSealed returns a store that encrypts what it keeps in s.
func newSealed(t *testing.T, s store.Store) *store.Sealed {
	t.Helper()
	keys, err := store.ParseKeys(strings.Repeat("A", 43) + "=")
	require.NoError(t, err)
	return &store.Sealed{Store: s, KeyRing: keys}
}

// openGateway returns a gateway with config, and a registry in records.
func openGateway(t *testing.T, records store.Store, wx *wechattest.Server, change ...func(*gateway.Options)) *gateway.Gateway {
	t.Helper()
	o := gateway.Options{Config: config(), Records: records, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	g, err := gateway.New(o)
	require.NoError(t, err)
	return g
}

// tokenStatus returns the status of the token route of an app, and its answer.
func tokenStatus(t *testing.T, g *gateway.Gateway, app string) (int, answer) {
	t.Helper()
	return serveDirectly(t, g.Private(), "GET", "/app/"+app+"/token", allKey, "")
}

func TestARegisteredAppIsServedAtOnce(t *testing.T) {
	wx, raw := newWeChat(), new(store.Memory)
	wx.AddApp(laterID, laterSecret)
	g := openGateway(t, newSealed(t, raw), wx)
	status, _ := tokenStatus(t, g, "later")
	require.Equal(t, http.StatusNotFound, status)
	r, err := g.Apps().Put(t.Context(), "later", gateway.App{AppID: laterID, Secret: laterSecret}, "")
	require.NoError(t, err)
	require.NotEmpty(t, r.Revision)
	for _, name := range []string{"later", laterID} {
		status, a := tokenStatus(t, g, name)
		require.Equal(t, http.StatusOK, status, a.Msg)
		require.NotEmpty(t, a.Token)
	}
	got, err := g.Apps().Get(t.Context(), "later")
	require.NoError(t, err)
	require.Equal(t, r.Revision, got.Revision)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", got, got, got), laterSecret)
	for key, err := range raw.Keys(t.Context(), "") {
		require.NoError(t, err)
		value, _, err := raw.Get(t.Context(), key)
		require.NoError(t, err)
		require.NotContains(t, string(value), laterSecret, key)
	}
	names := make(map[string]bool)
	for r, err := range g.Apps().All(t.Context()) {
		require.NoError(t, err)
		names[r.Name] = r.InFile
	}
	require.Equal(t, map[string]bool{"shop": true, "新闻": true, "too": true, "corp": true, "gone": true, "later": false}, names)
}

func TestWhatCannotBeRegisteredIsRefused(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat())
	good := gateway.App{AppID: laterID, Secret: laterSecret}
	for says, c := range map[string]struct {
		name   string
		change func(*gateway.App)
	}{
		"can be changed only there":      {"shop", func(*gateway.App) {}},
		`an app there has the id "shop"`: {"later", func(a *gateway.App) { a.ID = "shop" }},
		"secret: must be set":            {"later", func(a *gateway.App) { a.Secret = "" }},
		"invalid name":                   {"a/b", func(*gateway.App) {}},
		"does not look like an appid":    {laterID, func(*gateway.App) {}},
		"pay.merchant: want the name":    {"later", func(a *gateway.App) { a.Pay = new(gateway.Pay) }},
		"expires_at: is more than 24":    {"later", func(a *gateway.App) { a.ExpiresAt = time.Now().Add(-25 * time.Hour) }},
		"public_url: must be set":        {"later", func(a *gateway.App) { a.Hosts = []string{"shop.example.com"} }},
		"public_url: want a base URL":    {"later", func(a *gateway.App) { a.PublicURL = "ftp://shop.example.com" }},
		"verify_files: invalid name":     {"later", func(a *gateway.App) { a.VerifyFiles = map[string]string{"x": "y"} }},
		"secret: begins or ends":         {"later", func(a *gateway.App) { a.Secret = " x" }},
	} {
		app := good
		c.change(&app)
		_, err := g.Apps().Put(t.Context(), c.name, app, "")
		require.Error(t, err, says)
		if !strings.Contains(says, "begins") {
			require.ErrorContains(t, err, says)
		}
		require.NotContains(t, err.Error(), laterSecret)
	}
	_, err := g.Apps().Get(t.Context(), "later")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
	require.ErrorIs(t, g.Apps().Delete(t.Context(), "later", ""), gateway.ErrNotRegistered)
	require.ErrorIs(t, g.Apps().Delete(t.Context(), "shop", ""), gateway.ErrInFile)
	_, err = g.Apps().Rename(t.Context(), "later", "shop", "")
	require.ErrorIs(t, err, gateway.ErrInFile)

	plain := openGateway(t, new(store.Memory), newWeChat())
	_, err = plain.Apps().Put(t.Context(), "later", good, "")
	require.ErrorIs(t, err, gateway.ErrUnsealed)
	require.ErrorContains(t, err, "WETOKEN_MASTER_KEYS")
}

// An app that somebody has written to records that are not sealed is not served.
func TestUnsealedRecordsRegisterNothing(t *testing.T) {
	wx, raw := newWeChat(), new(store.Memory)
	wx.AddApp(laterID, laterSecret)
	open := openGateway(t, raw, wx, func(o *gateway.Options) { o.RegisterUnsealed = true })
	_, err := open.Apps().Put(t.Context(), "later", gateway.App{AppID: laterID, Secret: laterSecret}, "")
	require.NoError(t, err)
	status, _ := tokenStatus(t, open, "later")
	require.Equal(t, http.StatusOK, status)
	status, _ = tokenStatus(t, openGateway(t, raw, wx), "later")
	require.Equal(t, http.StatusNotFound, status)
}

func TestJSONKeepsReplacesAndRemovesSecrets(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat())
	apps, ctx := g.Apps(), t.Context()
	put := func(body, revision string) (gateway.RegisteredApp, error) {
		return apps.PutJSON(ctx, "later", []byte(body), revision)
	}
	first, err := put(`{"app_id":"`+laterID+`","secret":"s1","sign_key":"k1","message":{"token":"t1"},"cards":true}`, "")
	require.NoError(t, err)
	second, err := put(`{"app_id":"`+laterID+`","secret":"********","message":{"token":"t2"}}`, first.Revision)
	require.NoError(t, err)
	require.Equal(t, "s1", second.App.Secret)
	require.Equal(t, "k1", second.App.SignKey)
	require.Equal(t, "t2", second.App.Message.Token)
	require.False(t, second.App.Cards, "what is no secret is replaced")
	third, err := put(`{"app_id":"`+laterID+`","sign_key":null,"message":{}}`, "")
	require.NoError(t, err)
	require.Empty(t, third.App.SignKey)
	require.Equal(t, "t2", third.App.Message.Token)
	_, err = put(`{"app_id":"`+laterID+`"}`, first.Revision)
	require.ErrorIs(t, err, gateway.ErrStale)

	for body, says := range map[string]string{
		`{"app_id":"` + laterID + `","sign_key":"********"}`:            "sign_key: is masked",
		`{"app_id":"` + laterID + `","message":{"aes_key":"********"}}`: "message.aes_key: is masked",
		`{"app_id":"` + laterID + `","secret":null}`:                    "secret: must be set",
		`{"app_id":"` + laterID + `","app_id":"x"}`:                     `key "app_id" is given twice`,
		`{"app_id":"` + laterID + `","Secret":"x"}`:                     "want secret",
		`{"app_id":null}`: "app_id: is empty",
		`{"app_id":7}`:    "app_id: want text",
		`[]`:              "not a JSON object",
		`null`:            "not a JSON object",
		`{} {}`:           "not a JSON object",
		`{"name":"` + strings.Repeat("x", 1<<20) + `"}`: "more than 1 MiB",
	} {
		_, err := put(body, "")
		var wrong *gateway.SettingError
		require.ErrorAs(t, err, &wrong, body[:min(len(body), 80)])
		require.ErrorContains(t, err, says)
	}
}

func FuzzPutJSON(f *testing.F) {
	f.Add([]byte(`{"app_id":"wx1111111111111111","secret":"********","message":{"token":null}}`))
	f.Add([]byte(`{"message":[],"secret":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat())
		_, err := g.Apps().Put(t.Context(), "later", gateway.App{AppID: laterID, Secret: laterSecret}, "")
		require.NoError(t, err)
		r, err := g.Apps().PutJSON(t.Context(), "later", body, "")
		if err != nil {
			require.NotContains(t, err.Error(), laterSecret)
			return
		}
		again, err := g.Apps().Get(t.Context(), "later")
		require.NoError(t, err, "what was stored can be read")
		require.Equal(t, r, again)
	})
}

func TestAChangeIsSeenByAnotherProcessWithinTwoSeconds(t *testing.T) {
	for _, runs := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			wx, records := newWeChat(), newSealed(t, new(store.Memory))
			wx.AddApp(laterID, laterSecret)
			wx.AddApp("wx2222222222222222", laterSecret)
			one, two := openGateway(t, records, wx), openGateway(t, records, wx)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			if runs {
				go func() { ended <- two.Run(ctx) }()
			}
			see := func(want int, says string) {
				t.Helper()
				advance(2 * time.Second)
				status, a := tokenStatus(t, two, "later")
				require.Equal(t, want, status, "%s: %s", says, a.Msg)
			}
			see(http.StatusNotFound, "before")
			put := func(app gateway.App) {
				_, err := one.Apps().Put(t.Context(), "later", app, "")
				require.NoError(t, err)
			}
			put(gateway.App{AppID: laterID, Secret: laterSecret})
			see(http.StatusOK, "registered")
			put(gateway.App{AppID: laterID, Secret: laterSecret, Allow: []string{"/message"}})
			see(http.StatusNotFound, "changed")
			put(gateway.App{AppID: "wx2222222222222222", Secret: laterSecret, ExpiresAt: time.Now().Add(time.Hour)})
			see(http.StatusOK, "changed again")
			advance(time.Hour)
			see(http.StatusNotFound, "expired")
			put(gateway.App{AppID: laterID, Secret: laterSecret})
			see(http.StatusOK, "renewed")
			require.NoError(t, one.Apps().Delete(t.Context(), "later", ""))
			see(http.StatusNotFound, "deleted")
			cancel()
			if runs {
				require.ErrorIs(t, <-ended, context.Canceled)
			}
		})
	}
}

func TestARenamedAppKeepsItsURLForWeChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, s := newWeChat(), newSealed(t, new(store.Memory))
		wx.AddApp(laterID, laterSecret)
		g := openGateway(t, s, wx)
		app := gateway.App{AppID: laterID, Secret: laterSecret, Message: &gateway.Message{Token: "t"}}
		_, err := g.Apps().Put(t.Context(), "later", app, "")
		require.NoError(t, err)
		r, err := g.Apps().Rename(t.Context(), "later", "renamed", "")
		require.NoError(t, err)
		require.Equal(t, "later", r.App.ID, "what the stores keep of it stays")
		callback := func(name string) int {
			w := httptest.NewRecorder()
			g.Public().ServeHTTP(w, httptest.NewRequest("GET", "/app/"+name+"/message?signature=8a3ff2e5cc1a97ee5e3d1c2b2d7ff3b6c1d6f1c5&timestamp=1&nonce=1&echostr=x", nil))
			return w.Code
		}
		require.Equal(t, callback("renamed"), callback("later"))
		status, _ := tokenStatus(t, g, "renamed")
		require.Equal(t, http.StatusOK, status)
		status, a := tokenStatus(t, g, "later")
		require.Equal(t, http.StatusNotFound, status)
		require.Equal(t, `app "later" has another name now: "renamed"`, a.Msg)
		_, err = g.Apps().Put(t.Context(), "later", gateway.App{ID: "other", AppID: laterID, Secret: laterSecret}, "")
		require.ErrorIs(t, err, gateway.ErrTaken)
		advance(30*24*time.Hour + time.Minute)
		_, err = g.Apps().Put(t.Context(), "later", gateway.App{ID: "other", AppID: laterID, Secret: laterSecret}, "")
		require.NoError(t, err)
	})
}

func TestDeleteForgetsTheToken(t *testing.T) {
	wx, s := newWeChat(), new(store.Memory)
	wx.AddApp(laterID, laterSecret)
	g := openGateway(t, newSealed(t, new(store.Memory)), wx, func(o *gateway.Options) { o.Store = s })
	_, err := g.Apps().Put(t.Context(), "later", gateway.App{AppID: laterID, Secret: laterSecret}, "")
	require.NoError(t, err)
	status, _ := serveDirectly(t, g.Private(), "GET", "/app/later/ticket/jsapi", allKey, "")
	require.Equal(t, http.StatusOK, status)
	kept := func() (n int) {
		for _, key := range []string{"token/" + laterID + "/stable", "ticket/" + laterID + "/jsapi"} {
			if _, ok, err := s.Get(t.Context(), key); ok {
				require.NoError(t, err)
				n++
			}
		}
		return n
	}
	require.Equal(t, 2, kept())
	require.NoError(t, g.Apps().Delete(t.Context(), "later", ""))
	require.Zero(t, kept())
}
