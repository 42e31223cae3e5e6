package main

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/wetoken/wetoken/internal/peer"
)

// maxPerAddress is the number of connections that one address may have to the public side, unless many clients share it. An
// address never has more than half of the side's connections.
const maxPerAddress = 1000

// defaultFileLimit is the limit of files on systems that do not tell theirs.
const defaultFileLimit = 16384

// maxPublic returns the number of connections that the public side may have, for a limit of files. The rest of the files is
// for the private side, the stores and WeChat.
func maxPublic(files uint64) int {
	const fewest, most = 16, 1 << 20
	n := int64(min(files, 2*most))*3/4 - 64
	return int(min(max(n, fewest), most))
}

// limitedListener accepts a limited number of connections at a time: further ones wait in the system's queue until one
// ends. It closes those of an address that has too many.
type limitedListener struct {
	net.Listener
	shared func(netip.Addr) bool // reports whether many clients may share an address
	share  int                   // slots of one address
	slots  chan struct{}
	closed chan struct{}
	close  func() error

	mu     sync.Mutex
	counts map[netip.Prefix]int
}

func limitListener(l net.Listener, limit int, shared func(netip.Addr) bool) *limitedListener {
	limited := &limitedListener{
		Listener: l, shared: shared, share: min(maxPerAddress, max(limit/2, 1)), slots: make(chan struct{}, limit), closed: make(chan struct{}), counts: make(map[netip.Prefix]int),
	}
	limited.close = sync.OnceValue(func() error {
		close(limited.closed)
		return l.Close()
	})
	return limited
}

// Accept waits for a free slot and for a connection.
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
		if release, ok := l.admit(c); ok {
			return &limitedConn{Conn: c, release: sync.OnceFunc(release)}, nil
		}
		c.Close()
		<-l.slots
	}
}

// admit counts a connection by its address, and reports false if the address has too many.
func (l *limitedListener) admit(c net.Conn) (release func(), ok bool) {
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

// Close ends Accept, even while it waits for a free slot.
func (l *limitedListener) Close() error { return l.close() }

// handler closes connections after each reply while three quarters of the slots are in use, so that idle connections do not
// block others.
func (l *limitedListener) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(l.slots) > cap(l.slots)*3/4 {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// limitedConn is a connection that frees its slot when it is closed.
type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}

// CloseWrite lets net/http end a connection so that the client can read the last reply.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
