package gateway_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestVerificationFilesAreServedAtTheRoot(t *testing.T) {
	d := openSides(t, func(c *gateway.Config) {
		set(c, "shop", func(a *gateway.App) { a.VerifyFiles = map[string]string{"MP_verify_abc.txt": "abc"} })
		set(c, "corp", func(a *gateway.App) { a.VerifyFiles = map[string]string{"WW_verify_def.txt": "def"} })
	})
	for name, content := range map[string]string{"MP_verify_abc.txt": "abc", "WW_verify_def.txt": "def"} {
		status, body := fetch(t, "GET", d.public+"/"+name)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, content, body)
	}
	status, _ := fetch(t, "GET", d.public+"/MP_verify_other.txt")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = fetch(t, "GET", d.private+"/MP_verify_abc.txt")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestThePublicSideHasNoPrivateRoutes(t *testing.T) {
	d := openSides(t, nil)
	for _, path := range []string{"/app/shop/token", "/app/shop/ticket/jsapi", "/healthz", "/readyz", "/app/shop", "/app/", "/", "/app/shop/login/redeem"} {
		status, _ := fetch(t, "GET", d.public+path+"?wetoken_key="+allKey)
		require.Equal(t, http.StatusNotFound, status, path)
	}
	require.Zero(t, d.wx.Calls(""))
}

func TestBothSidesMayShareAnAddress(t *testing.T) {
	wx, c := newWeChat(), config()
	set(&c, "shop", func(a *gateway.App) {
		a.VerifyFiles = map[string]string{"MP_verify_abc.txt": "abc"}
		a.Message = &gateway.Message{Token: tokenOf}
	})
	g, err := gateway.New(gateway.Options{Config: c, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	srv := httptest.NewServer(g.Both())
	defer srv.Close()
	status, a := ask(t, "GET", srv.URL+"/app/shop/token", allKey, "")
	require.Equal(t, http.StatusOK, status, a.Msg)
	for path, want := range map[string]int{
		"/app/shop/token": 401, "/healthz": 200, "/MP_verify_abc.txt": 200, "/MP_verify_x.txt": 401, "/nothing": 401,
		"/app/shop/js/config.js": 200, "/app/shop/nothing": 401, "/app/none/message": 401, "/app/shop/message": 401,
	} {
		status, _ := fetch(t, "GET", srv.URL+path)
		require.Equal(t, want, status, path)
	}
	callback := push.Callback{AppID: shopID, URL: srv.URL + "/app/shop/message", Token: tokenOf}
	require.NoError(t, callback.Verify(t.Context()))
}
