// Package peer decides which addresses count as one client each. Limits by address do not apply to others: behind a
// load balancer they would block all clients at once.
package peer

import (
	"context"
	"net"
	"net/http"
	"net/netip"
)

// Private reports whether an address is of this machine, of a private network or of a carrier's network
// (100.64.0.0/10). Many clients may share such an address, since it is often that of a load balancer.
func Private(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || carrierNetwork.Contains(a)
}

var carrierNetwork = netip.MustParsePrefix("100.64.0.0/10")

// Network returns the network that one customer has: an IPv4 address, or 64 bits of IPv6.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Prefix for an invalid address
	return p
}

// Parse returns the address in a RemoteAddr, with or without a port, or the zero Addr.
func Parse(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, _ := netip.ParseAddr(host)
	return a
}

type limitedKey struct{}

// WithLimited sets a function that reports whether limits by RemoteAddr apply to a request. It is called when a limit
// would apply.
func WithLimited(r *http.Request, limited func() bool) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), limitedKey{}, limited))
}

// Limited reports whether limits by RemoteAddr apply to a request. Without WithLimited they apply unless RemoteAddr is
// private or invalid; known is then false.
func Limited(r *http.Request) (limited, known bool) {
	if f, ok := r.Context().Value(limitedKey{}).(func() bool); ok {
		return f(), true
	}
	a := Parse(r.RemoteAddr)
	return a.IsValid() && !Private(a), false
}
