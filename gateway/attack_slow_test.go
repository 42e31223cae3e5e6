package gateway_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"runtime"
	"sync"

	"fmt"
	"github.com/wetoken/wetoken/gateway"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAttackHalfOpenNotifications held: 400 connections that send a part of a body neither delay a true notification nor stay.
func TestAttackHalfOpenNotifications(t *testing.T) {
	d := openTill(t, nil)
	d.place(t, payKey, "shop", "order-1")
	var conns []net.Conn
	for i := range 400 {
		c, err := net.Dial("tcp", strings.TrimPrefix(d.public, "http://"))
		require.NoError(t, err)
		defer c.Close()
		length := "Content-Length: 200000\r\n"
		if i%2 == 1 {
			length = "Transfer-Encoding: chunked\r\n"
		}
		_, err = fmt.Fprintf(c, "POST /app/shop/pay/notify HTTP/1.1\r\nHost: x\r\n%s\r\n", length)
		require.NoError(t, err)
		_, err = io.WriteString(c, "5\r\n<xml>")
		require.NoError(t, err)
		conns = append(conns, c)
	}
	begun := time.Now()
	_, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.backend.got()) == 1 }, 4*time.Second, 10*time.Millisecond)
	t.Logf("reported after %s", time.Since(begun))
	for _, c := range conns {
		require.NoError(t, c.SetReadDeadline(begun.Add(10*time.Second)))
		reply, err := io.ReadAll(c)
		require.NoError(t, err, "it is not closed")
		require.Contains(t, string(reply), " 403 ")
	}
	require.Less(t, strings.Count(d.log.text(), "did not arrive"), 3)
}

// TestAttackHalfOpenBodiesHoldMemory: strangers' connections hold the body that they have sent so far, until 4.5 s are over: 1000 from
// one address, and as many as there are files from several, or behind a load balancer.
func TestAttackHalfOpenBodiesHoldMemory(t *testing.T) {
	const conns, sent = 200, 250 << 10
	d := openTill(t, nil)
	before := heap()
	part := bytes.Repeat([]byte("x"), sent)
	var all sync.WaitGroup
	for range conns {
		c, err := net.Dial("tcp", strings.TrimPrefix(d.public, "http://"))
		require.NoError(t, err)
		defer c.Close()
		all.Go(func() {
			_, _ = fmt.Fprintf(c, "POST /app/shop/pay/notify HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\n\r\n")
			_, _ = c.Write(part)
		})
	}
	all.Wait()
	most := uint64(0)
	for begun := time.Now(); time.Since(begun) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
		most = max(most, heap())
	}
	t.Logf("%d connections hold %d MiB: %d KiB each", conns, (most-before)>>20, (most-before)>>10/conns)
	require.Less(t, (most-before)/conns, uint64(64<<10))
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAttackRefusalsThatAreTakenForAcceptance: the texts show an errcode other than 0, or no success.
func TestAttackRefusalsThatAreTakenForAcceptance(t *testing.T) {
	for name, text := range map[string]string{
		"JSON in a JSON string": `"{\"errcode\":40001,\"errmsg\":\"not now\"}"`,
		"success is text":       `{"success":"false"}`,
	} {
		t.Run(name, func(t *testing.T) { require.Error(t, gateway.CheckAccepted([]byte(text))) })
	}
}

// TestAttackACompressedRefusalIsTakenForAcceptance: a backend, or the proxy before it, that compresses every response refuses a report.
func TestAttackACompressedRefusalIsTakenForAcceptance(t *testing.T) {
	inBubble(t, false, func(t *testing.T, b *bubble) {
		b.service.set(func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `{"errcode":40001,"errmsg":"not now"}`)
			_ = z.Close()
		})
		b.buy(t, "order-1")
		<-time.After(time.Hour)
		calls, _ := b.service.count()
		require.Greater(t, calls, 1, "the report was refused, and is not sent again")
	})
}
