package payv3_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay/payv3"
)

const (
	apiV3Key    = "9f1e2d3c4b5a69788796a5b4c3d2e1f0"
	newKey      = "0f1e2d3c4b5a69788796a5b4c3d2e1f9"
	publicKeyID = "PUB_KEY_ID_0114232134912410000000000000"
	appID       = "wxd678efh567hg6787"
	mchID       = "1900007291"
	openID      = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	notifyURL   = "https://shop.example.com/paid"
)

// keys are made once, since that takes long.
var keys = sync.OnceValue(func() (list []*rsa.PrivateKey) {
	for range 4 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		list = append(list, key)
	}
	return list
})

func merchantKey() *rsa.PrivateKey { return keys()[0] }

// certificate returns a certificate of a key.
func certificate(key *rsa.PrivateKey, serial int64, from, to time.Time) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "Tenpay.com sign"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return c
}

func serialOf(c *x509.Certificate) string { return fmt.Sprintf("%X", c.SerialNumber) }

// signer is a key that WeChat signs with.
type signer struct {
	serial string
	key    *rsa.PrivateKey
}

// fake is a WeChat Pay that answers as the test says.
type fake struct {
	apiV3Key string
	serial   string // of the merchant's certificate, which is checked

	mu           sync.Mutex
	certificates []*x509.Certificate
	signs        signer
	answer       func(r *http.Request, body []byte) (status int, answer string)
	fault        func(r *http.Request, try int) string // "", lost, unsigned, forged, probe, 502, drop (before the effect)
	tries        map[string]int                        // by method and URI
	requests     []string                              // method and URI of each
	headers      []http.Header
	bodies       [][]byte
	downloads    int // of certificates
	none         func(w http.ResponseWriter)
}

func newFake() *fake {
	return &fake{apiV3Key: apiV3Key, serial: merchantSerial, signs: signer{publicKeyID, keys()[1]}, tries: make(map[string]int)}
}

const merchantSerial = "1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C"

// nowhere keeps tests from calling WeChat itself.
var nowhere = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.EOF })}

// config returns that of a merchant in public-key mode.
func config() payv3.Config {
	return payv3.Config{AppID: appID, MchID: mchID, SerialNo: merchantSerial, Key: merchantKey(), APIv3Key: apiV3Key,
		PublicKeyID: publicKeyID, PublicKey: &keys()[1].PublicKey, NotifyURL: notifyURL, HTTP: nowhere}
}

func newMerchant(t testing.TB, c payv3.Config) *payv3.Merchant {
	m, err := payv3.New(c)
	require.NoError(t, err)
	return m
}

// merchant returns one that reaches f over a socket.
func (f *fake) merchant(t testing.TB) *payv3.Merchant { return f.merchantOf(t, f) }

// serve serves h until the test ends, and returns its address.
func serve(t testing.TB, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// settle waits until no call is recorded, so that a test may read the records after an answer was lost.
func (f *fake) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
}

// client reaches f without a socket, for bubbles of synctest.
func (f *fake) client() *http.Client { return &http.Client{Transport: inProcess{f}} }

type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	w := httptest.NewRecorder()
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, io.EOF
		}
	}()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	p.ServeHTTP(w, in)
	return w.Result(), nil
}

