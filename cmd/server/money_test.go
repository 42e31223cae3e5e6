package main_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const payMchID = "1900000001"

// payShop is the configuration of a shop that takes payments, and its WeChat Pay.
type payShop struct {
	pay     *paytest.Server
	account *paytest.Merchant
	dir     string
	env     []string
}

func newPayShop(t *testing.T) *payShop {
	s := &payShop{pay: new(paytest.Server), dir: t.TempDir()}
	t.Cleanup(s.pay.Close)
	s.account = s.pay.AddMerchant(paytest.Merchant{MchID: payMchID, Balance: 1000})
	for name, text := range map[string]string{"cert.pem": s.account.Certificate, "key.pem": s.account.PrivateKey, "pub.pem": s.account.PublicKey} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
	srv := httptest.NewServer(s.pay)
	t.Cleanup(srv.Close)
	s.env = []string{
		"WECHAT_PAY=" + srv.URL, "DIR=" + s.dir, "SHOP_KEY=" + shopKey, "SHOP_SECRET=a-secret-of-this-test", "API_V3_KEY=" + s.account.APIv3Key,
		"PUBLIC_KEY_ID=" + s.account.PublicKeyID, "WETOKEN_MASTER_KEYS=" + newKey(),
	}
	return s
}

const payConfig = `
public_url: http://127.0.0.1:1
endpoints: {pay: "${WECHAT_PAY}"}
records: RECORDS
keys:
  - {name: shop-backend, key: "${SHOP_KEY}", apps: [shop], scopes: [pay, refund]}
apps:
  shop:
    app_id: wx0123456789abcdef
    secret: ${SHOP_SECRET}
    sign_key: SIGN_KEY
    pay: {merchant: m1, notify_to: "NOTIFY_TO"}
merchants:
  m1:
    mch_id: "1900000001"
    v3: {api_v3_key: "${API_V3_KEY}", CERT, public_key_id: "${PUBLIC_KEY_ID}", public_key_file: "${DIR}/pub.pem"}
`

const pemFiles = `cert_file: "${DIR}/cert.pem", private_key_file: "${DIR}/key.pem"`

// config returns the configuration with its records at a URL.
func (s *payShop) config(records string, more ...string) string {
	all := append(more, "RECORDS", records, "CERT", pemFiles, "SIGN_KEY", "a-sign-key-of-this-test", "NOTIFY_TO", "http://127.0.0.1:9/paid")
	return strings.NewReplacer(all...).Replace(payConfig)
}

func (p *process) order(t *testing.T, no string, app ...string) (status int, body string) {
	t.Helper()
	name := append(app, "shop")[0]
	r, err := http.NewRequestWithContext(t.Context(), "POST", p.base+"/app/"+name+"/pay/orders", strings.NewReader(`{"trade":"native","out_trade_no":"`+no+`","fen":100,"description":"socks"}`))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+shopKey)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(raw)
}

func TestPaymentsNeedRecordsThatKeepThemSealed(t *testing.T) {
	t.Parallel()
	s := newPayShop(t)
	for records, want := range map[string]string{
		"'memory:'": "records: must name a store", "''": "records: is empty",
		"'sqlite::memory:'": "records: must name a store", "'sqlite:file:x?mode=memory&cache=shared'": "records: must name a store",
	} {
		require.Contains(t, refused(t, s.env, "-config", write(t, s.config(records))), want)
	}
	none := strings.Replace(s.config("x"), "records: x\n", "", 1)
	require.Contains(t, refused(t, s.env, "-config", write(t, none)), "records: must name a store")
	require.Contains(t, refused(t, s.env, "-config", write(t, none), "-store", "sqlite:"+filepath.Join(s.dir, "x.db")), "records: must name a store")
	plain := s.env[:len(s.env)-1]
	require.Contains(t, refused(t, plain, "-config", write(t, s.config("sqlite:"+filepath.Join(s.dir, "r.db")))), "WETOKEN_MASTER_KEYS: must be set")

	file := filepath.Join(s.dir, "records.db")
	p := start(t, s.env, "-config", write(t, s.config("sqlite:"+file)))
	status, body := p.order(t, "order-1")
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, p.log.String(), "days until the API certificate of a merchant expires")
	require.NotContains(t, p.log.String(), s.account.APIv3Key)
	for _, name := range []string{file, file + "-wal"} {
		if data, err := os.ReadFile(name); err == nil {
			require.NotContains(t, string(data), "socks", "the records are sealed")
		}
	}
}

