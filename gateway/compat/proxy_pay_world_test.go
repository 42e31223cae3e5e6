package compat_test

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
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	oldMchID, newMchID = "1900000001", "1900000002"

	payKey  = "a-key-of-this-test-to-pay"
	signKey = "a-sign-key-of-this-test"
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

// told is a report that a backend has got.
type told struct {
	path   string
	header http.Header
	raw    []byte
	body   map[string]any
}

// hasSignature reports whether a report has the signature of a key.
func (r told) hasSignature(key string) bool {
	stamp, codes, _ := strings.Cut(strings.TrimPrefix(r.header.Get("Wetoken-Signature"), "t="), ",")
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(stamp + "."))
	mac.Write(r.raw)
	return strings.Contains(codes, "v1="+hex.EncodeToString(mac.Sum(nil)))
}

// cashDesk is a gateway with the routes of wechat-proxy over HTTP, and the WeChat Pay that it calls.
type cashDesk struct {
	t               testing.TB
	pay             *paytest.Server
	options         gateway.Options
	gateway         *gateway.Gateway
	log             *logBuffer
	public, private string
	backend         *httptest.Server
	reports         chan told
	inner           chan told // what /own/page of the public side gets
	stop            func()

	mu   sync.Mutex
	sent []map[string]string // orders of APIv2
}

// RoundTrip notes the orders that the gateway sends.
func (d *cashDesk) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/pay/unifiedorder" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		d.mu.Lock()
		d.sent = append(d.sent, readFlat(body))
		d.mu.Unlock()
	}
	return d.pay.Client().Transport.RoundTrip(r)
}

// lastSent returns the order of APIv2 that was sent last.
func (d *cashDesk) lastSent() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sent[len(d.sent)-1]
}

// openDesk serves apps: shop, whose orders are of APIv2; modern, of APIv3; 小店, another one; and plain, without payments.
func openDesk(t testing.TB, change ...func(*cashDesk)) *cashDesk {
	t.Helper()
	made := 0
	d := &cashDesk{t: t, log: new(logBuffer), reports: make(chan told, 100), inner: make(chan told, 100)}
	d.pay = &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { made++; return payKeys()[1+made%2], nil }}
	t.Cleanup(d.pay.Close)
	d.backend = httptest.NewServer(note(d.reports))
	t.Cleanup(d.backend.Close)
	v2 := d.pay.AddMerchant(paytest.Merchant{MchID: oldMchID, AppIDs: []string{shopID, miniID}, Key: payKeys()[0]})
	v3 := d.pay.AddMerchant(paytest.Merchant{MchID: newMchID, AppIDs: []string{newsID}, Key: payKeys()[0]})
	public, private := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	d.public, d.private = "http://"+public.Listener.Addr().String(), "http://"+private.Listener.Addr().String()
	hosts := []string{strings.TrimPrefix(d.backend.URL, "http://")}
	d.options = gateway.Options{
		Config: gateway.Config{
			PublicURL: d.public,
			Keys: []gateway.Key{
				{Name: "pay", Key: payKey, Apps: []string{"shop", "modern", "小店"}, Scopes: []string{"pay"}, MaxFen: 50_000},
				{Name: "read", Key: readKey, Apps: []string{"*"}, Scopes: []string{"token"}},
			},
			Merchants: map[string]gateway.Merchant{
				"old": {MchID: oldMchID, V2: &gateway.APIv2{APIKey: v2.APIKey, SignType: "MD5", Cert: v2.Certificate, PrivateKey: v2.PrivateKey}},
				"new": {MchID: newMchID, V3: &gateway.APIv3{APIv3Key: v3.APIv3Key, Cert: v3.Certificate, PrivateKey: v3.PrivateKey, PublicKeyID: v3.PublicKeyID, PublicKey: v3.PublicKey}},
			},
			Apps: map[string]gateway.App{
				"shop":   {AppID: shopID, Secret: secret, SignKey: signKey, Hosts: hosts, Pay: &gateway.Pay{Merchant: "old", NotifyTo: d.backend.URL + "/all"}},
				"modern": {AppID: newsID, Secret: secret, SignKey: signKey, Hosts: hosts, Pay: &gateway.Pay{Merchant: "new", NotifyTo: d.backend.URL + "/all"}},
				"小店":     {AppID: miniID, Secret: secret, SignKey: "another-sign-key-of-this-test", Pay: &gateway.Pay{Merchant: "old"}, OpenPay: gateway.OpenPay{MaxFen: 100}},
				"plain":  {AppID: freeID, Secret: secret},
			},
			Compat: gateway.Compat{Systems: []string{"proxy"}, Examples: true},
		},
		Store: new(store.Memory), Records: new(store.Memory), HTTP: &http.Client{Transport: d},
		Log: slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(d)
	}
	d.open(public, private)
	return d
}

