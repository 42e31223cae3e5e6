package wechat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

const (
	oldToken = "old-token-of-this-test"
	newToken = "new-token-of-this-test"
)

// tokens is a source with one token, which it renews to another.
type tokens struct{ renewed int }

func (s *tokens) Token(context.Context) (wechat.Credential, error) {
	if s.renewed > 0 {
		return wechat.Credential{Value: newToken, Expires: time.Now().Add(time.Hour)}, nil
	}
	return wechat.Credential{Value: oldToken, Expires: time.Now().Add(time.Hour)}, nil
}

func (s *tokens) Renew(ctx context.Context, refused string) (wechat.Credential, error) {
	s.renewed++
	return s.Token(ctx)
}

// newClient returns a client of a server that answers each request with h.
func newClient(t *testing.T, h http.HandlerFunc) *wechat.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &wechat.Client{BaseURL: srv.URL}
}

func says(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	}
}

func TestAnswersAreDecodedForAnyContentType(t *testing.T) {
	for _, ct := range []string{"application/json", "text/plain", "application/json; encoding=utf-8", "text/html", ""} {
		var out struct{ Ticket string }
		require.NoError(t, newClient(t, says(ct, `{"ticket":"t"}`)).Get(t.Context(), "/x", nil, &out), ct)
		require.Equal(t, "t", out.Ticket)
	}
}

func TestAMissingErrcodeIsSuccessAndAnotherIsARefusal(t *testing.T) {
	require.NoError(t, newClient(t, says("", `{}`)).Get(t.Context(), "/x", nil, nil))
	require.NoError(t, newClient(t, says("", `{"errcode":0,"errmsg":"ok"}`)).Get(t.Context(), "/x", nil, nil))
	err := newClient(t, says("", `{"errcode":45009,"errmsg":"reach max api daily quota limit rid: 68aeab12-21ea79ab-3a4424cd"}`)).
		Get(t.Context(), "/cgi-bin/x", nil, nil)
	require.ErrorIs(t, err, wechat.ErrQuota)
	var refusal *wechat.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "68aeab12-21ea79ab-3a4424cd", refusal.RID)
	require.Equal(t, "reach max api daily quota limit", refusal.Msg)
	require.Equal(t, "GET /cgi-bin/x", refusal.Op)
}

func TestAQuotaOfWeComHasItsOwnAdvice(t *testing.T) {
	const msg = "reach max api daily quota limit, hint: [1795747414616314], from ip: 203.0.113.5, more info at https://open.work.weixin.qq.com/devtool/query?e=45009"
	err := newClient(t, says("", `{"errcode":45009,"errmsg":"`+msg+`"}`)).Get(t.Context(), "/cgi-bin/gettoken", nil, nil)
	require.ErrorIs(t, err, wechat.ErrQuota)
	require.ErrorContains(t, err, "WeCom takes no more of these calls for a while")
	require.NotContains(t, err.Error(), "clear_quota")
}

func TestARefusedTokenIsRenewedAndTheCallRepeated(t *testing.T) {
	for _, code := range []int{40001, 40014, 42001} {
		var got []string
		source := new(tokens)
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = append(got, r.URL.Query().Get("access_token")+" "+string(body))
			if len(got) == 1 {
				fmt.Fprintf(w, `{"errcode":%d,"errmsg":"invalid credential"}`, code)
				return
			}
			io.WriteString(w, `{"errcode":0}`)
		})
		c.Tokens = source
		require.NoError(t, c.Post(t.Context(), "/x", nil, strings.NewReader("a stream"), nil))
		require.Equal(t, []string{oldToken + " a stream", newToken + " a stream"}, got)
		require.Equal(t, 1, source.renewed)
	}
}

func TestACallIsTriedNoMoreThanTwice(t *testing.T) {
	calls, source := 0, new(tokens)
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		io.WriteString(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
	})
	c.Tokens = source
	require.ErrorIs(t, c.Get(t.Context(), "/x", nil, nil), wechat.ErrInvalidCredential)
	require.Equal(t, 2, calls)
	require.Equal(t, 1, source.renewed)
}

func TestJSONIsSentWithoutEscapes(t *testing.T) {
	var got string
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = string(body)
		io.WriteString(w, `{}`)
	})
	require.NoError(t, c.Post(t.Context(), "/x", nil, map[string]string{"text": `<a href="x">你好 & 再见</a>`}, nil))
	require.Equal(t, `{"text":"<a href=\"x\">你好 & 再见</a>"}`, got)
}

