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

// proxies are the addresses of TrustedProxies.
func (c Config) proxies() (list []netip.Prefix, err error) {
	for i, s := range c.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("gateway: config: trusted_proxies[%d]: want a range of addresses such as 10.0.0.0/8", i)
		}
		if p.Addr().Is4In6() { // which no address of a client ever is
			return nil, fmt.Errorf("gateway: config: trusted_proxies[%d]: is IPv4 written as IPv6: want it such as 10.0.0.0/8", i)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// behindProxies makes RemoteAddr the client's address where the request comes from a trusted proxy. What stands in
// X-Forwarded-For beyond the last proxy that is trusted is anybody's word, and is not read.
func (g *Gateway) behindProxies(h http.Handler) http.Handler {
	if len(g.proxies) == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client, ok := clientOf(r, g.proxies); ok {
			seen := *r
			seen.RemoteAddr = net.JoinHostPort(client.String(), "0")
			r = &seen
		}
		h.ServeHTTP(w, r)
	})
}

// Shared reports whether many clients may come from an address, so that no limit by address may apply to it: a proxy of
// trusted_proxies or, where that is not set, any private address, which may be a balancer's.
func (g *Gateway) Shared(a netip.Addr) bool {
	if len(g.proxies) == 0 {
		return peer.Private(a)
	}
	return within(g.proxies, a)
}

// limits tells the rooms whether limits by address apply to a request. They count the client that a trusted proxy names,
// and nobody where it names none.
func (g *Gateway) limits(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := peer.Parse(r.RemoteAddr)
		if client, ok := clientOf(r, g.proxies); ok {
			from = client
		}
		h.ServeHTTP(w, peer.WithLimited(r, func() bool {
			shared := !from.IsValid() || g.Shared(from)
			if shared && from.IsValid() && len(g.proxies) == 0 {
				g.warnShared.Do(func() {
					g.log.WarnContext(r.Context(), "limits by address are off: requests come from a private address, as a balancer's is, and trusted_proxies is not set", "from", from.String())
				})
			}
			return !shared
		}))
	})
}

// clientOf returns the last address on the way here that is no trusted proxy's, if it is not the one that RemoteAddr has.
// Some balancers write a port behind it.
func clientOf(r *http.Request, trusted []netip.Prefix) (client netip.Addr, ok bool) {
	if from := peer.Parse(r.RemoteAddr); !from.IsValid() || !within(trusted, from) {
		return client, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr := peer.Parse(strings.TrimSpace(hop))
		if !addr.IsValid() {
			break
		}
		client, ok = addr.Unmap(), true
		if !within(trusted, client) {
			break
		}
	}
	return client, ok
}

func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a.Unmap().WithZone("")) })
}
