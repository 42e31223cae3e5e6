package relay

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// ErrGuarded is returned by a guarded Sender for an address that it does not dial.
var ErrGuarded = errors.New("address is not public: a target that a request names must have a public address")

// refusePrivate is the Control function of a dialer. It checks the address that is dialled, after the name was resolved,
// so that a name cannot resolve to a public address for a check and to a private one for the connection.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !Public(a.Addr()) {
		return ErrGuarded
	}
	return nil
}

// Public reports whether an address is on the public internet. Loopback, link-local, private and reserved addresses are
// not, nor are IPv6 addresses that contain an IPv4 address, which a translator may extract.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !globalPrefixIPv6.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(specialPrefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// IANA lists the special addresses in https://www.iana.org/assignments/iana-ipv4-special-registry and
// https://www.iana.org/assignments/iana-ipv6-special-registry.
var (
	globalPrefixIPv6 = netip.MustParsePrefix("2000::/3")
	specialPrefixes  = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),   // carriers and clouds
		netip.MustParsePrefix("192.0.0.0/24"),    // protocols
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
		netip.MustParsePrefix("198.18.0.0/15"),   // measurements
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("240.0.0.0/4"),     // reserved
		netip.MustParsePrefix("2001::/23"),       // protocols, Teredo
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("2002::/16"),       // 6to4
		netip.MustParsePrefix("3fff::/20"),       // documentation
	}
)