func TestAFileIsSentAsMultipart(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		f, h, err := r.FormFile("media")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		content, _ := io.ReadAll(f)
		fmt.Fprintf(w, `{"name":%q,"size":%d,"description":%q}`, h.Filename, len(content), r.FormValue("description"))
	})
	var out struct {
		Name, Description string
		Size              int
	}
	file := wechat.File{Name: "cat.jpg", Content: bytes.NewReader(make([]byte, 300_000)), Fields: map[string]string{"description": "d"}}
	require.NoError(t, c.Post(t.Context(), "/upload", url.Values{"type": {"image"}}, file, &out))
	require.Equal(t, "cat.jpg", out.Name)
	require.Equal(t, 300_000, out.Size)
	require.Equal(t, "d", out.Description)
}

func TestAFileIsReadAndARefusalInsteadIsAnError(t *testing.T) {
	image := bytes.Repeat([]byte{0xff, '{', 0}, 100_000)
	var asBytes []byte
	require.NoError(t, newClient(t, says("image/png", string(image))).Get(t.Context(), "/x", nil, &asBytes))
	require.Equal(t, image, asBytes)

	var w bytes.Buffer
	require.NoError(t, newClient(t, says("image/png", string(image))).Get(t.Context(), "/x", nil, &w))
	require.Equal(t, image, w.Bytes())

	w.Reset()
	err := newClient(t, says("image/jpeg", `{"errcode":40007,"errmsg":"invalid media_id"}`)).Get(t.Context(), "/x", nil, &w)
	require.ErrorIs(t, err, wechat.Code(40007))
	require.Zero(t, w.Len(), "a refusal is no part of the file")
}

func TestAnInvalidAnswerIsAnError(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"empty":     says("", ""),
		"HTML":      says("text/html", "<html>"),
		"truncated": says("", `{"access_token":"t`),
		"502":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		},
		"cut":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"too large": func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, io.LimitReader(endlessBody{}, 9<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, newClient(t, h).Get(t.Context(), "/x", nil, new(struct{})))
		})
	}
}

// endlessBody is a body without end.
type endlessBody struct{}

func (endlessBody) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte(" "), len(p))), nil
}

func TestErrorsHaveNoSecretAndNoToken(t *testing.T) {
	const secret = "the-secret-of-this-test"
	query := url.Values{"secret": {secret}, "js_code": {"the-code"}}
	echo := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"errcode":40125,"errmsg":"bad %s"}`, strings.ReplaceAll(r.URL.RawQuery, "&", " "))
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for name, c := range map[string]*wechat.Client{
		"echoed":      newClient(t, echo),
		"unreachable": {BaseURL: closed.URL},
		"no host":     {BaseURL: "http://no such host"},
		"no scheme":   {BaseURL: "api.weixin.qq.com"},
		"cut":         newClient(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"redirected": newClient(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/?"+r.URL.RawQuery, http.StatusFound)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			c.Tokens = new(tokens)
			err := c.Get(t.Context(), "/x", query, nil)
			require.Error(t, err)
			t.Log(err)
			for _, hidden := range []string{secret, oldToken, newToken, "the-code"} {
				require.NotContains(t, err.Error(), hidden)
			}
		})
	}
}

func TestA40164NamesTheAddressToAdd(t *testing.T) {
	err := newClient(t, says("", `{"errcode":40164,"errmsg":"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 1-2-3"}`)).
		Get(t.Context(), "/cgi-bin/token", nil, nil)
	require.ErrorIs(t, err, wechat.ErrInvalidIP)
	require.ErrorContains(t, err, "add 203.0.113.7 to the IP whitelist")
}

func TestAPathWithHostOrQueryIsRefused(t *testing.T) {
	for _, path := range []string{"", "x", "@evil.example/", "/x?y=1", "/x#y"} {
		require.Error(t, new(wechat.Client).Get(t.Context(), path, nil, nil), path)
	}
}

func TestAContextEndsACall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newClient(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	require.ErrorIs(t, c.Get(ctx, "/x", nil, nil), context.Canceled)
}

func TestABodyTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	big := make([]byte, 32<<20+1)
	for name, body := range map[string]any{
		"stream": io.LimitReader(endlessBody{}, 32<<20+1), "bytes": big, "JSON": string(big[:32<<20-1]),
		"file": wechat.File{Name: "big.jpg", Content: bytes.NewReader(big)},
	} {
		require.ErrorContains(t, (&wechat.Client{BaseURL: "http://127.0.0.1:1"}).Post(t.Context(), "/x", nil, body, nil), "more than", name)
	}
}

func TestACredentialPrintsWithoutItsValue(t *testing.T) {
	c := wechat.Credential{Value: oldToken, Expires: time.Now()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.NotContains(t, fmt.Sprintf(verb, c), oldToken)
		require.NotContains(t, fmt.Sprintf(verb, &c), oldToken)
		require.NotContains(t, fmt.Sprintf(verb, struct{ C wechat.Credential }{c}), oldToken)
	}
	require.NotContains(t, fmt.Errorf("%w: %v", errors.New("x"), c).Error(), oldToken)
}
