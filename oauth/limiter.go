package oauth

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// limiter counts requests by address, from one full minute to the next.
type limiter struct {
	mu     sync.Mutex
	minute int64
	counts map[string]int
}

// maxAddresses bounds the memory of a minute. Those beyond share one count.
const maxAddresses = 100_000

func (l *limiter) allow(remote string, limit int) bool {
	who := network(remote)
	minute := time.Now().Unix() / 60
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil || l.minute != minute {
		l.minute, l.counts = minute, make(map[string]int)
	}
	if _, seen := l.counts[who]; !seen && len(l.counts) >= maxAddresses {
		who = ""
	}
	if l.counts[who] >= limit {
		return false
	}
	l.counts[who]++
	return true
}

// network is what one customer of a provider has: an IPv4 address, or 64 bits of IPv6.
func network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	if addr = addr.Unmap(); addr.Is6() {
		if p, err := addr.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
