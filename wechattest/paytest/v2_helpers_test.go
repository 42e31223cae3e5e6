package paytest_test

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// texts are the fields of a message of v2.
type texts map[string]string

// and returns a copy with other fields; "-" removes one.
func (v texts) and(pairs ...string) texts {
	out := texts{}
	for name, text := range v {
		out[name] = text
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
		if pairs[i+1] == "-" {
			delete(out, pairs[i])
		}
	}
	return out
}

// signV2 is the rule of the documentation: non-empty fields by name, then the key.
func signV2(v texts, kind, key string) string {
	var list []string
	for name, text := range v {
		if name != "sign" && text != "" {
			list = append(list, name+"="+text)
		}
	}
	slices.Sort(list)
	whole := strings.Join(append(list, "key="+key), "&")
	if kind == "HMAC-SHA256" {
		mac := hmac.New(sha256.New, []byte(key))
		io.WriteString(mac, whole)
		return fmt.Sprintf("%X", mac.Sum(nil))
	}
	return fmt.Sprintf("%X", md5.Sum([]byte(whole)))
}

// openRefund decrypts req_info.
func openRefund(t testing.TB, key, text string) texts {
	raw, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	sum := md5.Sum([]byte(key))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	require.NoError(t, err)
	require.Zero(t, len(raw)%16)
	for i := 0; i < len(raw); i += 16 {
		block.Decrypt(raw[i:], raw[i:i+16])
	}
	pad := int(raw[len(raw)-1])
	require.LessOrEqual(t, pad, 16, "another key")
	root, v := parseV2(t, raw[:len(raw)-pad])
	require.Equal(t, "root", root)
	return v
}

func writeV2(v texts) string {
	var b strings.Builder
	b.WriteString("<xml>")
	for name, text := range v {
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(&b, []byte(text))
		b.WriteString("</" + name + ">")
	}
	return b.String() + "</xml>"
}

func parseV2(t testing.TB, body []byte) (root string, v texts) {
	var in struct {
		XMLName xml.Name
		Fields  []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	require.NoError(t, xml.Unmarshal(body, &in), "%s", body)
	v = texts{}
	for _, f := range in.Fields {
		require.NotContains(t, v, f.XMLName.Local)
		v[f.XMLName.Local] = f.Text
	}
	return in.XMLName.Local, v
}

// v2Client is a merchant's program of v2, written from the documentation alone.
type v2Client struct {
	t      testing.TB
	http   *http.Client
	m      *paytest.Merchant
	key    string
	kind   string // sign_type; empty: none is sent
	header http.Header
}

func newV2(t testing.TB, s *paytest.Server, m paytest.Merchant) *v2Client {
	added := s.AddMerchant(m)
	cert, err := tls.X509KeyPair([]byte(added.Certificate), []byte(added.PrivateKey))
	require.NoError(t, err)
	return &v2Client{t: t, http: s.TLSClient(cert), m: added, key: added.APIKey}
}

func v2Shop(t testing.TB, s *paytest.Server) *v2Client {
	return newV2(t, s, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}})
}

// signed returns the fields with those of every call, and their signature.
func (c *v2Client) signed(v texts) texts {
	v = v.and()
	for name, text := range (texts{"appid": appID, "mch_id": c.m.MchID, "nonce_str": "n0nce", "sign_type": c.kind}) {
		if _, set := v[name]; !set && text != "" {
			v[name] = text
		}
	}
	v["sign"] = signV2(v, v["sign_type"], c.key)
	return v
}

// post sends a body and returns the answer.
func (c *v2Client) post(method, path, body string) *result {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "https://api.mch.weixin.qq.com"+path, strings.NewReader(body))
	require.NoError(c.t, err)
	for name, list := range c.header {
		r.Header[name] = list
	}
	res, err := c.http.Do(r)
	require.NoError(c.t, err)
	defer res.Body.Close()
	out := &result{status: res.StatusCode, header: res.Header}
	out.body, err = io.ReadAll(res.Body)
	require.NoError(c.t, err)
	return out
}

func (c *v2Client) send(path string, v texts) *result {
	c.t.Helper()
	return c.post("POST", path, writeV2(c.signed(v)))
}

// try makes a call that is understood, and returns its answer, whose signature has the type of the call.
func (c *v2Client) try(path string, v texts) texts {
	c.t.Helper()
	r := c.send(path, v)
	require.Equal(c.t, 200, r.status, "%s", r.body)
	root, got := parseV2(c.t, r.body)
	require.Equal(c.t, "xml", root)
	require.Equal(c.t, "SUCCESS", got["return_code"], "%s", r.body)
	kind := v["sign_type"]
	if kind == "" {
		kind = c.kind
	}
	require.Equal(c.t, signV2(got, kind, c.key), got["sign"], "%s", r.body)
	return got
}

// do makes a call that succeeds.
func (c *v2Client) do(path string, v texts) texts {
	c.t.Helper()
	got := c.try(path, v)
	require.Equal(c.t, "SUCCESS", got["result_code"], "%v", got)
	return got
}

// refused makes a call that is refused with a code.
func (c *v2Client) refused(code, path string, v texts) texts {
	c.t.Helper()
	got := c.try(path, v)
	require.Equal(c.t, "FAIL", got["result_code"], "%v", got)
	require.Equal(c.t, code, got["err_code"], "%v", got)
	require.NotEmpty(c.t, got["err_code_des"])
	return got
}

// unread makes a call that is refused with a text alone.
func (c *v2Client) unread(path string, v texts) string {
	c.t.Helper()
	return c.unreadAnswer(c.send(path, v))
}

func (c *v2Client) unreadAnswer(r *result) string {
	c.t.Helper()
	require.Equal(c.t, 200, r.status, "%s", r.body)
	_, got := parseV2(c.t, r.body)
	require.Equal(c.t, "FAIL", got["return_code"], "%s", r.body)
	require.NotEmpty(c.t, got["return_msg"])
	require.Equal(c.t, texts{"return_code": "FAIL", "return_msg": got["return_msg"]}, got)
	return got["return_msg"]
}

// v2Order returns the fields of a JSAPI order.
func v2Order(no, fen string) texts {
	return texts{
		"body": "袜子", "out_trade_no": no, "total_fee": fen, "spbill_create_ip": "127.0.0.1", "notify_url": hook,
		"trade_type": "JSAPI", "openid": payer,
	}
}

func v2Native(no, fen string) texts {
	return v2Order(no, fen).and("trade_type", "NATIVE", "product_id", "p1", "openid", "-")
}

// paid places an order and pays it.
func (c *v2Client) paid(s *paytest.Server, no, fen string) (transactionID string) {
	c.t.Helper()
	c.do("/pay/unifiedorder", v2Order(no, fen))
	id, err := s.Pay(c.m.MchID, no, payer)
	require.NoError(c.t, err)
	return id
}

// v2Inbox is a notify URL of a merchant of v2.
type v2Inbox struct {
	mu     sync.Mutex
	bodies [][]byte
	at     []time.Time
	answer func(n int, w http.ResponseWriter)
}

const v2OK = `<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>`

func (in *v2Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	in.mu.Lock()
	n := len(in.bodies)
	in.bodies, in.at = append(in.bodies, bytes.Clone(body)), append(in.at, time.Now())
	in.mu.Unlock()
	if in.answer != nil {
		in.answer(n, w)
		return
	}
	io.WriteString(w, v2OK)
}

func (in *v2Inbox) all(t testing.TB) (list []texts) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, body := range in.bodies {
		_, v := parseV2(t, body)
		list = append(list, v)
	}
	return list
}

func toPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
