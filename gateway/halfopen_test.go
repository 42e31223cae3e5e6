package gateway_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHalfOpenNotificationsDelayNoOther(t *testing.T) {
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
