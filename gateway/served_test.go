package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

func TestAHandlerBesideTheGatewayFindsAppsAndCallers(t *testing.T) {
	wx := newWeChat()
	g := openGateway(t, new(store.Memory), wx)
	serve := func(key, inQuery string) (c *gateway.Caller, err error) {
		r := httptest.NewRequest("GET", "/", nil)
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		g.Beside(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { c, err = g.Caller(r, inQuery) })).ServeHTTP(httptest.NewRecorder(), r)
		return c, err
	}
	for _, keys := range [][2]string{{readKey, ""}, {"", readKey}, {"nobody's-key-of-this-test", readKey}, {readKey, allKey}} {
		c, err := serve(keys[0], keys[1])
		require.NoError(t, err)
		require.Equal(t, "read", c.Name())
		require.False(t, c.IsAdmin())
		only, err := g.OnlyApp(t.Context(), c, "/token")
		require.NoError(t, err)
		require.Equal(t, "shop", only.Name())
		require.True(t, c.Allows(only, "ticket"))
		require.False(t, c.Allows(only, "login"))
		corp, err := g.ServedApp(t.Context(), corpID, "/token")
		require.NoError(t, err)
		require.False(t, c.Allows(corp, "token"))
	}
	for _, keys := range [][2]string{{"", ""}, {"nobody's-key-of-this-test", ""}, {"", "short"}} {
		_, err := serve(keys[0], keys[1])
		refused := new(gateway.CallerError)
		require.ErrorAs(t, err, &refused)
		require.Equal(t, http.StatusUnauthorized, refused.Status)
	}
	all, err := serve(allKey, "")
	require.NoError(t, err)
	_, err = g.OnlyApp(t.Context(), all, "/token")
	require.ErrorIs(t, err, gateway.ErrNoApp, "there are several")

	a, err := g.ServedApp(t.Context(), shopID, "/token")
	require.NoError(t, err)
	require.Equal(t, []any{"shop", shopID, wechat.Official}, []any{a.Name(), a.AppID(), a.Kind()})
	require.True(t, a.HasSecret(secret))
	require.False(t, a.HasSecret(""))
	_, ok, err := a.Tokens().Look(t.Context())
	require.NoError(t, err)
	require.False(t, ok)
	tok, err := a.Tokens().Token(t.Context())
	require.NoError(t, err)
	looked, ok, err := a.Tokens().Look(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, tok.Value, looked.Value)
	require.NoError(t, a.Client().Get(t.Context(), "/cgi-bin/getcallbackip", nil, nil), "with the token")
	for name, route := range map[string]string{"none": "/token", "gone": "/token", "too": "/token", "wxaaaaaaaaaaaaaaaa": "/token"} {
		_, err := g.ServedApp(t.Context(), name, route)
		require.ErrorIs(t, err, gateway.ErrNoApp, name)
	}
	for _, c := range []struct {
		appID, secret string
		ok            bool
	}{{shopID, secret, true}, {shopID, "wrong", false}, {shopID, "", false}, {"wx-no-such-appid-0", secret, false}, {"wx-no-such-appid-0", "", false}, {"", "", false}, {"x", secret, false}} {
		_, ok, err := g.AppWithSecret(t.Context(), c.appID, c.secret, "/token")
		require.NoError(t, err)
		require.Equal(t, c.ok, ok, "%s %s", c.appID, c.secret)
	}
}

func TestAddRegistersNoAppTwice(t *testing.T) {
	wx, records := newWeChat(), new(store.Memory)
	wx.AddApp(laterID, laterSecret)
	g := openGateway(t, newSealed(t, records), wx)
	app := gateway.App{AppID: laterID, Secret: laterSecret}
	r, err := g.Apps().Add(t.Context(), "later", app)
	require.NoError(t, err)
	require.True(t, r.HasSecret(laterSecret))
	_, err = g.Apps().Add(t.Context(), "later", app)
	require.ErrorIs(t, err, gateway.ErrTaken)
	_, err = g.Apps().Add(t.Context(), "shop", app)
	require.ErrorIs(t, err, gateway.ErrInFile)
	list, err := g.Apps().WithAppID(t.Context(), laterID)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "later", list[0].Name)
	list, err = g.Apps().WithAppID(t.Context(), "wxaaaaaaaaaaaaaaaa")
	require.NoError(t, err)
	require.Len(t, list, 2)

	require.NoError(t, g.Apps().Verify(t.Context(), app))
	current, err := g.ServedApp(t.Context(), "later", "/token")
	require.NoError(t, err)
	tok, err := current.Tokens().Token(t.Context())
	require.NoError(t, err)
	require.NoError(t, g.Apps().Verify(t.Context(), app))
	require.Zero(t, wx.Check(tok.Value), "the token stays valid")
	app.Secret = "another"
	require.ErrorIs(t, g.Apps().Verify(t.Context(), app), wechat.ErrInvalidSecret)
}