func TestARedisThatWouldLosePaymentsIsRefused(t *testing.T) {
	t.Parallel()
	s := newPayShop(t)
	for _, args := range [][]string{nil, {"--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"}, {"--maxmemory-policy", "noeviction"}} {
		r := newRedis(t, args...)
		line := refused(t, s.env, "-config", write(t, s.config(r.url(r.address))))
		require.Contains(t, line, "records: would lose payments")
		require.Contains(t, line, "appendonly")
		require.Contains(t, line, "maxmemory-policy")
	}
	r := newRedis(t, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
	p := start(t, s.env, "-config", write(t, s.config(r.url(r.address))))
	status, body := p.order(t, "order-1")
	require.Equal(t, http.StatusOK, status, body)
}

// Apps that are registered at run time need the same of the records.
func TestRegisteredPaymentsNeedRecordsThatKeepThem(t *testing.T) {
	t.Parallel()
	s := newPayShop(t)
	losing, keeping := newRedis(t, "--appendonly", "no"), newRedis(t, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
	for records, want := range map[string]string{
		"'memory:'": "pay: must be unset on this server: records: must name a store", losing.url(losing.address): "would lose payments",
		keeping.url(keeping.address): "", "sqlite:" + filepath.Join(s.dir, "later.db"): "",
	} {
		config := strings.NewReplacer("scopes: [pay, refund]", "scopes: [pay, admin]", "apps: [shop]", `apps: ["*"]`).Replace(s.config(records))
		config = strings.Replace(config, `    pay: {merchant: m1, notify_to: "http://127.0.0.1:9/paid"}`+"\n", "", 1)
		p := start(t, s.env, "-config", write(t, config))
		r, err := http.NewRequestWithContext(t.Context(), "PUT", p.base+"/apps/later", strings.NewReader(`{"app_id":"wx0123456789abcdef","secret":"later","public_url":"https://wx.example.com","pay":{"merchant":"m1"}}`))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+shopKey)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		if want != "" {
			require.Equal(t, http.StatusBadRequest, resp.StatusCode, "%s", raw)
			require.Contains(t, string(raw), want)
			continue
		}
		require.Equal(t, http.StatusCreated, resp.StatusCode, "%s: %s", records, raw)
		status, body := p.order(t, "order-1", "later")
		require.Equal(t, http.StatusOK, status, body)
	}
}

func TestPaymentsWaitForARedisThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newPayShop(t)
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"right": {[]string{"--appendonly", "yes", "--maxmemory-policy", "noeviction"}, http.StatusOK},
		"wrong": {nil, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRedis(t, c.args...)
			r.kill()
			p := launch(t, s.env, "-config", write(t, s.config(r.url(r.address))))
			waitUntil(t, 20*time.Second, "the server listens", func() bool { return p.status("/healthz") == http.StatusOK })
			status, _ := p.order(t, "order-1")
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"))
			r.start(t)
			if c.want == http.StatusOK {
				p.ready(t)
			} else {
				waitUntil(t, 20*time.Second, "the log says why", func() bool { return strings.Contains(p.log.String(), "would lose payments") })
				require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"))
			}
			status, body := p.order(t, "order-2")
			require.Equal(t, c.want, status, body)
		})
	}
}

// newCertificate returns a certificate of a key that is valid until then.
func newCertificate(t *testing.T, key *rsa.PrivateKey, until time.Time) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(0xABCDEF7777), NotBefore: time.Now().Add(-time.Hour * 48), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

func TestP12FilesOldAndNewAreRead(t *testing.T) {
	t.Parallel()
	s := newPayShop(t)
	key, err := payv3.ParseKey([]byte(s.account.PrivateKey))
	require.NoError(t, err)
	cert, err := payv3.ParseCertificate([]byte(s.account.Certificate))
	require.NoError(t, err)
	for name, encoder := range map[string]*pkcs12.Encoder{"old": pkcs12.LegacyRC2, "des": pkcs12.LegacyDES, "new": pkcs12.Modern} {
		data, err := encoder.Encode(key, cert, nil, payMchID)
		require.NoError(t, err)
		file := filepath.Join(s.dir, name+".p12")
		require.NoError(t, os.WriteFile(file, data, 0o600))
		use := func(more string) string {
			return s.config("sqlite:"+filepath.Join(s.dir, name+".db"), "CERT", `cert_file: "`+file+`"`+more)
		}
		p := start(t, s.env, "-config", write(t, use("")))
		status, body := p.order(t, "order-"+name)
		require.Equal(t, http.StatusOK, status, body)
		require.Contains(t, refused(t, s.env, "-config", write(t, use(", cert_password: "+password))), "merchants.m1.v3.cert_file: cannot be decoded as p12: want the right cert_password")
	}
}

