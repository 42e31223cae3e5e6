package payv2_test

import (
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

const (
	apiKey    = "9f1e2d3c4b5a69788796a5b4c3d2e1f0"
	newKey    = "0f1e2d3c4b5a69788796a5b4c3d2e1f9"
	appID     = "wxd678efh567hg6787"
	mchID     = "1900007291"
	openID    = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	notifyURL = "https://shop.example.com/paid"
)

type fields = map[string]string

// fake is a WeChat Pay that answers as the test says. It verifies each call.
type fake struct {
	by     payv2.SignType
	key    string
	answer func(path string, in fields) (fields, string) // the fields, and a fault: "", lost, unsigned, forged, other, 502, html

	mu    sync.Mutex
	paths []string
	calls []fields
	certs []int // number of client certificates of each call
}

func newFake(answer func(path string, in fields) (fields, string)) *fake {
	return &fake{by: payv2.HMACSHA256, key: apiKey, answer: answer}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in, err := payv2.Read(string(body), "xml")
	by := payv2.SignType(in["sign_type"])
	if by == "" {
		by = payv2.MD5
	}
	if err != nil || r.Method != http.MethodPost || in["sign"] != payv2.Sign(in, by, f.key) {
		io.WriteString(w, "<xml><return_code><![CDATA[FAIL]]></return_code>\n<return_msg><![CDATA[签名错误]]></return_msg>\n</xml>")
		return
	}
	f.mu.Lock()
	certs := 0
	if r.TLS != nil {
		certs = len(r.TLS.PeerCertificates)
	}
	f.paths, f.calls, f.certs = append(f.paths, r.URL.Path), append(f.calls, in), append(f.certs, certs)
	out, fault := f.answer(r.URL.Path, in)
	f.mu.Unlock()
	switch fault {
	case "lost":
		panic(http.ErrAbortHandler)
	case "502":
		w.WriteHeader(http.StatusBadGateway)
		return
	case "html":
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, "<html><head><title>400 No required SSL certificate was sent</title></head></html>")
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Write(f.encode(out, by, fault))
}

// encode writes an answer as WeChat does, or with a fault.
func (f *fake) encode(out fields, by payv2.SignType, fault string) []byte {
	key := f.key
	switch fault {
	case "unsigned":
		return unsigned(out)
	case "forged":
		key = strings.Repeat("x", 32)
	case "other":
		if by = payv2.MD5; f.by == payv2.MD5 {
			by = payv2.HMACSHA256
		}
	}
	return signed(out, by, key)
}

// signed returns fields as a signed document.
func signed(m fields, by payv2.SignType, key string) []byte {
	b, err := payv2.Encode(m, by, key)
	if err != nil {
		panic(err)
	}
	return b
}

func unsigned(m fields) []byte {
	b := signed(m, payv2.MD5, apiKey)
	start := strings.LastIndex(string(b), "<sign>")
	return append(b[:start:start], "</xml>"...)
}

// ok returns the fields of a success.
func ok(more ...string) fields {
	m := fields{"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": appID, "mch_id": mchID, "nonce_str": "n"}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

func refused(code, text string) fields {
	return ok("result_code", "FAIL", "err_code", code, "err_code_des", text)
}

// certificate is made at run time.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// config returns that of a merchant, which calls nobody.
func config() payv2.Config {
	nowhere := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, io.EOF })}
	return payv2.Config{AppID: appID, MchID: mchID, APIKey: apiKey, NotifyURL: notifyURL, Certificate: certificate(), HTTP: nowhere}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newMerchant(t testing.TB, c payv2.Config) *payv2.Merchant {
	m, err := payv2.New(c)
	require.NoError(t, err)
	return m
}

// merchant returns one that reaches f over TLS.
func (f *fake) merchant(t testing.TB, change ...func(*payv2.Config)) *payv2.Merchant {
	s := httptest.NewUnstartedServer(f)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	c := config()
	c.BaseURL, c.HTTP = s.URL, s.Client()
	for _, change := range change {
		change(&c)
	}
	return newMerchant(t, c)
}

// client reaches f without a socket, for bubbles of synctest.
func (f *fake) client() *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		return w.Result(), nil
	})}
}

func order(trade pay.Trade) pay.Order {
	return pay.Order{Trade: trade, OutTradeNo: "order-1", Fen: 100, Description: "a ]]> <b> & \r\n 袜子", OpenID: openID, ClientIP: "1.2.3.4", AuthCode: "134567890123456789"}
}

// paid returns the fields of a payment notification.
func paid(no string) fields {
	return ok("openid", openID, "is_subscribe", "Y", "trade_type", "JSAPI", "bank_type", "OTHERS", "total_fee", "100", "fee_type", "CNY", "cash_fee", "90",
		"coupon_fee", "10", "coupon_count", "1", "coupon_id_0", "10000", "coupon_fee_0", "10", "coupon_fee_17", "1", "transaction_id", "4200000000202401010000000001",
		"out_trade_no", no, "attach", "a \"b\" \\ <c>", "time_end", "20240101120000", "field_of_the_future", "新")
}

// sealed returns req_info.
func sealed(m fields, key string) string {
	plain := strings.NewReplacer("<xml>", "<root>", "</xml>", "</root>").Replace(string(unsigned(m)))
	return seal(plain, key)
}

func seal(plain, key string) string {
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	b := []byte(plain + strings.Repeat(string(rune(pad)), pad))
	sum := md5.Sum([]byte(key))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(b); i += aes.BlockSize {
		block.Encrypt(b[i:], b[i:])
	}
	return base64.StdEncoding.EncodeToString(b)
}

func refundNotification(key string, more ...string) []byte {
	inner := fields{"out_refund_no": "refund-1", "refund_id": "50000", "out_trade_no": "order-1", "transaction_id": "4200", "total_fee": "100", "refund_fee": "30",
		"refund_status": "SUCCESS", "success_time": "2024-01-02 03:04:05", "refund_recv_accout": "支付用户零钱"}
	for i := 0; i < len(more); i += 2 {
		inner[more[i]] = more[i+1]
	}
	return unsigned(fields{"return_code": "SUCCESS", "appid": appID, "mch_id": mchID, "nonce_str": "n", "req_info": sealed(inner, key)})
}
