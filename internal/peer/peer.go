// Package peer says which addresses may be counted as one client each. Limits by address do not apply to the others:
// behind a balancer they would end the service for everybody at once.
package peer

import (
	"context"
	"net"
	"net/http"
	"net/netip"
)

// Private reports whether an address is of this machine, of a private network or of a carrier's (100.64.0.0/10). What
// comes from there has often passed a balancer, so that many clients share it.
func Private(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || carrier.Contains(a)
}

var carrier = netip.MustParsePrefix("100.64.0.0/10")

// Network is the part of the internet that one customer has: an IPv4 address, or 64 bits of IPv6.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Prefix for no address
	return p
}

// Parse returns the address of a RemoteAddr, with or without a port, or the zero Addr.
func Parse(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, _ := netip.ParseAddr(host)
	return a
}

type limitedKey struct{}

// WithLimited tells those who serve a request whether limits by its RemoteAddr apply. limited is called when one would.
func WithLimited(r *http.Request, limited func() bool) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), limitedKey{}, limited))
}

// Limited reports whether limits by RemoteAddr apply to a request. By itself, that is unless RemoteAddr is private or no
// address; known is false then.
func Limited(r *http.Request) (limited, known bool) {
	if f, ok := r.Context().Value(limitedKey{}).(func() bool); ok {
		return f(), true
	}
	a := Parse(r.RemoteAddr)
	return a.IsValid() && !Private(a), false
}
