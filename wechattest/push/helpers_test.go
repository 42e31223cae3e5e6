package push_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/push"
)

// pushKey is the sample EncodingAESKey of WeCom's documentation.
const pushKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"

func sha(parts ...string) string {
	sort.Strings(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

func crypt(t testing.TB, frame []byte, encrypt bool) {
	key, err := base64.StdEncoding.DecodeString(pushKey + "=")
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	if encrypt {
		cipher.NewCBCEncrypter(block, key[:16]).CryptBlocks(frame, frame)
	} else {
		cipher.NewCBCDecrypter(block, key[:16]).CryptBlocks(frame, frame)
	}
}

func unseal(t testing.TB, sealed string) (text, id string) {
	frame, err := base64.StdEncoding.DecodeString(sealed)
	require.NoError(t, err)
	crypt(t, frame, false)
	frame = frame[:len(frame)-int(frame[len(frame)-1])]
	n := binary.BigEndian.Uint32(frame[16:])
	return string(frame[20 : 20+n]), string(frame[20+n:])
}

func sealReply(t testing.TB, text, id string) (sealed, signature string) {
	frame := append([]byte("0123456789abcdef"), binary.BigEndian.AppendUint32(nil, uint32(len(text)))...)
	frame = append(frame, text+id...)
	pad := 32 - len(frame)%32
	frame = append(frame, bytes.Repeat([]byte{byte(pad)}, pad)...)
	crypt(t, frame, true)
	sealed = base64.StdEncoding.EncodeToString(frame)
	return sealed, sha("tok", "1700000000", "nonce", sealed)
}

func plainCallback(h http.HandlerFunc) *push.Callback {
	return &push.Callback{AppID: "wx1", Token: "tok", Handler: h}
}

// answering is an app that answers everything with body.
func answering(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(body)) // the test sees what arrives
	}
}

func textReply(content string) string {
	return "<xml><ToUserName>oUser</ToUserName><FromUserName>gh_wechattest</FromUserName><CreateTime>1</CreateTime>" +
		"<MsgType>text</MsgType><Content>" + content + "</Content></xml>"
}
