package message_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/bench"
	"github.com/wetoken/wetoken/message"
)

// textMessage is a text message of about 600 bytes, as WeChat lays it out.
var textMessage = fmt.Sprintf(`<xml><ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName>
<FromUserName><![CDATA[o9AgO5Kd5ggOC-bXrbNODIiE3bGY]]></FromUserName>
<CreateTime>1714112445</CreateTime>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[%s]]></Content>
<MsgId>24517906352054932</MsgId>
</xml>`, strings.Repeat("你好，世界 hello ", 14))

// BenchmarkOpen compares Open with the least possible code: the bare primitives and a scan for four fields. It also
// measures encoding/xml on the decrypted text, which is too slow to be used.
func BenchmarkOpen(b *testing.B) {
	w := official()
	query, body := w.send(textMessage)
	raw := rawKey(w.key)
	block, err := aes.NewCipher(raw)
	require.NoError(b, err)
	in := w.newReceiver(b)
	floor := func() bool { return bareOpen(w.token, block, raw[:16], query, body) != "" }
	for name, subject := range map[string]func() bool{
		"Open": func() bool {
			m, err := in.Open(query, body)
			return err == nil && m.Content != ""
		},
		"encoding/xml": func() bool {
			var m struct {
				ToUserName, FromUserName, MsgType, Content string
				CreateTime, MsgId                          int64
			}
			return xml.Unmarshal([]byte(textMessage), &m) == nil && m.Content != ""
		},
	} {
		b.Run(name, func(b *testing.B) { bench.Ratio(b, 1, repeat(b, floor), repeat(b, subject)) })
	}
}

// repeat returns a function that calls do n times. Each call must succeed.
func repeat(b *testing.B, do func() bool) func(n int) {
	return func(n int) {
		for range n {
			if !do() {
				b.Error("it failed")
				return
			}
		}
	}
}

// bareOpen is the least code that opens a message, for a sender that is trusted.
func bareOpen(token string, block cipher.Block, iv []byte, query url.Values, body []byte) string {
	encrypt := between(body, "<Encrypt><![CDATA[", "]]></Encrypt>")
	parts := []string{token, query.Get("timestamp"), query.Get("nonce"), string(encrypt)}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	if hex.EncodeToString(sum[:]) != query.Get("msg_signature") {
		return ""
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(encrypt)))
	n, err := base64.StdEncoding.Decode(b, encrypt)
	if err != nil {
		return ""
	}
	b = b[:n]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(b, b)
	text := b[20 : 20+binary.BigEndian.Uint32(b[16:])]
	if len(between(text, "<FromUserName><![CDATA[", "]]>")) == 0 || len(between(text, "<MsgType><![CDATA[", "]]>")) == 0 ||
		len(between(text, "<MsgId>", "<")) == 0 {
		return ""
	}
	return string(between(text, "<Content><![CDATA[", "]]>"))
}

func between(b []byte, before, after string) []byte {
	_, b, _ = bytes.Cut(b, []byte(before))
	b, _, _ = bytes.Cut(b, []byte(after))
	return b
}

// BenchmarkSeal compares Seal, which writes the XML too, with the bare primitives over the same bytes, without and with
// the base64 that is signed.
func BenchmarkSeal(b *testing.B) {
	w := official()
	query, body := w.send(textMessage)
	in := w.newReceiver(b)
	m, err := in.Open(query, body)
	require.NoError(b, err)
	var reply message.Reply = message.Text(strings.Repeat("你好，世界 hello ", 14))
	out, err := in.Seal(m, reply)
	require.NoError(b, err)
	sealed := between(out, "<Encrypt><![CDATA[", "]]>")
	raw := rawKey(w.key)
	block, err := aes.NewCipher(raw)
	require.NoError(b, err)
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(sealed))/32*32)
	signed := make([]byte, len(sealed)+len(w.token)+len(w.nonce)+10)
	seal := repeat(b, func() bool {
		_, err := in.Seal(m, reply)
		return err == nil
	})
	for name, encode := range map[string]bool{"bare": false, "base64": true} {
		floor := repeat(b, func() bool {
			dst := make([]byte, len(plain))
			cipher.NewCBCEncrypter(block, raw[:16]).CryptBlocks(dst, plain)
			if encode {
				base64.StdEncoding.EncodeToString(dst)
			}
			sum := sha1.Sum(signed)
			return sum[0] != 0 || sum[1] != 0
		})
		b.Run(name, func(b *testing.B) { bench.Ratio(b, 1, floor, seal) })
	}
}

// TestOpenAndSealAllocateLittle checks the number of allocations. The benchmarks above report times.
func TestOpenAndSealAllocateLittle(t *testing.T) {
	w := official()
	query, body := w.send(textMessage)
	in := w.newReceiver(t)
	var m *message.Message
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { m, _ = in.Open(query, body) }), 15.0)
	require.NotEmpty(t, m.Content)
	var out []byte
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { out, _ = in.Seal(m, message.Text("hi")) }), 6.0)
	require.NotEmpty(t, out)
}
