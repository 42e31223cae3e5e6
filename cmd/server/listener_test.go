package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	server "github.com/wetoken/wetoken/cmd/server"
	"github.com/wetoken/wetoken/wechattest"
)

func TestThePublicSideLeavesFilesToThePrivateOne(t *testing.T) {
	needProgram(t, "WETOKEN_TEST_SH", "sh")
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	srv := httptest.NewServer(wx)
	t.Cleanup(srv.Close)
	env := []string{"WECHAT=" + srv.URL, "SHOP_KEY=" + shopKey, "SHOP_SECRET=a-secret-of-this-test"}
	p := startWith(t, []string{"sh", "-c", `ulimit -n 256 && exec "$@"`, "sh"}, env, "-config", write(t, config))
	for range 400 {
		c, err := net.Dial("tcp", p.public)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = fmt.Fprint(c, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n") // and then keeps the connection
		require.NoError(t, err)
	}
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		resp, err := p.token(ctx)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		cancel()
		http.DefaultClient.CloseIdleConnections() // so that each needs a connection
	}
	waitUntil(t, 30*time.Second, "the public side answers others", func() bool {
		c, err := net.DialTimeout("tcp", p.public, time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(c, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		line, err := bufio.NewReader(c).ReadString('\n')
		return err == nil && strings.Contains(line, "404")
	})
	require.NotContains(t, p.log.String(), "too many open files")
}

func TestThePublicSideHasThreeQuartersOfTheFilesLess64(t *testing.T) {
	for files, want := range map[uint64]int{256: 128, 1024: 704, 65536: 49088, 64: 16, 0: 16, 1 << 40: 1 << 20, ^uint64(0): 1 << 20} {
		require.Equal(t, want, server.PublicMax(files), files)
	}
}

// callers is a listener in memory.
type callers chan net.Conn

func (l callers) Accept() (net.Conn, error) {
	c, ok := <-l
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l callers) Close() error {
	close(l)
	return nil
}

func (l callers) Addr() net.Addr { return &net.TCPAddr{} }

// caller is a connection from an address.
type caller struct {
	net.Conn
	from   net.Addr
	closed *int
}

func (c caller) RemoteAddr() net.Addr { return c.from }
func (c caller) Close() error {
	*c.closed++
	return nil
}

func TestAnAddressHasItsShareOfConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, closed := make(callers, 5000), 0
		call := func(from string) {
			in <- caller{from: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from)), closed: &closed}
		}
		balancer := netip.MustParseAddr("192.0.2.1")
		l := server.LimitListener(in, 10_000, func(a netip.Addr) bool { return a.Unmap() == balancer })
		var held []net.Conn
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				held = append(held, c)
			}
		}()
		for range 1100 {
			call("203.0.113.7:1")
			call("192.0.2.1:1")
		}
		for i := range 1100 {
			call(fmt.Sprintf("[2001:db8::%x]:1", i+1))
		}
		synctest.Wait()
		require.Len(t, held, 1000+1100+1000, "one IPv4 address, a balancer, and 64 bits of IPv6")
		require.Equal(t, 200, closed)
		for _, c := range held {
			require.NoError(t, c.Close())
			require.NoError(t, c.Close(), "twice gives back once")
		}
		held, closed = nil, 0
		for range 1001 {
			call("203.0.113.7:1")
		}
		synctest.Wait()
		require.Len(t, held, 1000)
		require.NoError(t, l.Close())
	})
}

func TestConnectionsWaitForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, closed := make(callers, 100), 0
		l := server.LimitListener(in, 4, func(netip.Addr) bool { return true })
		var held []net.Conn
		ended := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				held = append(held, c)
			}
		}()
		for range 6 {
			in <- caller{from: &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7)}, closed: &closed}
		}
		synctest.Wait()
		require.Len(t, held, 4)
		require.NoError(t, held[0].Close())
		synctest.Wait()
		require.Len(t, held, 5)
		require.NoError(t, l.Close(), "it ends an Accept that waits for a slot")
		require.ErrorIs(t, <-ended, net.ErrClosed)
		require.NoError(t, l.Close())
	})
}
