package gateway_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/bench"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// BenchmarkToken reads a cached token over loopback, with the lookup of the app and the check of the key, beside a bare
// handler that writes the same bytes.
func BenchmarkToken(b *testing.B) {
	g, err := gateway.New(gateway.Options{Config: config(), HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler), RegisterUnsealed: true})
	if err != nil {
		b.Fatal(err)
	}
	registered, err := g.Keys().Create(b.Context(), gateway.Key{Name: "backend", Apps: []string{"shop"}, Scopes: []string{"token"}, Addresses: []string{"127.0.0.0/8"}, Rate: 1_000_000})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go g.Run(ctx) // follows the changes
	probe, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/app/shop/token", nil)
	r.Header.Set("Authorization", "Bearer "+allKey)
	g.Private().ServeHTTP(probe, r)
	body := probe.Body.Bytes()
	bare := httptest.NewServer(writer(body))
	defer bare.Close()
	private := httptest.NewServer(g.Private())
	defer private.Close()

	floor, subject := newCaller(b, bare, allKey), newCaller(b, private, allKey)
	b.Run("throughput", func(b *testing.B) { bench.Ratio(b, 1, floor.call, subject.call) })
	b.Run("registered key", func(b *testing.B) { bench.Ratio(b, 1, floor.call, newCaller(b, private, registered).call) })
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

// BenchmarkTokenOfManyApps reads the tokens of 10 000 registered apps in random order, with 100 keys. The floor of the first part
// is a mux with a token.Handler for each app, behind a guard that looks up the key in the same way; that of the second is a
// bare handler that writes the same bytes, whatever is asked for.
func BenchmarkTokenOfManyApps(b *testing.B) {
	const apps, keys = 10000, 100
	wx, c := newWeChat(), config()
	known := make(map[[sha256.Size]byte]bool)
	for i := range keys {
		k := gateway.Key{Name: fmt.Sprint("key", i), Key: fmt.Sprintf("a-key-of-this-test-number-%02d", i), Apps: []string{"*"}, Scopes: []string{"token"}}
		c.Keys, known[sha256.Sum256([]byte(k.Key))] = append(c.Keys, k), true
	}
	guard := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && known[sha256.Sum256([]byte(key))] {
				next.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusUnauthorized)
		})
	}
	g, err := gateway.New(gateway.Options{Config: c, Records: withoutChanges{new(store.Memory)}, Store: new(store.Memory), RegisterUnsealed: true, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for i := range apps {
		appID := fmt.Sprintf("wx%016d", i)
		wx.AddApp(appID, secret)
		if _, err := g.Apps().Put(b.Context(), fmt.Sprint("app", i), gateway.App{AppID: appID, Secret: secret}, ""); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	time.Sleep(2 * time.Second) // Run has read the changes, after which it holds no app

	requests, direct, tokens := make([]string, apps), http.NewServeMux(), new(store.Memory)
	var body []byte
	for i := range apps {
		name, appID := fmt.Sprint("app", i), fmt.Sprintf("wx%016d", i)
		wetoken.Bind(direct, "/app/"+name, &token.Handler{Source: &token.Manager{AppID: appID, Secret: secret, Store: tokens, Client: &wechat.Client{HTTP: wx.Client()}}, Guard: guard})
		key := fmt.Sprintf("Bearer a-key-of-this-test-number-%02d", i%keys)
		requests[i] = fmt.Sprintf("GET /app/%s/token HTTP/1.1\r\nHost: wetoken\r\nAuthorization: %s\r\n\r\n", name, key)
		for _, h := range []http.Handler{g.Private(), direct} {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/app/"+name+"/token", nil)
			r.Header.Set("Authorization", key)
			if h.ServeHTTP(w, r); w.Code != http.StatusOK {
				b.Fatal(w.Body)
			}
			body = w.Body.Bytes()
		}
	}
	rand.Shuffle(apps, func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	private := httptest.NewServer(g.Private())
	defer private.Close()
	subject := newCaller(b, private, allKey)
	for name, h := range map[string]http.Handler{"handlers": direct, "bytes": writer(body)} {
		srv := httptest.NewServer(h)
		defer srv.Close()
		floor := newCaller(b, srv, allKey)
		floor.requests, subject.requests = requests, requests
		b.Run(name, func(b *testing.B) { bench.Ratio(b, 1, floor.call, subject.call) })
	}
}

// withoutChanges is a store that forgets the record of the last changes, which is large and written with each change.
type withoutChanges struct{ store.Store }

func (s withoutChanges) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if key == "registry/changes" {
		return nil, false, nil
	}
	return s.Store.Get(ctx, key)
}

func (s withoutChanges) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if key == "registry/changes" {
		return true, nil
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

// writer returns a bare handler that writes the bytes of a token's reply.
func writer(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Write(body)
	})
}

// keptAlive is one connection that reads the token repeatedly.
type keptAlive struct {
	b        *testing.B
	conn     net.Conn
	in       *bufio.Reader
	requests []string // sent in turn
	next     int
}

func newCaller(b *testing.B, srv *httptest.Server, key string) *keptAlive {
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &keptAlive{b: b, conn: conn, in: bufio.NewReader(conn), requests: []string{"GET /app/shop/token HTTP/1.1\r\nHost: wetoken\r\nAuthorization: Bearer " + key + "\r\n\r\n"}}
}

func (c *keptAlive) call(n int) {
	for range n {
		c.once()
	}
}

func (c *keptAlive) once() {
	io.WriteString(c.conn, c.requests[c.next%len(c.requests)])
	c.next++
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

// BenchmarkCaller finds the caller of a key, without the rest of a request.
func BenchmarkCaller(b *testing.B) {
	g, err := gateway.New(gateway.Options{Config: config(), HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler), RegisterUnsealed: true})
	if err != nil {
		b.Fatal(err)
	}
	registered, err := g.Keys().Create(b.Context(), gateway.Key{Name: "backend", Apps: []string{"shop"}, Scopes: []string{"token"}})
	if err != nil {
		b.Fatal(err)
	}
	for name, key := range map[string]string{"file": allKey, "registered": registered} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/app/shop/token", nil)
			r.Header.Set("Authorization", "Bearer "+key)
			find := gateway.Authenticator(g, r)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := find(); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