var authorization = regexp.MustCompile(`^WECHATPAY2-SHA256-RSA2048 mchid="(\d+)",serial_no="([0-9A-F]+)",nonce_str="(\w{16,32})",timestamp="(\d+)",signature="([^"]+)"$`)

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil || m[2] != f.serial || r.Header.Get("User-Agent") == "" || !f.verify(r, m, body) {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"code":"SIGN_ERROR","message":"签名错误","detail":{"field":"signature"}}`)
		return
	}
	name := r.Method + " " + r.URL.RequestURI()
	f.mu.Lock()
	f.tries[name]++
	try := f.tries[name]
	f.requests, f.headers, f.bodies = append(f.requests, name), append(f.headers, r.Header.Clone()), append(f.bodies, body)
	var fault string
	if f.fault != nil {
		fault = f.fault(r, try)
	}
	f.mu.Unlock()
	if r.URL.Path == "/v3/certificates" {
		f.serveCertificates(w)
		return
	}
	if fault == "drop" {
		panic(http.ErrAbortHandler)
	}
	f.mu.Lock()
	status, answer := f.answer(r, body)
	s := f.signs
	f.mu.Unlock()
	switch fault {
	case "lost":
		panic(http.ErrAbortHandler)
	case "502":
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "<html>")
		return
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, `{"code":"SYSTEM_ERROR","message":"系统繁忙"}`)
		return
	}
	if status/100 == 2 && fault != "unsigned" {
		for k, v := range s.sign([]byte(answer)) {
			w.Header()[k] = v
		}
		switch signature := w.Header().Get("Wechatpay-Signature"); fault {
		case "forged":
			w.Header().Set("Wechatpay-Signature", signer{s.serial, keys()[3]}.sign([]byte(answer)).Get("Wechatpay-Signature"))
		case "probe":
			w.Header().Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+signature)
		}
	}
	w.Header().Set("Request-ID", "08E5B1")
	w.WriteHeader(status)
	io.WriteString(w, answer)
}

// verify checks the signature of a call, or of the meta of an upload.
func (f *fake) verify(r *http.Request, m []string, body []byte) bool {
	signed := body
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		in := r.Clone(r.Context())
		in.Body = io.NopCloser(bytes.NewReader(body))
		if in.ParseMultipartForm(32<<20) != nil {
			return false
		}
		signed = []byte(in.FormValue("meta"))
	}
	sum := sha256.Sum256([]byte(r.Method + "\n" + r.URL.RequestURI() + "\n" + m[4] + "\n" + m[3] + "\n" + string(signed) + "\n"))
	signature, err := base64.StdEncoding.DecodeString(m[5])
	return err == nil && rsa.VerifyPKCS1v15(&merchantKey().PublicKey, crypto.SHA256, sum[:], signature) == nil
}

// sign returns the headers of a body.
func (s signer) sign(body []byte) http.Header { return s.signAt(body, time.Now(), "fdasflkja484w") }

func (s signer) signAt(body []byte, at time.Time, nonce string) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	sum := sha256.Sum256([]byte(timestamp + "\n" + nonce + "\n" + string(body) + "\n"))
	signature, err := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	h := make(http.Header)
	h.Set("Wechatpay-Timestamp", timestamp)
	h.Set("Wechatpay-Nonce", nonce)
	h.Set("Wechatpay-Serial", s.serial)
	h.Set("Wechatpay-Signature", base64.StdEncoding.EncodeToString(signature))
	return h
}

func (f *fake) serveCertificates(w http.ResponseWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.downloads++
	if f.none != nil {
		f.none(w)
		return
	}
	var list []map[string]any
	for _, c := range f.certificates {
		text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
		serial := serialOf(c)
		if strings.TrimLeft(f.signs.serial, "0") == serial {
			serial = f.signs.serial
		}
		list = append(list, map[string]any{"serial_no": serial, "effective_time": c.NotBefore.Format(time.RFC3339),
			"encrypt_certificate": sealWith(f.apiV3Key, text, "certificate", "0123456789ab")})
	}
	body, _ := json.Marshal(map[string]any{"data": list})
	for k, v := range f.signs.sign(body) {
		w.Header()[k] = v
	}
	w.Write(body)
}

// sealWith returns the resource of a notification or of a certificate.
func sealWith(key, plain, associated, nonce string) map[string]any {
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithNonceSize(block, len(nonce))
	if err != nil {
		panic(err)
	}
	return map[string]any{"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": associated,
		"ciphertext": base64.StdEncoding.EncodeToString(aead.Seal(nil, []byte(nonce), []byte(plain), []byte(associated)))}
}

// notification returns the body of a notification as WeChat lays it out.
func notification(key, event, plain string) []byte {
	r := sealWith(key, plain, "transaction", "fdasflkja484")
	return []byte(fmt.Sprintf(`{"id":"EV-2018022511223320873","create_time":"2015-05-20T13:29:35+08:00","resource_type":"encrypt-resource","event_type":"%s","summary":"支付成功","resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM","ciphertext":"%s","associated_data":"transaction","nonce":"%s"}}`,
		event, r["ciphertext"], r["nonce"]))
}

// transactionJSON returns a paid order.
func transactionJSON(outTradeNo string) string {
	return `{"mchid":"` + mchID + `","appid":"` + appID + `","out_trade_no":"` + outTradeNo + `","transaction_id":"4200000000202401010000000001","trade_type":"JSAPI","trade_state":"SUCCESS","trade_state_desc":"支付成功","bank_type":"OTHERS","attach":"","success_time":"2024-01-01T12:00:00+08:00","payer":{"openid":"` + openID + `"},"amount":{"total":100,"payer_total":90,"currency":"CNY","payer_currency":"CNY"}}`
}

// always answers each call in the same way.
func always(status int, answer string) func(*http.Request, []byte) (int, string) {
	return func(*http.Request, []byte) (int, string) { return status, answer }
}

func jsonOf(v any) ([]byte, error) { return json.Marshal(v) }
