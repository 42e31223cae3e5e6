package gateway_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestATrustedProxyNamesTheClientsAddress(t *testing.T) {
	const limit = 20_000
	for name, c := range map[string]struct {
		trusted []string
		peer    string
		forward string // X-Forwarded-For of request n
		limited bool   // all come from one address
	}{
		"the proxy is trusted":             {[]string{"127.0.0.0/8", "::1/128"}, "127.0.0.1:1", "%d.0.0.7", false},
		"two proxies are trusted":          {[]string{"127.0.0.0/8", "10.0.0.0/8"}, "127.0.0.1:1", "%d.0.0.7, 10.0.0.1", false},
		"one client behind a proxy":        {[]string{"127.0.0.0/8"}, "127.0.0.1:1", "192.0.2.1", true},
		"one client with ports":            {[]string{"127.0.0.0/8"}, "127.0.0.1:1", "192.0.2.1:5%d", true},
		"one client of IPv6 with ports":    {[]string{"127.0.0.0/8"}, "127.0.0.1:1", "[2001:db8::1]:5%d", true},
		"what the client says itself":      {[]string{"127.0.0.0/8"}, "127.0.0.1:1", "%d.0.0.7, 192.0.2.1", true},
		"others are trusted":               {[]string{"10.0.0.0/8"}, "127.0.0.1:1", "%d.0.0.7", true},
		"IPv4 in IPv6 is the same one":     {[]string{"127.0.0.0/8"}, "127.0.0.1:1", "%d.0.0.7, ::ffff:192.0.2.1", true},
		"a proxy that names nobody":        {[]string{"127.0.0.0/8"}, "127.0.0.1:1", "", false},
		"a proxy that talks nonsense":      {[]string{"127.0.0.0/8"}, "127.0.0.1:1", "unknown", false},
		"a proxy behind a proxy":           {[]string{"127.0.0.0/8", "10.0.0.0/8"}, "127.0.0.1:1", "10.0.0.1", false},
		"nobody is trusted":                {nil, "203.0.113.7:1", "%d.0.0.7", true},
		"an unknown balancer":              {nil, "10.0.0.1:1", "%d.0.0.7", false},
		"an unknown balancer of a carrier": {nil, "100.64.0.1:1", "%d.0.0.7", false},
		"an unknown balancer beside us":    {nil, "[::1]:1", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // within one minute
				conf := config()
				delete(conf.Apps, "too")
				conf.TrustedProxies = c.trusted
				g, err := gateway.New(gateway.Options{Config: conf, HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler)})
				require.NoError(t, err)
				h := g.Public()
				for n := range limit + 8 {
					r := httptest.NewRequest("POST", "/app/"+miniID+"/session", strings.NewReader(`{}`))
					r.RemoteAddr = c.peer
					r.Header.Set("X-Forwarded-For", strings.ReplaceAll(c.forward, "%d", fmt.Sprint(n%8+1)))
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					want := http.StatusBadRequest
					if c.limited && n >= limit {
						want = http.StatusTooManyRequests
					}
					if w.Code != want {
						require.Equal(t, want, w.Code, n)
					}
				}
			})
		})
	}
}

func TestLimitsThatAreOffAreOneWarning(t *testing.T) {
	var log bytes.Buffer
	c := config()
	g, err := gateway.New(gateway.Options{Config: c, HTTP: newWeChat().Client(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	ask := func(h http.Handler, app, peer string) {
		r := httptest.NewRequest("POST", "/app/"+app+"/session", strings.NewReader(`{}`))
		r.RemoteAddr = peer
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	ask(g.Public(), "新闻", "203.0.113.7:1")
	require.NotContains(t, log.String(), "trusted_proxies")
	for _, peer := range []string{"10.0.0.1:1", "100.64.0.1:1", "10.0.0.2:1"} {
		ask(g.Public(), "新闻", peer)
		ask(g.Both(), "too", peer)
	}
	require.Equal(t, 1, strings.Count(log.String(), "trusted_proxies is not set"), log.String())
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())

	log.Reset()
	c.TrustedProxies = []string{"10.0.0.0/8"}
	g, err = gateway.New(gateway.Options{Config: c, HTTP: newWeChat().Client(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	ask(g.Public(), "新闻", "10.0.0.1:1")
	require.Empty(t, log.String())
}

func TestSharedAddressesAreThoseOfProxies(t *testing.T) {
	for _, c := range []struct {
		trusted []string
		address string
		shared  bool
	}{
		{nil, "10.0.0.1", true}, {nil, "203.0.113.7", false},
		{[]string{"203.0.113.0/24"}, "203.0.113.7", true}, {[]string{"203.0.113.0/24"}, "::ffff:203.0.113.7", true}, {[]string{"203.0.113.0/24"}, "10.0.0.1", false},
	} {
		conf := config()
		conf.TrustedProxies = c.trusted
		g, err := gateway.New(gateway.Options{Config: conf})
		require.NoError(t, err)
		require.Equal(t, c.shared, g.Shared(netip.MustParseAddr(c.address)), c)
	}
}
