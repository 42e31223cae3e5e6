package handlers

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// behindProxies serves requests that come through proxies as those of their callers: RemoteAddr is the last address of X-Forwarded-For
// that is not a proxy's. Whatever other callers claim does not count.
func behindProxies(proxies []netip.Prefix, next http.Handler) http.Handler {
	trusted := func(address string) bool {
		a, err := netip.ParseAddr(address)
		for _, p := range proxies {
			if err == nil && p.Contains(a.Unmap()) {
				return true
			}
		}
		return false
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := address(r)
		passed := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for len(passed) > 0 && trusted(caller) {
			before := strings.TrimSpace(passed[len(passed)-1])
			if _, err := netip.ParseAddr(before); err != nil {
				break
			}
			caller, passed = before, passed[:len(passed)-1]
		}
		if caller != address(r) {
			changed := *r
			changed.RemoteAddr = net.JoinHostPort(caller, "0")
			r = &changed
		}
		next.ServeHTTP(w, r)
	})
}

// address returns the address of the caller.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
