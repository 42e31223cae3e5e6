package message_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
)

func TestFailuresAfterDecryptionGetTheSameResponse(t *testing.T) {
	w := official()
	other, damaged := w, w
	other.id, damaged.key = "wx0", strings.Repeat("C", 43)
	frame := func(change func([]byte)) string {
		f := w.frame(hello)
		change(f)
		return w.encrypt(f)
	}
	var first string
	for name, sealed := range map[string]string{
		"another app":    other.encrypt(other.frame(hello)),
		"no app":         w.encrypt(w.frame(hello)[:64]),
		"another key":    damaged.encrypt(damaged.frame(hello)),
		"padding":        frame(func(f []byte) { f[len(f)-1] = 0 }),
		"padding within": frame(func(f []byte) { f[len(f)-2]++ }),
		"length":         frame(func(f []byte) { binary.BigEndian.PutUint32(f[16:], 1<<31) }),
		"length short":   frame(func(f []byte) { binary.BigEndian.PutUint32(f[16:], 3) }),
		"not XML":        w.encrypt(w.frame("<xml>")),
		"not JSON":       w.encrypt(w.frame("{")),
		"text":           w.encrypt(w.frame("hello")),
		"blocks":         "AAAA",
	} {
		for _, method := range []string{"POST", "GET"} {
			if method == "GET" && strings.HasPrefix(name, "not") || name == "text" {
				continue // a URL check needs no document
			}
			in, _ := logged(t, w)
			query := w.sealed(sealed)
			query.Set("echostr", sealed)
			rec := serve(in, method, query, "<xml><Encrypt>"+sealed+"</Encrypt></xml>")
			rec.Header().Set("Status", rec.Result().Status)
			var got strings.Builder
			require.NoError(t, rec.Header().Write(&got))
			got.WriteString(rec.Body.String())
			if first == "" {
				first = got.String()
			}
			require.Equal(t, first, got.String(), "%s %s", method, name)
		}
	}
	require.Contains(t, first, "-40007")
}

func TestCapturedMessageCannotBeDecryptedByGuessing(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	raw, err := base64.StdEncoding.DecodeString(w.encrypt(w.frame(hello)))
	require.NoError(t, err)
	answers := make(map[string]int)
	for guess := range 256 { // the last byte of a block of the text, which is put to the end, as the attack begins
		forged := bytes.Clone(raw)
		copy(forged[len(raw)-16:], raw[48:64])
		forged[len(raw)-17] = byte(guess)
		sealed := base64.StdEncoding.EncodeToString(forged)
		rec := serve(in, "POST", w.sealed(sealed), "<xml><Encrypt>"+sealed+"</Encrypt></xml>")
		answers[rec.Result().Status+rec.Body.String()]++
	}
	require.Len(t, answers, 1, "%v", answers)
}

