package wechat_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

// answerRaw answers with the bytes that answer returns for a request, valid HTTP or not.
func answerRaw(t *testing.T, answer func(r *http.Request) string) *wechat.Client {
	return newClient(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, answer(r))
	})
}

func TestErrorsQuoteTheServerWithoutSecrets(t *testing.T) {
	const secret, odd = "the-secret-of-this-test", "a code/of this=test"
	query := url.Values{"secret": {secret}, "code": {odd}, "old_token": {secret + "-and-more"}}
	for name, answer := range map[string]func(r *http.Request) string{
		"Location": func(r *http.Request) string {
			return "HTTP/1.1 302 Found\r\nLocation: http://portal/%zz?from=" + r.URL.String() + "\r\n\r\n"
		},
		"status line": func(r *http.Request) string { return "GET " + r.URL.String() + " HTTP/1.1\r\n\r\n" },
		"status code": func(r *http.Request) string { return "HTTP/1.1 " + r.URL.RawQuery + "\r\n\r\n" },
		"trailer": func(r *http.Request) string {
			return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + r.URL.String() + "\r\n\r\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := answerRaw(t, answer)
			c.Tokens = new(tokens)
			for _, out := range []any{nil, new([]byte)} {
				err := c.Get(t.Context(), "/x", query, out)
				require.ErrorContains(t, err, "***")
				for e := err; e != nil; e = unwrapped(e) {
					for _, hidden := range []string{secret, "and-more", odd, url.QueryEscape(odd), oldToken} {
						require.NotContains(t, e.Error(), hidden)
					}
				}
			}
		})
	}
}

func unwrapped(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

// quotingTransport fails each request with an error that contains its URL.
type quotingTransport struct{ kind error }

func (q quotingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("proxy: %s: %w", r.URL, q.kind)
}

func TestARedactedErrorMatchesTheSameErrors(t *testing.T) {
	for _, kind := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF} {
		c := &wechat.Client{HTTP: &http.Client{Transport: quotingTransport{kind}}}
		err := c.Get(t.Context(), "/x", url.Values{"secret": {"the-secret-of-this-test"}}, nil)
		require.ErrorIs(t, err, kind)
		require.ErrorContains(t, err, "proxy: ")
		require.NotContains(t, err.Error(), "the-secret-of-this-test")
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.Equal(t, kind == context.DeadlineExceeded, timeout.Timeout())
	}
}

func TestARefusalRepeatsNoSecretOfTheBody(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	body := map[string]any{"secret": secret, "force_refresh": true, "code": 7}
	for name, errmsg := range map[string]string{
		"whole":      "bad " + secret,
		"at the cut": strings.Repeat("x", 285) + secret,
		"as the rid": "invalid secret, rid: " + secret,
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, says("", `{"errcode":40125,"errmsg":"`+errmsg+`"}`))
			for _, body := range []any{body, strings.NewReader(`{"component_appsecret":"` + secret + `"}`)} {
				err := c.Post(t.Context(), "/x", nil, body, nil)
				require.ErrorIs(t, err, wechat.ErrInvalidSecret)
				require.NotContains(t, err.Error(), secret[:8])
			}
		})
	}
}