func TestKeysAreCheckedInWords(t *testing.T) {
	t.Parallel()
	s := newPayShop(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	file := func(name string, until time.Time) string {
		data, err := pkcs12.Modern.Encode(key, newCertificate(t, key, until), nil, payMchID)
		require.NoError(t, err)
		path := filepath.Join(s.dir, name+".p12")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return `cert_file: "` + path + `"`
	}
	for want, cert := range map[string]string{
		"the certificate expired on":              file("old", time.Now().Add(-time.Hour)),
		"does not belong to Key":                  file("other", time.Now().Add(time.Hour)) + `, private_key_file: "${DIR}/key.pem"`,
		"merchants.m1.v3.cert_file: ":             `cert_file: "${DIR}/key.pem", private_key_file: "${DIR}/key.pem"`,
		"merchants.m1.v3.private_key_file: ":      `cert_file: "${DIR}/cert.pem", private_key_file: "${DIR}/cert.pem"`,
		"no such file":                            `cert_file: "${DIR}/none.pem", private_key_file: "${DIR}/key.pem"`,
		"merchants.m1.v3.serial_no: is empty":     `private_key_file: "${DIR}/key.pem"`,
		"merchants.m1.v3.private_key_file: is no": `cert_file: "${DIR}/cert.pem"`,
	} {
		require.Contains(t, refused(t, s.env, "-config", write(t, s.config("sqlite:"+filepath.Join(s.dir, "r.db"), "CERT", cert))), want)
	}
}

func TestTheOutboxIsListedRetriedAndDropped(t *testing.T) {
	t.Parallel()
	s := newPayShop(t)
	var down atomic.Bool
	var got atomic.Int64
	down.Store(true)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		got.Add(1)
	}))
	t.Cleanup(backend.Close)
	config := func(signKey string) string {
		text := s.config("sqlite:"+filepath.Join(s.dir, "r.db"), "NOTIFY_TO", backend.URL+"/paid?secret=hidden", "SIGN_KEY", signKey)
		return write(t, text)
	}
	p := start(t, s.env, "-config", config("first-sign-key")) // notifications do not reach it: it asks
	for _, no := range []string{"order-1", "order-2"} {
		status, body := p.order(t, no)
		require.Equal(t, http.StatusOK, status, body)
		_, err := s.pay.Pay(payMchID, no, "o1")
		require.NoError(t, err)
	}
	run := func(signKey string, args ...string) (string, string, int) {
		return execute(t, s.env, append(append([]string{"outbox"}, args...), "-config", config(signKey))...)
	}
	var list string
	waitUntil(t, 20*time.Second, "two reports wait", func() bool {
		list, _, _ = run("first-sign-key", "list")
		return strings.Contains(list, "2 reports of payments wait")
	})
	require.NotContains(t, list, "hidden")
	p.kill()

	list, _, _ = run("second-sign-key", "list")
	require.Equal(t, 2, strings.Count(list, "held: "), list)
	first := strings.Fields(strings.Split(list, "\n")[0])[0]
	second := strings.Fields(strings.Split(list, "\n")[1])[0]
	// free runs the command until the lease has ended that the killed server may have on the item.
	free := func(args ...string) (stdout, stderr string, code int) {
		waitUntil(t, 20*time.Second, "no server delivers the item", func() bool {
			stdout, stderr, code = run("second-sign-key", args...)
			return !strings.Contains(stderr, "a server is delivering the item now")
		})
		return stdout, stderr, code
	}
	_, stderr, code := free("retry", first)
	require.Equal(t, 2, code, "the backend is down")
	require.Contains(t, stderr, "HTTP status 500")
	down.Store(false)
	stdout, stderr, code := run("second-sign-key", "retry", first)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "accepted by its backend")
	require.EqualValues(t, 1, got.Load())
	require.Contains(t, stderr, "msg=outbox caller=user/")
	_, stderr, code = free("drop", second, "-log-level", "error")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "action=drop")
	list, _, _ = run("second-sign-key", "list")
	require.Contains(t, list, "0 reports of payments wait")
	require.EqualValues(t, 1, got.Load())
	_, stderr, code = run("second-sign-key", "drop", second)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "it was accepted, or dropped")
	for _, args := range [][]string{{}, {"lists"}, {"retry"}, {"list", "x"}} {
		_, stderr, code = run("second-sign-key", args...)
		require.Equal(t, 2, code)
		require.Contains(t, stderr, "outbox: want outbox list")
	}
}
