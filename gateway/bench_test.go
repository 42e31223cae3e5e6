package gateway_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/bench"
)

// BenchmarkToken asks for a warm token over loopback, with the app found and the key checked, beside a bare handler
// that writes the same bytes.
func BenchmarkToken(b *testing.B) {
	g, err := gateway.New(gateway.Options{Config: config(), HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	probe, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/app/shop/token", nil)
	r.Header.Set("Authorization", "Bearer "+allKey)
	g.Private().ServeHTTP(probe, r)
	body := probe.Body.Bytes()
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(body)
	}))
	defer bare.Close()
	private := httptest.NewServer(g.Private())
	defer private.Close()

	floor, subject := newCaller(b, bare), newCaller(b, private)
	b.Run("throughput", func(b *testing.B) { bench.Ratio(b, 1, floor.call, subject.call) })
	b.Run("p99", func(b *testing.B) {
		b.ResetTimer()
		for range b.N {
			var ratios []float64
			for range 21 {
				ratios = append(ratios, float64(subject.p99(2000))/float64(floor.p99(2000)))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[5], "x-q1")
			b.ReportMetric(ratios[10], "x-median")
			b.ReportMetric(ratios[15], "x-q3")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// keptAlive is one connection that asks for the token again and again.
type keptAlive struct {
	b    *testing.B
	conn net.Conn
	in   *bufio.Reader
}

func newCaller(b *testing.B, srv *httptest.Server) *keptAlive {
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &keptAlive{b, conn, bufio.NewReader(conn)}
}

const request = "GET /app/shop/token HTTP/1.1\r\nHost: wetoken\r\nAuthorization: Bearer " + allKey + "\r\n\r\n"

func (c *keptAlive) call(n int) {
	for range n {
		c.once()
	}
}

func (c *keptAlive) once() {
	io.WriteString(c.conn, request)
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.b.Fatal(err, resp)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

func (c *keptAlive) p99(n int) time.Duration {
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		c.once()
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[n*99/100]
}
