package peer_test

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/peer"
)

func TestPrivateAddressesMayBeManyClients(t *testing.T) {
	for remote, limited := range map[string]bool{
		"203.0.113.7:1": true, "[2001:db8::1]:1": true, "203.0.113.7": true, "[::ffff:203.0.113.7]:1": true, "100.63.255.255:1": true, "100.128.0.0:1": true,
		"10.1.2.3:1": false, "172.16.0.1:1": false, "192.168.1.1:1": false, "127.0.0.1:1": false, "[::1]:1": false, "[fd00::1]:1": false,
		"[fe80::1%eth0]:1": false, "169.254.1.1:1": false, "100.64.0.1:1": false, "100.127.255.255:1": false, "[::ffff:10.0.0.1]:1": false,
		"": false, "@": false, "pipe": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		got, known := peer.Limited(r)
		require.Equal(t, limited, got, remote)
		require.False(t, known)
		got, known = peer.Limited(peer.WithLimited(r, func() bool { return !limited }))
		require.Equal(t, !limited, got, remote)
		require.True(t, known)
	}
}

func TestACustomerIsAnAddressOr64Bits(t *testing.T) {
	for a, want := range map[string]string{
		"203.0.113.7": "203.0.113.7/32", "::ffff:203.0.113.7": "203.0.113.7/32", "2001:db8::1": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
	} {
		require.Equal(t, want, peer.Network(netip.MustParseAddr(a)).String())
	}
	require.False(t, peer.Network(netip.Addr{}).IsValid())
}
