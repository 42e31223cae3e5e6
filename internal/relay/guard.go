package relay

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// ErrGuarded is why a guarded Sender does not dial an address.
var ErrGuarded = errors.New("its address is not on the public internet, and a target named in a request must be")

// guard looks at the very address that is about to be dialled, after the name was resolved: a name that resolves to
// one address when asked and to another when dialled does not get by.
func guard(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !Public(a.Addr()) {
		return ErrGuarded
	}
	return nil
}

// Public tells whether an address belongs to a host on the public internet. What loops back, is local to a link, private
// or set aside for some other use does not, nor does IPv6 that wraps an IPv4 address: a translator might unwrap it.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !globalIPv6.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// The registries of special addresses: https://www.iana.org/assignments/iana-ipv4-special-registry and its sister
// for IPv6.
var (
	globalIPv6 = netip.MustParsePrefix("2000::/3")
	special    = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),   // carriers' and clouds' own
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
