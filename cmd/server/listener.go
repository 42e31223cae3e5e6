package main

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/wetoken/wetoken/internal/peer"
)

// perAddress is how many connections one address may have to the public side, unless many clients share it. Where the
// side has few in all, an address has half of them.
const perAddress = 1000

// defaultFiles is taken for the limit of files where the system has none to tell.
const defaultFiles = 16384

// publicMax is how many connections the public side may have where the process may have that many files: the rest is for
// the private side, the stores and WeChat.
func publicMax(files uint64) int {
	const fewest, most = 16, 1 << 20
	n := int64(min(files, 2*most))*3/4 - 64
	return int(min(max(n, fewest), most))
}

// limitedListener accepts no more than max connections at a time: further ones wait in the system's queue until one ends.
// It closes those of an address that has its share already.
type limitedListener struct {
	net.Listener
	shared func(netip.Addr) bool // reports whether many clients may come from an address
	share  int                   // of one address
	slots  chan struct{}
	closed chan struct{}
	close  func() error

	mu     sync.Mutex
	counts map[netip.Prefix]int
}

func limitListener(l net.Listener, limit int, shared func(netip.Addr) bool) *limitedListener {
	limited := &limitedListener{
		Listener: l, shared: shared, share: min(perAddress, max(limit/2, 1)), slots: make(chan struct{}, limit), closed: make(chan struct{}), counts: make(map[netip.Prefix]int),
	}
	limited.close = sync.OnceValue(func() error {
		close(limited.closed)
		return l.Close()
	})
	return limited
}

// Accept waits for a connection and for room for it.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		select {
		case l.slots <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		if release, ok := l.take(c); ok {
			return &limitedConn{Conn: c, release: sync.OnceFunc(release)}, nil
		}
		c.Close()
		<-l.slots
	}
}

// take counts a connection by its address, unless that has too many.
func (l *limitedListener) take(c net.Conn) (release func(), ok bool) {
	from := peer.Parse(c.RemoteAddr().String())
	if !from.IsValid() || l.shared(from) {
		return func() { <-l.slots }, true
	}
	network := peer.Network(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts[network] >= l.share {
		return nil, false
	}
	l.counts[network]++
	return func() {
		l.mu.Lock()
		if l.counts[network]--; l.counts[network] == 0 {
			delete(l.counts, network)
		}
		l.mu.Unlock()
		<-l.slots
	}, true
}

// Close stops Accept, also where it waits for room.
func (l *limitedListener) Close() error { return l.close() }

// handler has connections closed after each answer while three quarters of the slots are taken, so that idle ones cannot
// keep others out.
func (l *limitedListener) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(l.slots) > cap(l.slots)*3/4 {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// limitedConn is a connection that gives back its slot.
type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}

// CloseWrite is what net/http asks for to let the other end read the last answer.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
