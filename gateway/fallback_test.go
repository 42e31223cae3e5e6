package gateway_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

// echo returns a handler that replies with its name and the path.
func echo(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, name, " ", r.URL.EscapedPath(), " ", r.PathValue("id"))
	}
}

// fallbackMux returns a fallback with a handler for each pattern.
func fallbackMux(name string, patterns ...string) func(*gateway.Gateway) http.Handler {
	m := http.NewServeMux()
	for _, pattern := range patterns {
		m.Handle(pattern, echo(name))
	}
	return func(*gateway.Gateway) http.Handler { return m }
}

// threeSides serves a gateway's private side, public side, and both. It returns their URLs.
func threeSides(t *testing.T, o gateway.Options) map[string]string {
	t.Helper()
	o.Config, o.HTTP, o.Log = config(), newWeChat().Client(), slog.New(slog.DiscardHandler)
	set(&o.Config, "shop", func(a *gateway.App) { a.VerifyFiles = map[string]string{"MP_verify_abc.txt": "abc"} })
	g, err := gateway.New(o)
	require.NoError(t, err)
	at := make(map[string]string)
	for name, h := range map[string]http.Handler{"private": g.Private(), "public": g.Public(), "both": g.Both()} {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		at[name] = srv.URL
	}
	return at
}

func TestAFallbackServesUnknownRoutes(t *testing.T) {
	at := threeSides(t, gateway.Options{
		PublicFallback: []func(*gateway.Gateway) http.Handler{
			fallbackMux("old", "GET /wx/{id}", "GET /MP_verify_abc.txt", "GET /app/{id}/login", "POST /app/{id}/old", "GET /both/{id}", "GET /first"),
			fallbackMux("older", "GET /first", "GET /second", "/tree/"),
		},
		PrivateFallback: []func(*gateway.Gateway) http.Handler{
			fallbackMux("inner", "GET /cgi-bin/token", "GET /healthz", "GET /app/{id}/token", "GET /app/{id}/old", "GET /both/{id}"),
		},
	})
	for _, c := range []struct {
		side, method, path, key string
		status                  int
		says, allow             string
	}{
		{"public", "GET", "/wx/7%2F8", "", 200, "old /wx/7%2F8 7/8", ""},
		{"public", "HEAD", "/wx/7", "", 200, "", ""},
		{"public", "GET", "/first", "", 200, "old /first ", ""},
		{"public", "GET", "/second", "", 200, "older /second ", ""},
		{"public", "GET", "/tree", "", 200, "older /tree/ ", ""},
		{"public", "GET", "/MP_verify_abc.txt", "", 200, "abc", ""},
		{"public", "POST", "/app/shop/old", "", 200, "old /app/shop/old shop", ""},
		{"public", "POST", "/app/none/old", "", 200, "old /app/none/old none", ""},
		{"public", "POST", "/app/gone/old", "", 200, "old /app/gone/old gone", ""},
		{"public", "GET", "/app/none/login", "", 200, "old /app/none/login none", ""},
		{"public", "GET", "/app/shop/login", "", 403, "", ""},
		{"public", "POST", "/app/shop/login", "", 405, "", "GET, HEAD"},
		{"public", "PUT", "/app/shop/old", "", 405, "", "POST"},
		{"public", "PUT", "/wx/7", "", 405, "", "GET, HEAD"},
		{"public", "POST", "/app/shop/x%2F..%2Fold", "", 404, "", ""},
		{"public", "GET", "/cgi-bin/token", "", 404, "", ""},
		{"private", "GET", "/cgi-bin/token", "", 200, "inner /cgi-bin/token ", ""},
		{"private", "GET", "/cgi-bin/token", allKey + "x", 200, "inner /cgi-bin/token ", ""},
		{"private", "GET", "/healthz", "", 200, `{"errcode":0,"errmsg":"ok"}`, ""},
		{"private", "GET", "/app/shop/token", "", 401, "", ""},
		{"private", "GET", "/app/none/token", "", 200, "inner /app/none/token none", ""},
		{"private", "GET", "/wx/7", "", 401, "", ""},
		{"private", "GET", "/wx/7", allKey, 404, "", ""},
		{"private", "PUT", "/cgi-bin/token", "", 405, "", "GET, HEAD"},
		{"private", "POST", "/app/shop/old", allKey, 405, "", "GET, HEAD"},
		{"both", "GET", "/both/1", "", 200, "old /both/1 1", ""},
		{"both", "GET", "/both/1", allKey, 200, "inner /both/1 1", ""},
		{"both", "GET", "/cgi-bin/token", "", 200, "inner /cgi-bin/token ", ""},
		{"both", "GET", "/wx/7", allKey, 200, "old /wx/7 7", ""},
		{"both", "PUT", "/app/shop/old", "", 405, "", "GET, HEAD, POST"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, at[c.side]+c.path, nil)
		require.NoError(t, err)
		if c.key != "" {
			req.Header.Set("Authorization", "Bearer "+c.key)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, "%s: %s %s: %s", c.side, c.method, c.path, b)
		require.Equal(t, c.allow, resp.Header.Get("Allow"), "%s: %s %s", c.side, c.method, c.path)
		if c.says != "" {
			require.Equal(t, c.says, string(b), "%s: %s %s", c.side, c.method, c.path)
		}
	}
}

func TestAFallbackThatIsNoMatcherServesAllRequests(t *testing.T) {
	at := threeSides(t, gateway.Options{PublicFallback: []func(*gateway.Gateway) http.Handler{
		fallbackMux("old", "GET /wx/{id}"),
		func(*gateway.Gateway) http.Handler { return echo("rest") },
		fallbackMux("never", "/"),
	}})
	for path, says := range map[string]string{"/wx/7": "old /wx/7 7", "/wx/7/8": "rest /wx/7/8 ", "/app/shop/x": "rest /app/shop/x ", "/MP_verify_abc.txt": "abc"} {
		status, body := fetch(t, "GET", at["public"]+path)
		require.Equal(t, http.StatusOK, status, path)
		require.Equal(t, says, body)
	}
	status, _ := fetch(t, "POST", at["public"]+"/app/shop/login")
	require.Equal(t, http.StatusOK, status, "before a wrong method is refused")
	status, _ = fetch(t, "GET", at["private"]+"/wx/7")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestFallbacksAreMadeOnceByNewWithItsGateway(t *testing.T) {
	var made []*gateway.Gateway
	one := func(g *gateway.Gateway) http.Handler {
		made = append(made, g)
		return http.NewServeMux()
	}
	list := []func(*gateway.Gateway) http.Handler{one}
	g, err := gateway.New(gateway.Options{Config: config(), PublicFallback: list, PrivateFallback: list, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	g.Private()
	g.Public()
	g.Both()
	require.Equal(t, []*gateway.Gateway{g, g}, made)

	none := func(*gateway.Gateway) http.Handler { return nil }
	for _, list := range [][]func(*gateway.Gateway) http.Handler{{one, nil}, {one, none}} {
		_, err := gateway.New(gateway.Options{Config: config(), PublicFallback: list, Log: slog.New(slog.DiscardHandler)})
		require.EqualError(t, err, "gateway: Options.PublicFallback[1]: want a handler, not nil")
		_, err = gateway.New(gateway.Options{Config: config(), PrivateFallback: list, Log: slog.New(slog.DiscardHandler)})
		require.EqualError(t, err, "gateway: Options.PrivateFallback[1]: want a handler, not nil")
	}
}
