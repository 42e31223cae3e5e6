package message_test

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
)

func plainReceiver(t testing.TB, s store.Store) *message.Receiver {
	in, _ := receiver(t, func(c *message.Config) { c.EncodingAESKey, c.Store = "", s })
	in.Handle(message.Any, say("hi"))
	return in
}

func TestSignatureIsRefusedWithAnotherBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := official(), new(store.Memory)
		in, other := plainReceiver(t, s), plainReceiver(t, s)
		query := w.plain()
		for range 2 {
			require.Contains(t, post(in, query, []byte(hello)).Body.String(), "hi")
		}
		require.Contains(t, post(other, query, []byte(hello)).Body.String(), "hi", "WeChat repeats it to another process")
		forged := strings.Replace(hello, "hello", "forged", 1)
		for _, in := range []*message.Receiver{in, other} {
			rec := post(in, query, []byte(forged))
			require.Equal(t, 401, rec.Code)
			require.Contains(t, rec.Body.String(), "-40102")
		}
		query.Set("echostr", "1")
		require.Equal(t, 401, serve(in, "GET", query, "").Code, "invalid for a URL check too")
		<-time.After(9 * time.Minute)
		require.Equal(t, 401, post(in, query, []byte(forged)).Code)
		<-time.After(2 * time.Minute)
		require.Contains(t, post(in, query, []byte(forged)).Body.String(), "-40101", "then it is stale")
	})
}

func TestSignatureIsRefusedAtAnotherAppWithTheSameToken(t *testing.T) {
	w, s := official(), new(store.Memory)
	in := plainReceiver(t, s)
	other, _ := receiver(t, func(c *message.Config) { c.EncodingAESKey, c.Store, c.AppID = "", s, "wx0" })
	query := w.plain()
	require.Equal(t, 200, post(in, query, []byte(hello)).Code)
	require.Equal(t, 401, post(other, query, []byte(strings.Replace(hello, "hello", "forged", 1))).Code)
	require.Equal(t, 200, post(other, query, []byte(hello)).Code, "the same message, forwarded unchanged")
}

func TestSignatureOfAURLCheckIsRefusedForAMessage(t *testing.T) {
	w := official()
	in := plainReceiver(t, new(store.Memory))
	query := w.plain()
	query.Set("echostr", "1")
	for range 2 {
		require.Equal(t, "1", serve(in, "GET", query, "").Body.String())
	}
	require.Equal(t, 401, post(in, query, []byte(hello)).Code)
	other := w.newReceiver(t)
	require.Equal(t, 200, serve(other, "GET", query, "").Code)
	sealed := w.encrypt(w.frame(hello))
	query.Set("msg_signature", sign(w.token, query.Get("timestamp"), w.nonce, sealed))
	require.Equal(t, 200, post(other, query, []byte("<xml><Encrypt>"+sealed+"</Encrypt></xml>")).Code, "an encrypted message has its own signature")
}

func TestEncryptedURLChecksInPlainModeAreNotReplays(t *testing.T) {
	w, s := official(), new(store.Memory)
	in, _ := receiver(t, func(c *message.Config) { c.Mode, c.Store = message.Plain, s })
	for _, echo := range []string{"1", "2"} {
		sealed := w.encrypt(w.frame(echo))
		query := w.sealed(sealed)
		query.Set("echostr", sealed)
		query.Set("signature", rand.Text()) // which is not verified
		require.Equal(t, echo, serve(in, "GET", query, "").Body.String())
	}
	for key := range s.Keys(t.Context(), "") {
		t.Errorf("the same URL check has made %s", key)
	}
}

func TestDigitsCannotBeMovedBetweenTimestampAndNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := official()
		now := stamp()
		later := fmt.Sprint(time.Now().Add(5 * time.Minute).Unix())
		for name, c := range map[string][2]string{ // each with the signature of now and the nonce
			"plus":       {"+" + now, "5"},
			"zeros":      {"00" + now, "5"},
			"blank":      {" " + now, "5"},
			"underscore": {now[:3] + "_" + now[3:], "5"},
			"hex":        {"0x386D4380", "5"},
			"fullwidth":  {strings.NewReplacer("0", "０").Replace(now), "5"},
			"float":      {now + ".0", "5"},
		} {
			in := plainReceiver(t, new(store.Memory))
			query := url.Values{"timestamp": {c[0]}, "nonce": {c[1]}, "signature": {sign(w.token, c[0], c[1])}}
			require.Equal(t, 401, post(in, query, []byte(hello)).Code, name)
			query.Set("echostr", "1")
			require.Equal(t, 401, serve(in, "GET", query, "").Code, name)
		}

		in := plainReceiver(t, new(store.Memory)) // a nonce that is also a valid time
		query := url.Values{"timestamp": {now}, "nonce": {later}, "signature": {sign(w.token, now, later)}}
		require.Equal(t, 200, post(in, query, []byte(hello)).Code)
		query.Set("timestamp", later)
		query.Set("nonce", now)
		require.Equal(t, 401, post(in, query, []byte("<xml><MsgType>text</MsgType></xml>")).Code, "the signature is the same after a swap")
	})
}

func TestOnlyVerifiedSignaturesAreRemembered(t *testing.T) {
	w, s := official(), new(store.Memory)
	in := plainReceiver(t, s)
	for range 100 {
		query := w.plain()
		query.Set("signature", rand.Text())
		post(in, query, []byte(hello))
		query.Set("echostr", "1")
		serve(in, "GET", query, "")
	}
	for key := range s.Keys(t.Context(), "") {
		t.Errorf("a stranger has made %s", key)
	}
}

func TestPlainModeAnswersWhileTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &failingStore{Store: new(store.Memory)}
		s.fail()
		w := official()
		in := plainReceiver(t, s)
		query := w.plain()
		require.Contains(t, post(in, query, []byte(hello)).Body.String(), "hi")
		query.Set("echostr", "1")
		require.Equal(t, "1", serve(in, "GET", query, "").Body.String())
		for _, s := range []store.Store{hangingStore{}} {
			begun := time.Now()
			require.Contains(t, post(plainReceiver(t, s), w.plain(), []byte(hello)).Body.String(), "hi")
			require.Less(t, time.Since(begun), 4500*time.Millisecond)
		}
		<-time.After(time.Minute)
	})
}
