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

// BenchmarkOpen compares Open with the least that could be done: the bare primitives and a scan for four fields. What
// encoding/xml takes to read the decrypted text alone is why there is a decoder of our own. Run
//
//	go test -run '^$' -bench 'Open|Seal' -count 10 ./message
func BenchmarkOpen(b *testing.B) {
	w := official()
	query, body := w.send(textMessage)
	b.Run("floor", func(b *testing.B) {
		raw := rawKey(w.key)
		block, err := aes.NewCipher(raw)
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			if content := bareOpen(w.token, block, raw[:16], query, body); content == "" {
				b.Fatal("not read")
			}
		}
	})
	b.Run("Open", func(b *testing.B) {
		in := w.inbox(b)
		b.ReportAllocs()
		for b.Loop() {
			m, err := in.Open(query, body)
			if err != nil || m.Content == "" {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/xml", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m struct {
				ToUserName, FromUserName, MsgType, Content string
				CreateTime, MsgId                          int64
			}
			if err := xml.Unmarshal([]byte(textMessage), &m); err != nil || m.Content == "" {
				b.Fatal(err)
			}
		}
	})
}

// bareOpen is written as by someone who trusts the sender.
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

// BenchmarkSeal compares Seal with the bare primitives over the same bytes, without and with base64. Text has its XML
// written on the way, Raw has not.
func BenchmarkSeal(b *testing.B) {
	w := official()
	query, body := w.send(textMessage)
	in := w.inbox(b)
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
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst := make([]byte, len(plain))
			cipher.NewCBCEncrypter(block, raw[:16]).CryptBlocks(dst, plain)
			sha1.Sum(signed)
		}
	})
	b.Run("floor+base64", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst := make([]byte, len(plain))
			cipher.NewCBCEncrypter(block, raw[:16]).CryptBlocks(dst, plain)
			base64.StdEncoding.EncodeToString(dst)
			sha1.Sum(signed)
		}
	})
	b.Run("Text", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := in.Seal(m, reply); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Raw", func(b *testing.B) { // the same document, written already
		text, _ := w.decrypt(b, string(sealed))
		var raw message.Reply = message.Raw(text)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := in.Seal(m, raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The counts are part of the package's promise; times are reported by the benchmarks above.
func TestAMessageIsOpenedAndAnsweredWithFewAllocations(t *testing.T) {
	w := official()
	query, body := w.send(textMessage)
	in := w.inbox(t)
	var m *message.Message
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { m, _ = in.Open(query, body) }), 15.0)
	require.NotEmpty(t, m.Content)
	var out []byte
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() { out, _ = in.Seal(m, message.Text("hi")) }), 6.0)
	require.NotEmpty(t, out)
}
