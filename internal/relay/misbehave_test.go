package relay_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/relay"
)

func TestOnlyAWhole2xxResponseAccepts(t *testing.T) {
	for name, c := range map[string]struct {
		reply  string
		accept bool
	}{
		"nothing":                {"", false},
		"garbage":                {"\x00\xff\xfe garbage\r\n\r\n", false},
		"a part of the head":     {"HTTP/1.1 200 OK\r\nContent-", false},
		"a part of the body":     {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", false},
		"a part of a chunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nok", false},
		"no last chunk":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false},
		"bad chunk":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n", false},
		"two lengths":            {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", false},
		"301":                    {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", false},
		"307":                    {"HTTP/1.1 307 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", false},
		"304":                    {"HTTP/1.1 304 Not Modified\r\n\r\n", false},
		"103 and then nothing":   {"HTTP/1.1 103 Early Hints\r\n\r\n", false},
		"101":                    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", false},
		"status 600":             {"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", false},
		"204":                    {"HTTP/1.1 204 No Content\r\n\r\n", true},
		"until it closes":        {"HTTP/1.1 200 OK\r\n\r\nwhatever", true},
		"HTTP/1.0":               {"HTTP/1.0 200 OK\r\n\r\n", true},
		"200 that is not 2xx":    {"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", false},
		"100 twice and then 200": {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
						_, _ = io.Copy(io.Discard, r.Body)
						_, _ = io.WriteString(conn, c.reply)
					}
					conn.Close()
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err = (&relay.Sender{}).Deliver(ctx, "a", "http://"+l.Addr().String()+"/", "application/json", []byte(`{}`))
			require.Equal(t, c.accept, err == nil, "%v", err)
			require.NoError(t, ctx.Err(), "it waited")
		})
	}
}
