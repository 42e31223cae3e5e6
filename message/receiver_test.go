package message_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

const hello = "<xml><ToUserName>gh_1</ToUserName><FromUserName>oUser</FromUserName><CreateTime>1714112445</CreateTime>" +
	"<MsgType>text</MsgType><Content>hello</Content><MsgId>1</MsgId></xml>"

func TestSecureModeAcceptsOnlyEncryptedSignedMessages(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	query, body := w.send(hello)
	m, err := in.Open(query, body)
	require.NoError(t, err)
	require.Equal(t, "hello", m.Content)
	require.Equal(t, hello, m.Raw)

	_, err = in.Open(w.plain(), []byte(hello))
	require.ErrorIs(t, err, message.ErrPlaintext)

	query.Set("msg_signature", query.Get("signature")) // that signature does not cover the body
	_, err = in.Open(query, body)
	require.ErrorIs(t, err, message.ErrSignature)
	query.Del("msg_signature")
	_, err = in.Open(query, body)
	require.ErrorIs(t, err, message.ErrSignature)
}

func TestPlainModeVerifiesTheSignature(t *testing.T) {
	w := official()
	w.key = ""
	in := w.newReceiver(t)
	m, err := in.Open(w.plain(), []byte(hello))
	require.NoError(t, err)
	require.Equal(t, "oUser", m.FromUserName)
	query := w.plain()
	query.Set("nonce", "other")
	_, err = in.Open(query, []byte(hello))
	require.ErrorIs(t, err, message.ErrSignature)
	_, err = in.Open(nil, []byte(hello))
	require.ErrorIs(t, err, message.ErrSignature)
}

func TestPlainModeErrorNamesEncryption(t *testing.T) {
	query, body := official().send(hello)
	w := official()
	w.key = ""
	_, err := w.newReceiver(t).Open(query, body)
	require.ErrorIs(t, err, message.ErrSeal)
	require.ErrorContains(t, err, "Config.Mode is plain")
}

func TestCompatibleModeUsesTheEncryptedPart(t *testing.T) {
	w := official()
	config := w.config()
	config.Mode = message.Compatible
	in, err := message.New(config)
	require.NoError(t, err)
	sealed := w.encrypt(w.frame(hello))
	body := strings.Replace(hello, "hello", "forged", 1)
	body = strings.Replace(body, "</xml>", "<Encrypt>"+sealed+"</Encrypt></xml>", 1)

	m, err := in.Open(w.sealed(sealed), []byte(body))
	require.NoError(t, err)
	require.Equal(t, "hello", m.Content)
	out, err := in.Seal(m, message.Text("hi"))
	require.NoError(t, err)
	require.Contains(t, w.read(t, out), "hi")

	_, err = in.Open(w.plain(), []byte(body))
	require.ErrorIs(t, err, message.ErrSignature, "with an encrypted part there is no falling back on the plain one")

	_, err = in.Open(w.plain(), []byte(hello))
	require.ErrorIs(t, err, message.ErrPlaintext, "nor by leaving it out")
	_, err = in.Open(w.plain(), []byte(`{"MsgType":"text"}`))
	require.ErrorIs(t, err, message.ErrPlaintext)
}

func TestReceiverRefusesOldAndFutureTimestamps(t *testing.T) {
	w := official()
	for skew, want := range map[time.Duration]error{
		-10*time.Minute - time.Second: message.ErrStale,
		-10 * time.Minute:             nil,
		10 * time.Minute:              nil,
		10*time.Minute + time.Second:  message.ErrStale,
	} {
		synctest.Test(t, func(t *testing.T) {
			in := w.newReceiver(t)
			sealed := w.encrypt(w.frame(hello))
			stamp := fmt.Sprint(time.Now().Add(skew).Unix())
			query := w.plain()
			query.Set("timestamp", stamp)
			query.Set("echostr", "1")
			query.Set("signature", sign(w.token, stamp, w.nonce))
			_, err := in.VerifyURL(query)
			require.ErrorIs(t, err, want)
			query.Set("msg_signature", sign(w.token, stamp, w.nonce, sealed))
			_, err = in.Open(query, []byte("<xml><Encrypt>"+sealed+"</Encrypt></xml>"))
			require.ErrorIs(t, err, want)
		})
	}
	for _, stamp := range []string{"", "now", "-1", "1e9", "99999999999999999999", "9223372036854775807", "0"} {
		query := w.plain()
		query.Set("timestamp", stamp)
		query.Set("signature", sign(w.token, stamp, w.nonce))
		_, err := w.newReceiver(t).VerifyURL(query)
		require.ErrorIs(t, err, message.ErrStale, stamp)
	}
}

func TestUnsignedCallbackGetsErrSignatureOnly(t *testing.T) {
	w := official()
	secure := w.newReceiver(t)
	w.key = ""
	plain := w.newReceiver(t)
	sealed := official().encrypt(official().frame(hello))
	for _, body := range []string{"", "x", "<xml>", "{", hello, "<xml><Encrypt>" + sealed + "</Encrypt></xml>",
		`{"encrypt":"x"}`, "<xml><Encrypt/></xml>", "<xml>" + strings.Repeat("<a>", 100)} {
		for _, in := range []*message.Receiver{secure, plain} {
			query := w.sealed(sealed)
			query.Set("signature", strings.Repeat("0", 40))
			query.Set("msg_signature", strings.Repeat("0", 40))
			_, err := in.Open(query, []byte(body))
			require.Equal(t, message.ErrSignature, err, body)
			query.Set("timestamp", "1")
			_, err = in.Open(query, []byte(body))
			require.Equal(t, message.ErrSignature, err, body)
			_, err = in.VerifyURL(query)
			require.Equal(t, message.ErrSignature, err)
		}
	}
}

func TestHugeParametersAreRefused(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	w.nonce = strings.Repeat("1", 1000)
	query, body := w.send(hello)
	_, err := in.Open(query, body)
	require.ErrorIs(t, err, message.ErrSignature)
	_, err = in.VerifyURL(query)
	require.ErrorIs(t, err, message.ErrSignature)
	_, err = in.Open(query, make([]byte, 1<<20+1))
	require.ErrorIs(t, err, message.ErrTooLarge)
}
