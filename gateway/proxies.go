package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/peer"
)

// proxies returns the ranges of TrustedProxies.
func (c Config) proxies() (list []netip.Prefix, err error) {
	for i, s := range c.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("gateway: config: trusted_proxies[%d]: want a range of addresses such as 10.0.0.0/8", i)
		}
		if p.Addr().Is4In6() { // no address of a client is written so
			return nil, fmt.Errorf("gateway: config: trusted_proxies[%d]: is IPv4 written as IPv6: want a range such as 10.0.0.0/8", i)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// withClientAddress sets RemoteAddr to the client's address for requests from a trusted proxy. It reads X-Forwarded-For
// back to the last address that is not a trusted proxy, since a client can forge all before.
func (g *Gateway) withClientAddress(h http.Handler) http.Handler {
	if len(g.proxies) == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := forwardedClient(r, g.proxies); ok {
			seen := *r
			seen.RemoteAddr = net.JoinHostPort(client.String(), "0")
			r = &seen
		}
		h.ServeHTTP(w, r)
	})
}

// Shared reports whether many clients may come from an address, so that no limit by address may apply to it: it is a proxy
// of trusted_proxies or, where that is not set, a private address, which may be a load balancer's.
func (g *Gateway) Shared(a netip.Addr) bool {
	if len(g.proxies) == 0 {
		return peer.Private(a)
	}
	return containsAddress(g.proxies, a)
}

// withLimits tells the parts whether limits by address apply to a request. They count the client that a trusted proxy
// names, and nobody if it names none.
func (g *Gateway) withLimits(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := peer.Parse(r.RemoteAddr)
		if client, ok := forwardedClient(r, g.proxies); ok {
			from = client
		}
		h.ServeHTTP(w, peer.WithLimited(r, func() bool {
			shared := !from.IsValid() || g.Shared(from)
			if shared && from.IsValid() && len(g.proxies) == 0 {
				g.warnLimitsOff.Do(func() {
					g.log.WarnContext(r.Context(), "limits by address are off: requests come from a private address, which may be a load balancer's, and trusted_proxies is not set", "from", from.String())
				})
			}
			return !shared
		}))
	})
}

// forwardedClient returns the last address in X-Forwarded-For that is not a trusted proxy, for a request that comes from
// one. Some load balancers add a port to it.
func forwardedClient(r *http.Request, trusted []netip.Prefix) (client netip.Addr, ok bool) {
	if from := peer.Parse(r.RemoteAddr); !from.IsValid() || !containsAddress(trusted, from) {
		return client, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr := peer.Parse(strings.TrimSpace(hop))
		if !addr.IsValid() {
			break
		}
		client, ok = addr.Unmap(), true
		if !containsAddress(trusted, client) {
			break
		}
	}
	return client, ok
}

func containsAddress(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a.Unmap().WithZone("")) })
}
