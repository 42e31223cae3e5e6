package paytest_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	mchID = "1900000001"
	appID = "wx1111111111111111"
	payer = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	hook  = "https://shop.example/paid"
)

// keys are made once for all tests of this package, since making them is slow.
var keys = sync.OnceValue(func() []*rsa.PrivateKey {
	list := make([]*rsa.PrivateKey, 8)
	for i := range list {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		list[i] = key
	}
	return list
})

// newServer returns a Server that takes its keys from those, and whose notifications are acknowledged.
func newServer(t testing.TB) *paytest.Server {
	var mu sync.Mutex
	n := 0
	s := &paytest.Server{Transport: paytest.InMemory(new(inbox)), GenerateKey: func() (*rsa.PrivateKey, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return keys()[n%len(keys())], nil
	}}
	t.Cleanup(s.Close)
	return s
}

// client is a merchant's program, written from the documentation alone.
type client struct {
	t      testing.TB
	http   *http.Client
	base   string
	m      *paytest.Merchant
	serial string            // sent as Wechatpay-Serial
	header map[string]string // in place of what is sent otherwise; "" removes
	tamper func(authorization string) string
	now    func() time.Time
}

func newClient(t testing.TB, s *paytest.Server, m paytest.Merchant) *client {
	return &client{t: t, http: s.Client(), base: "https://api.mch.weixin.qq.com", m: s.AddMerchant(m), now: time.Now}
}

func shop(t testing.TB, s *paytest.Server) *client {
	return newClient(t, s, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}})
}

// result is an answer, read whole.
type result struct {
	status int
	header http.Header
	body   []byte
	fields map[string]any
}

func (r *result) text(name string) string {
	v, _ := r.fields[name].(string)
	return v
}

func signature(t testing.TB, key *rsa.PrivateKey, lines ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n") + "\n"))
	b, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(b)
}

