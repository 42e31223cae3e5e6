package handlers_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/handlers"
)

// The logins of each caller are limited apart, which shows the address that is taken for the caller's.
func TestTheCallerIsWhoTheProxiesSay(t *testing.T) {
	s := newServer(t, t.TempDir()+"/shop.db")
	h := &handlers.Handlers{
		Shop: s.shop, Sessions: s.tokens,
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
	}
	s.handler = h.Handler()
	s.register(t, "alice", mobile)
	login := func(remote, password string, forwarded ...string) int {
		a := s.send(t, "POST", "/login", form("username", "alice", "password", password), func(r *http.Request) {
			r.RemoteAddr = remote
			r.Header["X-Forwarded-For"] = forwarded
		})
		return int(a.fields["status"].(float64))
	}
	for range 10 {
		require.Equal(t, 1010, login("203.0.113.1:1", "abc124"))
	}
	require.Equal(t, 1040, login("203.0.113.1:1", "abc123"))

	for name, same := range map[string]struct {
		remote    string
		forwarded []string
	}{
		"one proxy":                {"10.0.0.1:1", []string{"203.0.113.1"}},
		"two proxies":              {"10.0.0.1:1", []string{"203.0.113.1, 10.0.0.2"}},
		"two headers":              {"10.0.0.1:1", []string{"198.51.100.1", "203.0.113.1"}},
		"a claim before":           {"10.0.0.1:1", []string{"198.51.100.1,203.0.113.1"}},
		"IPv6":                     {"[fd00::1]:1", []string{"203.0.113.1"}},
		"IPv4 in IPv6":             {"[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.1"}},
		"a claim without a proxy":  {"203.0.113.1:1", []string{"198.51.100.1"}},
		"a claim of being a proxy": {"203.0.113.1:1", []string{"10.0.0.1"}},
	} {
		require.Equal(t, 1040, login(same.remote, "abc123", same.forwarded...), name)
	}
	for name, other := range map[string]struct {
		remote    string
		forwarded []string
	}{
		"the proxy itself":           {"10.0.0.1:1", nil},
		"another caller":             {"10.0.0.1:1", []string{"203.0.113.2"}},
		"nonsense behind the caller": {"10.0.0.1:1", []string{"203.0.113.1, <script>"}},
		"nothing behind the caller":  {"10.0.0.1:1", []string{"203.0.113.1,"}},
	} {
		require.Equal(t, 200, login(other.remote, "abc123", other.forwarded...), name)
	}
}