// open serves the gateway on two listeners until the test ends, or stop is called.
func (d *cashDesk) open(public, private *httptest.Server) {
	o := d.options
	o.PrivateFallback, o.PublicFallback = compat.Private(o.Config.Compat), compat.Public(o.Config.Compat)
	o.PublicFallback = append(o.PublicFallback, func(*gateway.Gateway) http.Handler {
		m := http.NewServeMux()
		m.Handle("POST /own/page", note(d.inner))
		return m
	})
	g, err := gateway.New(o)
	require.NoError(d.t, err)
	d.gateway = g
	public.Config.Handler, private.Config.Handler = g.Public(), g.Private()
	public.Start()
	private.Start()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	d.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		public.Close()
		private.Close()
	})
	d.t.Cleanup(func() { d.stop() })
}

// reply is an answer over HTTP.
type reply struct {
	status int
	header http.Header
	text   string
	fields map[string]any // of JSON
}

// ask sends a request to the private side if it has a key, else to the public one. browser keeps cookies; nil keeps none.
func (d *cashDesk) ask(browser http.CookieJar, in input, headers ...string) reply {
	d.t.Helper()
	base, method := d.public, in.method
	if in.key != "" {
		base = d.private
	}
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(d.t.Context(), method, base+in.path, strings.NewReader(in.body))
	require.NoError(d.t, err)
	if in.key != "" {
		r.Header.Set("Authorization", "Bearer "+in.key)
	}
	if in.form != "" {
		r.Header.Set("Content-Type", in.form)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c := http.Client{Jar: browser, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	out := reply{status: resp.StatusCode, header: resp.Header, text: string(raw)}
	_ = json.Unmarshal(bytes.TrimPrefix(raw, []byte("var order=")), &out.fields)
	return out
}

// link makes a link, and returns its query.
func (d *cashDesk) link(app, body string) string {
	d.t.Helper()
	got := d.ask(nil, input{method: "POST", path: "/app/" + app + "/pay/links", key: payKey, body: body, form: formJSON})
	require.Equal(d.t, http.StatusOK, got.status, got.text)
	address := got.fields["url"].(string)
	u, err := url.Parse(address)
	require.NoError(d.t, err)
	require.Equal(d.t, d.public+"/app/"+url.PathEscape(app)+"/pay", strings.TrimSuffix(address, "?"+u.RawQuery))
	return u.RawQuery
}

// scanned returns the order that a code_url is for.
func (d *cashDesk) scanned(got reply) paytest.Order {
	d.t.Helper()
	require.Equal(d.t, http.StatusOK, got.status, got.text)
	code, ok := got.fields["code_url"].(string)
	require.True(d.t, ok, got.text)
	o, err := d.pay.Prepaid(code)
	require.NoError(d.t, err)
	return o
}

// report returns the next report that the backend gets.
func (d *cashDesk) report() told {
	d.t.Helper()
	select {
	case r := <-d.reports:
		return r
	case <-time.After(30 * time.Second):
		d.t.Fatalf("no report has come: %s", d.log.String())
		return told{}
	}
}

// jar is a browser's cookies.
func jar(t *testing.T) http.CookieJar {
	t.Helper()
	j, err := cookiejar.New(nil)
	require.NoError(t, err)
	return j
}