func (c *client) authorization(method, uri, signed string) string {
	stamp, nonce := strconv.FormatInt(c.now().Unix(), 10), rand.Text()[:16]
	v := fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="%s",timestamp="%s",serial_no="%s",signature="%s"`,
		c.m.MchID, nonce, stamp, c.m.SerialNo, signature(c.t, c.m.Key, method, uri, stamp, nonce, signed))
	if c.tamper != nil {
		v = c.tamper(v)
	}
	return v
}

func (c *client) send(method, uri, kind, body, signed string) (*result, error) {
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+uri, strings.NewReader(body))
	require.NoError(c.t, err)
	r.Header.Set("Authorization", c.authorization(method, uri, signed))
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.serial != "" {
		r.Header.Set("Wechatpay-Serial", c.serial)
	}
	for name, v := range c.header {
		r.Header.Set(name, v)
		if v == "" {
			r.Header[name] = nil
		}
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	out := &result{status: res.StatusCode, header: res.Header}
	if out.body, err = io.ReadAll(res.Body); err != nil {
		return out, err
	}
	_ = json.Unmarshal(out.body, &out.fields)
	return out, nil
}

// try makes a call and returns its answer, whatever it is.
func (c *client) try(method, uri string, body any) *result {
	c.t.Helper()
	var b []byte
	if body != nil {
		var err error
		b, err = json.Marshal(body)
		require.NoError(c.t, err)
	}
	r, err := c.send(method, uri, "application/json", string(b), string(b))
	require.NoError(c.t, err)
	return r
}

// do makes a call that succeeds, with a true signature.
func (c *client) do(method, uri string, body any) *result {
	c.t.Helper()
	r := c.try(method, uri, body)
	require.Less(c.t, r.status, 300, "%s", r.body)
	require.NoError(c.t, c.verify(r.header, r.body))
	return r
}

// refused makes a call that is refused with a code, without a signature.
func (c *client) refused(status int, code, method, uri string, body any) *result {
	c.t.Helper()
	r := c.try(method, uri, body)
	require.Equal(c.t, status, r.status, "%s", r.body)
	require.Equal(c.t, code, r.text("code"), "%s", r.body)
	require.NotEmpty(c.t, r.text("message"))
	if status >= 300 {
		require.Empty(c.t, r.header.Get("Wechatpay-Signature"))
	}
	return r
}

// verify checks WeChat's signature with the key that its serial names.
func (c *client) verify(header http.Header, body []byte) error {
	key, err := c.key(header.Get("Wechatpay-Serial"))
	if err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(header.Get("Wechatpay-Signature"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(bytes.Join([][]byte{[]byte(header.Get("Wechatpay-Timestamp")), []byte(header.Get("Wechatpay-Nonce")), body, nil}, []byte("\n")))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw)
}

func (c *client) key(serial string) (*rsa.PublicKey, error) {
	if serial == c.m.PublicKeyID {
		block, _ := pem.Decode([]byte(c.m.PublicKey))
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		return key.(*rsa.PublicKey), nil
	}
	for _, cert := range c.certificates() {
		if fmt.Sprintf("%X", cert.SerialNumber) == serial {
			return cert.PublicKey.(*rsa.PublicKey), nil
		}
	}
	return nil, fmt.Errorf("no key %q", serial)
}

// certificates fetches WeChat's certificates.
func (c *client) certificates() (list []*x509.Certificate) {
	r := c.try("GET", "/v3/certificates", nil)
	if r.status != 200 {
		return nil
	}
	var in struct {
		Data []struct {
			Serial string   `json:"serial_no"`
			Sealed resource `json:"encrypt_certificate"`
		}
	}
	require.NoError(c.t, json.Unmarshal(r.body, &in))
	for _, one := range in.Data {
		plain, err := one.Sealed.open(c.m.APIv3Key)
		require.NoError(c.t, err)
		block, _ := pem.Decode(plain)
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(c.t, err)
		require.Equal(c.t, one.Serial, fmt.Sprintf("%X", cert.SerialNumber))
		list = append(list, cert)
	}
	return list
}

// resource is JSON that WeChat seals.
type resource struct {
	OriginalType   string `json:"original_type"`
	Algorithm      string `json:"algorithm"`
	Ciphertext     string `json:"ciphertext"`
	AssociatedData string `json:"associated_data"`
	Nonce          string `json:"nonce"`
}

func (r resource) open(apiV3Key string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(r.Ciphertext)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher([]byte(apiV3Key))
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return gcm.Open(nil, []byte(r.Nonce), raw, []byte(r.AssociatedData))
}

// secret encrypts a sensitive field under the serial that the client sends.
func (c *client) secret(text string) string {
	key, err := c.key(c.serial)
	require.NoError(c.t, err)
	raw, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, []byte(text), nil)
	require.NoError(c.t, err)
	return base64.StdEncoding.EncodeToString(raw)
}

// notice is a notification, as a merchant receives it.
type notice struct {
	at    time.Time
	head  http.Header
	body  []byte
	Event string   `json:"event_type"`
	ID    string   `json:"id"`
	Seal  resource `json:"resource"`
	plain map[string]any
}

// inbox is a merchant's notify URL. answer gives the status by the number of what came before.
type inbox struct {
	mu     sync.Mutex
	list   []notice
	answer func(n int) int
	took   time.Duration
}

func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in.mu.Lock()
	n := len(in.list)
	in.list = append(in.list, notice{at: time.Now(), head: r.Header, body: body})
	in.mu.Unlock()
	if in.took > 0 {
		time.Sleep(in.took)
	}
	status := http.StatusNoContent
	if in.answer != nil {
		status = in.answer(n)
	}
	w.WriteHeader(status)
}

// all returns the notifications that came, as they are.
func (in *inbox) all() []notice {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.list)
}

// got returns the notifications that came, decrypted for c.
func (in *inbox) got(c *client) []notice {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i := range in.list {
		require.NoError(c.t, json.Unmarshal(in.list[i].body, &in.list[i]))
		plain, err := in.list[i].Seal.open(c.m.APIv3Key)
		require.NoError(c.t, err)
		require.NoError(c.t, json.Unmarshal(plain, &in.list[i].plain))
	}
	return in.list
}

type object = map[string]any

// order returns the body of a JSAPI order.
func order(no string, fen int) object {
	return object{
		"appid": appID, "mchid": mchID, "description": "socks", "out_trade_no": no, "notify_url": hook,
		"amount": object{"total": fen, "currency": "CNY"}, "payer": object{"openid": payer},
	}
}

// with returns a copy of an object with other members; nil removes one.
func with(o object, pairs ...any) object {
	out := object{}
	for k, v := range o {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		name := pairs[i].(string)
		if pairs[i+1] == nil {
			delete(out, name)
			continue
		}
		out[name] = pairs[i+1]
	}
	return out
}

func unmarshal(n *notice) error { return json.Unmarshal(n.body, n) }
