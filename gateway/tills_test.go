package gateway_test

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const ownShopKey = "a-key-of-this-test-for-the-shop"

// tills are two gateways with the same stores, as two processes have them, with a simulated WeChat Pay in one bubble. WeChat's
// notifications come to the second one, which also does the work in the background.
type tills struct {
	wx            *paytest.Server
	shown, filed  *paytest.Merchant
	first, second *gateway.Gateway
	shared        *store.Memory
	records       store.Store
	log           *syncBuffer

	mu      sync.Mutex
	taken   []map[string]any // reports
	refuses bool             // the backend refuses reports
}

// runTills runs a test in a bubble. change changes the options of the second gateway.
func runTills(t *testing.T, test func(*testing.T, *tills), change ...func(*gateway.Options)) {
	payKeys()
	synctest.Test(t, func(t *testing.T) {
		d := newTills(t)
		defer d.wx.Close()
		d.first, d.second = d.open(t), d.open(t, change...)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		gateway.SetBackends(d.second, &http.Client{Transport: paytest.InMemory(http.HandlerFunc(d.takeReport))})
		go func() { defer close(ended); _ = d.second.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		advance(1500 * time.Millisecond) // between two reads of the changes
		test(t, d)
		for _, hidden := range []string{d.shown.APIv3Key, laterSecret, signKey, "PRIVATE KEY"} {
			require.NotContains(t, d.log.text(), hidden)
		}
	})
}

// newTills returns tills without gateways.
func newTills(t *testing.T) *tills {
	d := &tills{shared: new(store.Memory), records: newSealed(t, new(store.Memory)), log: new(syncBuffer)}
	d.wx = &paytest.Server{
		GenerateKey: func() (*rsa.PrivateKey, error) { return payKeys()[1], nil }, // of WeChat
		Transport:   paytest.InMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.second.Public().ServeHTTP(w, r) })),
	}
	d.shown = d.wx.AddMerchant(paytest.Merchant{MchID: mchID, Balance: 1000, Key: payKeys()[0]})
	d.filed = d.wx.AddMerchant(paytest.Merchant{MchID: "1900000002", Key: payKeys()[0]})
	return d
}

func (d *tills) open(t *testing.T, change ...func(*gateway.Options)) *gateway.Gateway {
	o := gateway.Options{
		Config: gateway.Config{
			PublicURL: "https://wx.example.com",
			Keys: []gateway.Key{
				{Name: "wide", Key: wideKey, Apps: []string{"*"}, Scopes: []string{"*", "refund", "pay-api"}, Paths: []string{"/v3/*"}, DayFen: 50},
				{Name: "root", Key: adminKey, Apps: []string{"*"}, Scopes: []string{"admin"}},
				{Name: "shop", Key: ownShopKey, Apps: []string{"shop"}, Scopes: []string{"pay", "pay-api"}, Paths: []string{"/v3/*"}},
			},
			Merchants: map[string]gateway.Merchant{"m1": merchantOf(d.filed)},
			Apps:      map[string]gateway.App{"shop": {AppID: shopID, Secret: secret, Pay: &gateway.Pay{Merchant: "m1"}}},
		},
		Store: d.shared, Records: d.records, HTTP: d.wx.Client(), Log: slog.New(slog.NewTextHandler(d.log, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	g, err := gateway.New(o)
	require.NoError(t, err)
	return g
}

func merchantOf(m *paytest.Merchant) gateway.Merchant {
	return gateway.Merchant{MchID: m.MchID, V3: &gateway.APIv3{
		APIv3Key: m.APIv3Key, Cert: m.Certificate, PrivateKey: m.PrivateKey, PublicKeyID: m.PublicKeyID, PublicKey: m.PublicKey,
	}}
}

func laterApp(merchant string) gateway.App {
	return gateway.App{AppID: laterID, Secret: laterSecret, SignKey: signKey, Pay: &gateway.Pay{Merchant: merchant, NotifyTo: "http://backend/paid"}}
}

func (d *tills) takeReport(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var report map[string]any
	_ = json.Unmarshal(body, &report)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuses {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if !isSigned(r.Header.Get("Wetoken-Signature"), body) {
		report["unsigned"] = true
	}
	d.taken = append(d.taken, report)
}

func (d *tills) reports() []map[string]any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.taken)
}

func (d *tills) refuseReports(refuse bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuses = refuse
}

// register registers m2 and the app later with it, in the first gateway.
func (d *tills) register(t *testing.T, change ...func(*gateway.App)) {
	t.Helper()
	_, err := d.first.Merchants().Put(t.Context(), "m2", merchantOf(d.shown), "")
	require.NoError(t, err)
	app := laterApp("m2")
	for _, f := range change {
		f(&app)
	}
	_, err = d.first.Apps().Put(t.Context(), "later", app, "")
	require.NoError(t, err)
}

// call sends a request to the private side of a gateway.
func call(t *testing.T, g *gateway.Gateway, key, route, body string) (int, map[string]any) {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	g.Private().ServeHTTP(w, r)
	var out map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	return w.Code, out
}

func quote(s string) string { return string(must(json.Marshal(s))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// While an app is being deleted, another process may still take an order for it.
