package message_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/message"
)

// logged returns a Receiver and its log, with debug lines.
func logged(t testing.TB, w wechat) (*message.Receiver, *bytes.Buffer) {
	var log bytes.Buffer
	config := w.config()
	config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	in, err := message.New(config)
	require.NoError(t, err)
	return in, &log
}

func serve(h http.Handler, method string, query url.Values, body string, with ...func(context.Context) context.Context) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/message?"+query.Encode(), strings.NewReader(body))
	for _, f := range with {
		r = r.WithContext(f(r.Context()))
	}
	h.ServeHTTP(w, r)
	return w
}

func TestRoutesAreAsDocumented(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	in.Handle(message.Any, say("hi"))
	mux := http.NewServeMux()
	for pattern, h := range in.Routes() {
		mux.Handle(pattern, h)
	}
	require.Len(t, in.Routes(), 4)
	query, body := w.send(hello)
	require.Equal(t, 200, serve(mux, "POST", query, string(body)).Code)
	query.Set("echostr", "42")
	query.Del("msg_signature")
	require.Equal(t, "42", serve(mux, "GET", query, "").Body.String())
	require.Equal(t, 405, serve(mux, "PUT", query, "").Code)
}

func TestURLCheckIsPlainText(t *testing.T) {
	w := official()
	query := w.plain()
	query.Set("echostr", "<script>alert(1)</script>")
	rec := serve(w.newReceiver(t), "GET", query, "")
	require.Equal(t, 200, rec.Code)
	require.Equal(t, "<script>alert(1)</script>", rec.Body.String())
	require.Equal(t, "text/plain; charset=utf-8", rec.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	query.Set("echostr", strings.Repeat("x", 5000))
	require.Equal(t, 401, serve(w.newReceiver(t), "GET", query, "").Code)
}

func TestContentTypeFollowsTheReply(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	in.Handle(message.OnText("hello"), say("hi"))
	in.Handle(message.OnType("transfer"), func(context.Context, *message.Message) (message.Reply, error) {
		return message.TransferCustomerService{}, nil
	})
	query, body := w.send(hello)
	rec := post(in, query, body)
	require.Equal(t, "text/xml; charset=utf-8", rec.Header().Get("Content-Type"))
	require.Contains(t, w.read(t, rec.Body.Bytes()), "hi")
	sealed := w.encrypt(w.frame(`{"MsgType":"transfer"}`))
	rec = post(in, w.sealed(sealed), []byte(`{"Encrypt":"`+sealed+`"}`))
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	query, body = w.send("<xml/>")
	rec = post(in, query, body)
	require.Equal(t, "text/plain; charset=utf-8", rec.Header().Get("Content-Type"))
	require.Equal(t, "success", rec.Body.String())
}

func TestEachRefusalHasItsStatus(t *testing.T) {
	w := official()
	other := official()
	other.id = "wx0"
	damaged := official()
	damaged.key = strings.Repeat("C", 43)
	old := w.plain()
	old.Set("timestamp", "1700000000")
	old.Set("signature", sign(w.token, "1700000000", w.nonce))
	send := func(w wechat) (url.Values, string) { q, b := w.send(hello); return q, string(b) }
	sealed, body := send(w)
	unsigned := url.Values{}
	wrong := url.Values{"signature": {"x"}, "msg_signature": {"x"}}
	otherQuery, otherBody := send(other)
	damagedQuery, damagedBody := send(damaged)
	for _, c := range []struct {
		name, method string
		query        url.Values
		body         string
		status, code int
		level        string
	}{
		{"unsigned GET", "GET", unsigned, "", 401, -40001, "DEBUG"},
		{"unsigned POST", "POST", unsigned, body, 401, -40001, "DEBUG"},
		{"unsigned and empty", "POST", unsigned, "", 401, -40001, "DEBUG"},
		{"wrongly signed", "POST", wrong, body, 401, -40001, "WARN"},
		{"stale GET", "GET", old, "", 401, -40101, "WARN"},
		{"stale POST", "POST", old, body[:40], 401, -40101, "WARN"},
		{"truncated", "POST", w.plain(), body[:len(body)-9], 400, -40002, "WARN"},
		{"empty", "POST", w.plain(), "", 400, -40002, "WARN"},
		{"neither XML nor JSON", "POST", w.plain(), "a=1", 415, -41501, "WARN"},
		{"plaintext", "POST", w.plain(), hello, 403, -40301, "WARN"},
		{"too large", "POST", sealed, body + strings.Repeat(" ", 1<<20), 413, -41301, ""},
		{"another app", "POST", otherQuery, otherBody, 400, -40007, "WARN"},
		{"another key", "POST", damagedQuery, damagedBody, 400, -40007, "WARN"},
		{"another method", "DELETE", sealed, "", 405, -40501, ""},
	} {
		in, log := logged(t, w)
		rec := serve(in, c.method, c.query, c.body)
		require.Equal(t, c.status, rec.Code, c.name)
		var answer struct {
			ErrCode int    `json:"errcode"`
			ErrMsg  string `json:"errmsg"`
		}
		decodeExact(t, rec.Body.Bytes(), &answer, "errcode", "errmsg")
		require.Equal(t, c.code, answer.ErrCode, c.name)
		require.NotEmpty(t, answer.ErrMsg)
		require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
		require.NotContains(t, log.String()+answer.ErrMsg, w.token)
		if c.level == "" {
			require.Empty(t, log.String(), c.name)
		} else {
			require.Contains(t, log.String(), "level="+c.level, c.name)
			require.Equal(t, c.level == "WARN", strings.Contains(log.String(), "cause="), c.name)
		}
	}
}

func TestCompressedBodyIsRefused(t *testing.T) {
	w := official()
	query, body := w.send(hello)
	r := httptest.NewRequest("POST", "/message?"+query.Encode(), bytes.NewReader(body))
	r.Header.Set("Content-Encoding", "gzip")
	rec := httptest.NewRecorder()
	w.newReceiver(t).ServeHTTP(rec, r)
	require.Equal(t, 415, rec.Code)
}

func TestIncompleteBodyIsRefused(t *testing.T) {
	w := official()
	query, body := w.send(hello)
	r := httptest.NewRequest("POST", "/message?"+query.Encode(),
		io.MultiReader(bytes.NewReader(body[:20]), iotest.ErrReader(errors.New("connection reset"))))
	rec := httptest.NewRecorder()
	w.newReceiver(t).ServeHTTP(rec, r)
	require.Equal(t, 400, rec.Code)
}

func TestWrongSignaturesGetTheSameResponse(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	w.key = ""
	plain := w.newReceiver(t)
	query, body := official().send(hello)
	var first *httptest.ResponseRecorder
	for _, change := range []func(url.Values){
		func(q url.Values) { q.Del("msg_signature"); q.Del("signature") },
		func(q url.Values) { q.Set("msg_signature", strings.Repeat("f", 40)); q.Set("signature", "") },
		func(q url.Values) { q.Set("timestamp", "1") },
		func(q url.Values) { q.Set("nonce", "1") },
		func(q url.Values) { q.Del("timestamp"); q.Del("nonce") },
	} {
		q, err := url.ParseQuery(query.Encode())
		require.NoError(t, err)
		change(q)
		for _, b := range []string{string(body), hello, "", "x", "<xml>", `{"Encrypt":"x"}`} {
			for _, inbox := range []*message.Receiver{in, plain} {
				rec := serve(inbox, "POST", q, b)
				if first == nil {
					first = rec
				}
				require.Equal(t, 401, rec.Code)
				require.Equal(t, first.Body.String(), rec.Body.String())
				require.Equal(t, first.Header(), rec.Header())
			}
		}
	}
}

func TestRefusalsAreErrorsWithAStatus(t *testing.T) {
	require.ErrorContains(t, message.ErrStale, "10 minutes")
	require.Equal(t, 401, message.ErrStale.Status())
	require.Equal(t, "message: refused", message.Refusal(1).Error())
	require.Equal(t, 400, message.Refusal(1).Status())
}

func TestTrailingSlashIsServed(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	in.Handle(message.Any, say("hi"))
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", in)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // as WeChat
	for path, status := range map[string]int{"/wx/message": 200, "/wx/message/": 200, "/wx/message/x": 404, "/wx/message/x/": 404} {
		query, body := w.send(hello)
		resp, err := client.Post(srv.URL+path+"?"+query.Encode(), "text/xml", bytes.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, status, resp.StatusCode, path)
		query = w.plain()
		query.Set("echostr", "42")
		resp, err = client.Get(srv.URL + path + "?" + query.Encode())
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, status, resp.StatusCode, path)
	}
}

func mustQuery(t testing.TB, s string) url.Values {
	q, err := url.ParseQuery(s)
	require.NoError(t, err)
	return q
}
