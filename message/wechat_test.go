package message_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

// wechat is WeChat for one app. Its cryptography is written independently, so that the package is not tested against
// itself.
type wechat struct {
	id, token, key string
	nonce          string
}

// sampleKey is the key of WeCom's documentation. Its last character has spare bits.
const sampleKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"

func official() wechat {
	return wechat{id: "wxba5fad812f8e6fb9", token: "AAAAA", key: sampleKey, nonce: "415670741"}
}

func (w wechat) config() message.Config {
	return message.Config{AppID: w.id, Token: w.token, EncodingAESKey: w.key}
}

func (w wechat) newReceiver(t testing.TB) *message.Receiver {
	in, err := message.New(w.config())
	require.NoError(t, err)
	return in
}

func sign(parts ...string) string {
	sort.Strings(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

func rawKey(key string) []byte {
	raw, err := base64.StdEncoding.DecodeString(key + "=")
	if err != nil {
		panic(err)
	}
	return raw
}

// frame returns a text in the form before encryption.
func (w wechat) frame(text string) []byte { return w.pad(text, 32) }

func (w wechat) pad(text string, block int) []byte {
	b := append([]byte("0123456789abcdef"), binary.BigEndian.AppendUint32(nil, uint32(len(text)))...)
	b = append(append(b, text...), w.id...)
	pad := block - len(b)%block
	return append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)
}

func (w wechat) encrypt(frame []byte) string {
	raw := rawKey(w.key)
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(frame))
	cipher.NewCBCEncrypter(block, raw[:16]).CryptBlocks(out, frame)
	return base64.StdEncoding.EncodeToString(out)
}

// decrypt returns the text and the receiver of a sealed reply.
func (w wechat) decrypt(t testing.TB, sealed string) (text, receiver string) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	require.NoError(t, err)
	require.Zero(t, len(b)%32, "a reply is padded to blocks of 32")
	raw := rawKey(w.key)
	block, err := aes.NewCipher(raw)
	require.NoError(t, err)
	cipher.NewCBCDecrypter(block, raw[:16]).CryptBlocks(b, b)
	b = b[:len(b)-int(b[len(b)-1])]
	n := int(binary.BigEndian.Uint32(b[16:]))
	return string(b[20 : 20+n]), string(b[20+n:])
}

func stamp() string { return strconv.FormatInt(time.Now().Unix(), 10) }

// plain returns the query of a message that is not encrypted.
func (w wechat) plain() url.Values {
	s := stamp()
	return url.Values{"signature": {sign(w.token, s, w.nonce)}, "timestamp": {s}, "nonce": {w.nonce}, "openid": {"oUser"}}
}

// sealed returns the query of a message whose Encrypt is given.
func (w wechat) sealed(encrypt string) url.Values {
	q := w.plain()
	q.Set("encrypt_type", "aes")
	q.Set("msg_signature", sign(w.token, q.Get("timestamp"), w.nonce, encrypt))
	return q
}

// send returns query and body of a message encrypted in XML.
func (w wechat) send(text string) (url.Values, []byte) {
	e := w.encrypt(w.frame(text))
	return w.sealed(e), fmt.Appendf(nil, "<xml>\n<ToUserName><![CDATA[gh_1]]></ToUserName>\n<Encrypt><![CDATA[%s]]></Encrypt>\n</xml>", e)
}

// post serves one callback.
func post(h http.Handler, query url.Values, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/message?"+query.Encode(), bytes.NewReader(body)))
	return w
}

type envelope struct {
	XMLName      xml.Name `xml:"xml" json:"-"`
	Encrypt      string
	MsgSignature string
	TimeStamp    json.Number
	Nonce        string
}

// read checks the signature of a sealed XML reply and decrypts it.
func (w wechat) read(t testing.TB, body []byte) string {
	var e envelope
	require.NoError(t, xml.Unmarshal(body, &e), "%s", body)
	require.Equal(t, sign(w.token, e.TimeStamp.String(), e.Nonce, e.Encrypt), e.MsgSignature)
	require.Equal(t, w.nonce, e.Nonce)
	text, receiver := w.decrypt(t, e.Encrypt)
	require.Equal(t, w.id, receiver)
	return text
}

// decodeExact decodes a JSON object that must have exactly those keys.
func decodeExact(t testing.TB, body []byte, into any, keys ...string) {
	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(body, &object), "%s", body)
	got := make([]string, 0, len(object))
	for k := range object {
		got = append(got, k)
	}
	require.ElementsMatch(t, keys, got)
	require.NoError(t, json.Unmarshal(body, into))
}
