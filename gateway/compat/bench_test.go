package compat_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/internal/bench"
	"github.com/wetoken/wetoken/wechattest"
)

// BenchmarkOldClient reads a cached token over loopback as old clients do, beside the gateway's own route.
func BenchmarkOldClient(b *testing.B) {
	wx := new(wechattest.Server)
	wx.AddApp(shopID, secret)
	o := gateway.Options{
		Config: gateway.Config{
			Keys:   []gateway.Key{{Name: "all", Key: allKey, Apps: []string{"*"}, Scopes: []string{"*"}}},
			Apps:   map[string]gateway.App{"shop": {AppID: shopID, Secret: secret}},
			Compat: gateway.Compat{Systems: []string{"wetoken", "accesstoken"}},
		},
		HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler),
	}
	o.PrivateFallback = compat.Private(o.Config.Compat)
	g, err := gateway.New(o)
	if err != nil {
		b.Fatal(err)
	}
	private, rpc := httptest.NewServer(g.Private()), httptest.NewServer(compat.JSONRPC(g, o.Config.Compat))
	defer private.Close()
	defer rpc.Close()
	call := `{"jsonrpc":"2.0","id":1,"method":"accessToken","params":[{"appid":"` + shopID + `"}]}`
	const bearer = "Authorization: Bearer " + allKey + "\r\n"
	floor := dial(b, private, "GET /app/shop/token HTTP/1.1\r\nHost: wetoken\r\n"+bearer+"\r\n")
	for name, subject := range map[string]*keptAlive{
		"wetoken with its secret": dial(b, private, "GET /"+shopID+"/wechat/token/get?"+shopID+"&secret="+url.QueryEscape(secret)+" HTTP/1.1\r\nHost: wetoken\r\n\r\n"),
		"wetoken with a key":      dial(b, private, "GET /wx/"+shopID+"/token/get?wetoken_key="+allKey+" HTTP/1.1\r\nHost: wetoken\r\n\r\n"),
		"accesstoken":             dial(b, private, "GET "+mp+"/access_token/"+shopID+" HTTP/1.1\r\nHost: wetoken\r\n"+bearer+"\r\n"),
		"accesstoken by JSON-RPC": dial(b, rpc, fmt.Sprintf("POST / HTTP/1.1\r\nHost: wetoken\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s", len(call), bearer, call)),
	} {
		b.Run(name, func(b *testing.B) { bench.Ratio(b, 1, floor.call, subject.call) })
	}
}

// keptAlive is one connection that sends a request repeatedly.
type keptAlive struct {
	b       *testing.B
	conn    net.Conn
	in      *bufio.Reader
	request string
}

func dial(b *testing.B, srv *httptest.Server, request string) *keptAlive {
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &keptAlive{b, conn, bufio.NewReader(conn), request}
}

func (c *keptAlive) call(n int) {
	for range n {
		io.WriteString(c.conn, c.request)
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			c.b.Fatal(err, resp)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
