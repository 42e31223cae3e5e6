package message_test

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

func TestKeyRotationLosesNoMessage(t *testing.T) {
	old, now := official(), official()
	now.token, now.key = "BBBBB", strings.Repeat("B", 43)
	config := now.config()
	config.PreviousToken, config.PreviousAESKey = old.token, old.key
	in, err := message.New(config)
	require.NoError(t, err)
	mixed := now
	mixed.key = old.key
	for _, w := range []wechat{old, now, mixed} {
		query, body := w.send(hello)
		m, err := in.Open(query, body)
		require.NoError(t, err)
		out, err := in.Seal(m, message.Text("hi"))
		require.NoError(t, err)
		require.Contains(t, w.read(t, out), "hi", "a reply uses the token and the key of the message")
		q := w.plain()
		q.Set("echostr", "42")
		echo, err := in.VerifyURL(q)
		require.NoError(t, err)
		require.Equal(t, "42", echo)
	}
	query, body := old.send(hello)
	_, err = now.newReceiver(t).Open(query, body)
	require.ErrorIs(t, err, message.ErrSignature, "the old token is invalid after the rotation")
	old.token = now.token
	query, body = old.send(hello)
	_, err = now.newReceiver(t).Open(query, body)
	require.ErrorIs(t, err, message.ErrSeal, "nor is the old key")
}

func TestMessageForAnotherAppIsRefused(t *testing.T) {
	other := official()
	other.id = "wx0000000000000000"
	query, body := other.send(hello)
	_, err := official().newReceiver(t).Open(query, body)
	require.ErrorIs(t, err, message.ErrSeal)

	other.id = ""
	query, body = other.send(hello)
	_, err = official().newReceiver(t).Open(query, body)
	require.ErrorIs(t, err, message.ErrSeal, "an empty receiver is refused")

	config := official().config()
	config.ReceiveIDs = []string{"wxplatform", ""}
	in, err := message.New(config)
	require.NoError(t, err)
	m, err := in.Open(query, body)
	require.NoError(t, err, "unless it is expected")
	out, err := in.Seal(m, message.Text("hi"))
	require.NoError(t, err)
	require.Contains(t, other.read(t, out), "hi", "the reply has the receiver of the message")
	query, body = official().send(hello)
	_, err = in.Open(query, body)
	require.ErrorIs(t, err, message.ErrSeal, "ReceiveIDs replaces AppID")
}

func TestDamagedCiphertextIsRefused(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	length := func(n uint32) []byte {
		f := w.frame(hello)
		binary.BigEndian.PutUint32(f[16:], n)
		return f
	}
	pad := func(change func([]byte)) []byte {
		f := w.frame(hello)
		change(f)
		return f
	}
	for name, encrypt := range map[string]string{
		"empty":                    " ",
		"not base64":               "*",
		"base64 cut":               w.encrypt(w.frame(hello))[:41],
		"one block":                w.encrypt(make([]byte, 16)),
		"half a block":             base64.StdEncoding.EncodeToString(make([]byte, 40)),
		"a block missing":          base64.StdEncoding.EncodeToString(make([]byte, 64)),
		"length of 4 GiB":          w.encrypt(length(0xffffffff)),
		"length that wraps":        w.encrypt(length(0xffffffff - 19)),
		"length one too many":      w.encrypt(length(uint32(len(hello) + len(w.id) + 1))),
		"padding of 0":             w.encrypt(pad(func(f []byte) { f[len(f)-1] = 0 })),
		"padding of 33":            w.encrypt(append(w.frame(hello), []byte(strings.Repeat("!", 33)+strings.Repeat("!", 31))...)),
		"padding of 255":           w.encrypt(pad(func(f []byte) { f[len(f)-1] = 255 })),
		"padding not all the same": w.encrypt(pad(func(f []byte) { f[len(f)-2]++ })),
		"nothing but padding":      w.encrypt([]byte(strings.Repeat(" ", 32))),
	} {
		_, err := in.Open(w.sealed(encrypt), []byte("<xml><Encrypt>"+encrypt+"</Encrypt></xml>"))
		require.ErrorIs(t, err, message.ErrSeal, name)
	}
	// A length that includes the receiver, or a part of it.
	f := length(uint32(len(hello) + len(w.id)))
	encrypt := w.encrypt(f)
	_, err := in.Open(w.sealed(encrypt), []byte("<xml><Encrypt>"+encrypt+"</Encrypt></xml>"))
	require.ErrorIs(t, err, message.ErrSeal)
	// Padding to blocks of 16, which some senders use, is accepted.
	text := hello
	for len(w.pad(text, 16))%32 == 0 {
		text += " "
	}
	encrypt = w.encrypt(w.pad(text, 16))
	_, err = in.Open(w.sealed(encrypt), []byte("<xml><Encrypt>"+encrypt+"</Encrypt></xml>"))
	require.NoError(t, err)
}

func TestDecryptedTextMustBeADocument(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	for _, text := range []string{"", "<xml>", "{", "hello", "[]", "<!DOCTYPE x><xml/>", "<xml/>\x00", "{\"MsgType\":\"a\"} x"} {
		query, body := w.send(text)
		_, err := in.Open(query, body)
		require.ErrorIs(t, err, message.ErrSeal, text)
		require.NotErrorIs(t, err, message.ErrBody, "no other Refusal is wrapped")
		require.NotErrorIs(t, err, message.ErrMediaType)
	}
}
