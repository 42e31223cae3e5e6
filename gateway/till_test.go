package gateway_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

var payKeys = sync.OnceValue(func() (keys []*rsa.PrivateKey) {
	for range 3 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
})

const (
	mchID       = "1900000001"
	payKey      = "a-key-of-this-test-to-pay"
	refundKey   = "a-key-of-this-test-to-refund"
	transferKey = "a-key-of-this-test-to-transfer"
	wideKey     = "a-key-of-this-test-with-a-star"
	apiKey      = "a-key-of-this-test-for-the-api"
	bothKey     = "a-key-of-this-test-api-and-money"
	otherKey    = "a-key-of-this-test-for-the-other"
	signKey     = "a-sign-key-of-this-test"
)

// backend is a service that receives payment reports.
type backend struct {
	*httptest.Server
	mu       sync.Mutex
	reports  []map[string]any
	ids      []string
	headers  []http.Header
	unsigned int
	reply    func(n int) (status int, body string)
}

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		defer b.mu.Unlock()
		if !isSigned(r.Header.Get("Wetoken-Signature"), body) {
			b.unsigned++
		}
		var report map[string]any
		_ = json.Unmarshal(body, &report)
		b.reports, b.ids = append(b.reports, report), append(b.ids, r.Header.Get("Wetoken-Delivery"))
		b.headers = append(b.headers, r.Header)
		status, text := http.StatusOK, ""
		if b.reply != nil {
			status, text = b.reply(len(b.reports))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(b.Close)
	return b
}

func isSigned(header string, body []byte) bool {
	stamp, codes, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
	mac := hmac.New(sha256.New, []byte(signKey))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return strings.Contains(codes, "v1="+hex.EncodeToString(mac.Sum(nil)))
}

func (b *backend) got() []map[string]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]map[string]any(nil), b.reports...)
}

// till is a gateway with two apps of one merchant, with servers and a simulated WeChat Pay.
type till struct {
	pay             *paytest.Server
	gateway         *gateway.Gateway
	config          gateway.Config
	records         store.Store
	backend         *backend
	public, private string
	log             *syncBuffer
	level           slog.Level // of log
	http            *http.Client
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// openTill serves a gateway whose configuration is modified by change.
func openTill(t *testing.T, change func(*till)) *till {
	t.Helper()
	made := 0
	d := &till{records: new(store.Memory), backend: newBackend(t), log: new(syncBuffer)}
	d.pay = &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { made++; return payKeys()[1+made%2], nil }}
	t.Cleanup(d.pay.Close)
	d.http = d.pay.Client()
	shown := d.pay.AddMerchant(paytest.Merchant{MchID: mchID, AppIDs: []string{shopID, corpID}, Balance: 100_000, Key: payKeys()[0]})
	public, private := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	d.public, d.private = "http://"+public.Listener.Addr().String(), "http://"+private.Listener.Addr().String()
	d.config = gateway.Config{
		PublicURL: d.public,
		Keys: []gateway.Key{
			{Name: "pay", Key: payKey, Apps: []string{"shop"}, Scopes: []string{"pay"}},
			{Name: "refund", Key: refundKey, Apps: []string{"shop"}, Scopes: []string{"refund"}, MaxFen: 80, DayFen: 100},
			{Name: "transfer", Key: transferKey, Apps: []string{"shop"}, Scopes: []string{"transfer"}},
			{Name: "wide", Key: wideKey, Apps: []string{"*"}, Scopes: []string{"*"}},
			{Name: "api", Key: apiKey, Apps: []string{"shop", "other"}, Scopes: []string{"pay", "pay-api"}, Paths: []string{"/v3/*"}},
			{Name: "both", Key: bothKey, Apps: []string{"*"}, Scopes: []string{"pay-api", "refund"}, Paths: []string{"/v3/refund/*", "/v3/certificates"}},
			{Name: "other", Key: otherKey, Apps: []string{"other"}, Scopes: []string{"pay", "refund", "transfer"}},
		},
		Merchants: map[string]gateway.Merchant{"m1": {MchID: mchID, V3: &gateway.APIv3{
			APIv3Key: shown.APIv3Key, Cert: shown.Certificate, PrivateKey: shown.PrivateKey, PublicKeyID: shown.PublicKeyID, PublicKey: shown.PublicKey,
		}}},
		Apps: map[string]gateway.App{
			"shop":  {AppID: shopID, Secret: secret, SignKey: signKey, Hosts: []string{strings.TrimPrefix(d.backend.URL, "http://")}, Pay: &gateway.Pay{Merchant: "m1", NotifyTo: d.backend.URL + "/paid"}},
			"other": {AppID: corpID, Secret: secret, SignKey: signKey, Pay: &gateway.Pay{Merchant: "m1"}},
			"plain": {AppID: "wxcccccccccccccccc", Secret: secret},
		},
	}
	if change != nil {
		change(d)
	}
	g, err := gateway.New(gateway.Options{Config: d.config, Records: d.records, HTTP: d.http, Log: slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: d.level}))})
	require.NoError(t, err)
	d.gateway = g
	public.Config.Handler, private.Config.Handler = g.Public(), g.Private()
	for _, srv := range []*httptest.Server{public, private} {
		srv.Start()
		t.Cleanup(srv.Close)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return d
}

// call sends a request to the private listener, or to the public one if key is empty.
func (d *till) call(t *testing.T, key, route, body string) (int, map[string]any) {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	base := d.private
	if key == "" {
		base = d.public
	}
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	require.NoError(t, err)
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var out map[string]any
	_ = json.Unmarshal(raw, &out)
	return resp.StatusCode, out
}

func orderOf(no string) string {
	return `{"trade":"native","out_trade_no":"` + no + `","fen":100,"description":"socks"}`
}

func (d *till) place(t *testing.T, key, app, no string) map[string]any {
	t.Helper()
	status, got := d.call(t, key, "POST /app/"+app+"/pay/orders", orderOf(no))
	require.Equal(t, http.StatusOK, status, got)
	return got
}