func TestLikelyCauseIsLoggedOncePerMinute(t *testing.T) {
	w := official()
	other, damaged := w, w
	other.id, damaged.key = "wx0", strings.Repeat("C", 43)
	sealed := w.encrypt(w.frame(hello))
	secret := w
	secret.id = "a text that must not be logged"
	for _, c := range []struct {
		w      wechat
		query  func() url.Values
		cause  string
		detail string
	}{
		{w, func() url.Values {
			q := w.sealed(sealed)
			q.Set("msg_signature", "x")
			return q
		}, "Token", ""},
		{damaged, nil, "EncodingAESKey", "padding or length"},
		{other, nil, "receive id", `\"wx0\"`},
		{secret, nil, "receive id", "30 bytes that are not an appid"},
		{w, func() url.Values {
			q := w.sealed(sealed)
			q.Set("timestamp", "946684800")
			q.Set("signature", sign(w.token, "946684800", w.nonce))
			q.Set("msg_signature", sign(w.token, "946684800", w.nonce, sealed))
			return q
		}, "clock", "3h0m0s behind"},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := new(logBuffer)
			config := w.config()
			config.Log = slog.New(slog.NewTextHandler(log, nil)) // at the default level
			in, err := message.New(config)
			require.NoError(t, err)
			if c.cause == "clock" {
				<-time.After(3 * time.Hour) // since a bubble's beginning
			}
			sealed := c.w.encrypt(c.w.frame(hello))
			send := func() {
				query := c.w.sealed(sealed)
				if c.query != nil {
					query = c.query()
				}
				require.NotEqual(t, 200, serve(in, "POST", query, "<xml><Encrypt>"+sealed+"</Encrypt></xml>").Code)
			}
			for range 1000 {
				send()
			}
			require.Equal(t, 1, strings.Count(log.String(), "callback refused"))
			require.Contains(t, log.String(), "cause=\""+c.cause)
			require.Contains(t, log.String(), c.detail)
			require.NotContains(t, log.String(), "must not be logged")
			serve(in, "POST", url.Values{"signature": {"x"}}, "")
			serve(in, "POST", nil, "")
			want := 2
			if c.cause == "Token" {
				want = 1
			}
			require.Equal(t, want, strings.Count(log.String(), "callback refused"), "another cause has its own line, and an empty request none")
			<-time.After(time.Minute)
			send()
			require.Equal(t, want+1, strings.Count(log.String(), "callback refused"))
			require.Regexp(t, "repeats=(999|1000)\n", log.String())
		})
	}
}

func TestRefusalIsSentBeforeItIsLogged(t *testing.T) {
	w := official()
	config := w.config()
	var answer *recorder
	config.Log = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		require.True(t, answer.flushed, "the response does not wait for the log")
		return len(p), nil
	}), nil))
	in, err := message.New(config)
	require.NoError(t, err)
	answer = &recorder{header: make(http.Header)}
	r, err := http.NewRequest("POST", "/message?signature=x", strings.NewReader(hello))
	require.NoError(t, err)
	in.ServeHTTP(answer, r)
	require.True(t, answer.flushed)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

type recorder struct {
	header  http.Header
	flushed bool
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Flush()                      { r.flushed = true }

func TestCapturedMessageCannotBeDecryptedWithAnyReceiveID(t *testing.T) {
	w := official()
	in, _ := receiver(t, func(c *message.Config) { c.AnyReceiveID = true })
	raw, err := base64.StdEncoding.DecodeString(w.encrypt(w.frame(hello)))
	require.NoError(t, err)
	for guess := range 256 { // behind the whole message, where all that follows the text is the id
		forged := append(bytes.Clone(raw), make([]byte, 32)...)
		copy(forged[len(raw)+16:], raw[48:64])
		forged[len(raw)+15] = byte(guess)
		sealed := base64.StdEncoding.EncodeToString(forged)
		require.Equal(t, 400, serve(in, "POST", w.sealed(sealed), "<xml><Encrypt>"+sealed+"</Encrypt></xml>").Code, guess)
	}
}

func TestURLCheckDecryptsNoMessage(t *testing.T) {
	for _, mode := range []message.Mode{message.Plain, message.Compatible, message.Secure} {
		in, _ := receiver(t, func(c *message.Config) { c.Mode = mode })
		for _, text := range []string{hello, `{"MsgType":"text","Content":"secret"}`, "secret text", strings.Repeat("1", 65), "\xff\xfe"} {
			w := official()
			sealed := w.encrypt(w.frame(text))
			query := w.sealed(sealed)
			query.Set("echostr", sealed)
			rec := serve(in, "GET", query, "")
			require.Equal(t, 400, rec.Code)
			require.Equal(t, `{"errcode":-40007,"errmsg":"message: cannot be decrypted"}`, rec.Body.String())
			echo, err := in.VerifyURL(query)
			require.ErrorIs(t, err, message.ErrSeal)
			require.Empty(t, echo)
		}
	}
}
