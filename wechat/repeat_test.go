package wechat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

func TestARefusedTokenIsRenewedWhateverTheBody(t *testing.T) {
	small, held, large := "body", strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20+1)
	for name, c := range map[string]struct {
		body    io.Reader
		sent    string
		length  int64 // Content-Length of the request
		repeats bool
	}{
		"none":                     {nil, "", 0, true},
		"GetBody":                  {strings.NewReader(small), small, 4, true},
		"large GetBody":            {strings.NewReader(large), large, 1<<20 + 1, true},
		"stream":                   {io.NopCloser(strings.NewReader(small)), small, 0, true},
		"stream of a length":       {io.NopCloser(strings.NewReader(small)), small, 4, true},
		"empty stream":             {io.NopCloser(strings.NewReader("")), "", 0, true},
		"largest held stream":      {io.NopCloser(strings.NewReader(held)), held, 0, true},
		"large stream":             {io.NopCloser(strings.NewReader(large)), large, 0, false},
		"large stream of a length": {io.NopCloser(strings.NewReader(large)), large, 1<<20 + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := startWeChat(t)
			transport := w.transport()
			hc := &http.Client{Transport: transport}
			req, err := http.NewRequest("POST", w.URL+"/x", c.body)
			require.NoError(t, err)
			req.ContentLength = c.length
			resp, err := hc.Do(req)
			body := read(t, resp, err)
			for i := range w.bodies {
				require.True(t, w.bodies[i] == c.sent, "try %d has another body", i+1)
			}
			require.Equal(t, 1, transport.Tokens.(*tokens).renewed)
			if c.repeats {
				require.JSONEq(t, `{"errcode":0,"n":1}`, body)
				require.Len(t, w.bodies, 2)
				require.EqualValues(t, len(c.sent), max(w.requests[1].ContentLength, 0))
				return
			}
			require.Equal(t, refusal40001, body)
			require.Len(t, w.bodies, 1)
			resp, err = hc.Get(w.URL + "/x")
			require.JSONEq(t, `{"errcode":0,"n":1}`, read(t, resp, err), "the next call has the renewed token")
		})
	}
}

func TestATransportTriesNoMoreThanTwice(t *testing.T) {
	w := startWeChat(t)
	w.answer = says("", refusal40001)
	transport := w.transport()
	resp, err := (&http.Client{Transport: transport}).Get(w.URL + "/x")
	require.Equal(t, refusal40001, read(t, resp, err))
	require.Len(t, w.requests, 2)
	require.Equal(t, 1, transport.Tokens.(*tokens).renewed)
}

func TestOnlyARefusalOfTheTokenRenewsIt(t *testing.T) {
	for name, c := range map[string]struct {
		answer  string
		status  int
		header  string // Content-Disposition
		renewed bool
	}{
		"40001":                   {answer: refusal40001, renewed: true},
		"40014 behind blanks":     {answer: " \r\n" + `{"errmsg":"x","errcode":40014}`, renewed: true},
		"42001 behind a mark":     {answer: "\ufeff" + `{"errcode":42001}`, renewed: true},
		"as text":                 {answer: `{"errcode":"40001","errmsg":"` + "\x01" + `"}`, renewed: true},
		"with another status":     {answer: refusal40001, status: 401, renewed: true},
		"another refusal":         {answer: `{"errcode":45009,"errmsg":"quota"}`},
		"success":                 {answer: `{"errcode":0}`},
		"a file that looks so":    {answer: refusal40001, header: `attachment; filename="a.json"`},
		"a long answer":           {answer: `{"errcode":40001,"x":"` + strings.Repeat("x", 5000) + `"}`},
		"a file":                  {answer: strings.Repeat("\xff", 5000) + refusal40001},
		"text":                    {answer: "errcode 40001"},
		"nothing":                 {},
		"JSON that is no object":  {answer: "[" + refusal40001 + "]"},
		"JSON that has no end":    {answer: `{"errcode":40001`},
		"a byte order mark alone": {answer: "\xef\xbb"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("Content-Disposition", c.header)
				}
				w.WriteHeader(max(c.status, 200))
				io.WriteString(w, c.answer)
			}))
			t.Cleanup(s.Close)
			source := new(tokens)
			hc := &http.Client{Transport: &wechat.Transport{Tokens: source, Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
			resp, err := hc.Get(s.URL)
			require.Equal(t, c.answer, read(t, resp, err))
			require.Equal(t, c.renewed, source.renewed == 1)
		})
	}
}

// failingSource is a source that fails.
type failingSource struct{ token, renew error }

func (f failingSource) Token(context.Context) (wechat.Credential, error) {
	return wechat.Credential{Value: oldToken}, f.token
}

func (f failingSource) Renew(context.Context, string) (wechat.Credential, error) {
	return wechat.Credential{}, f.renew
}

// closeRecorder is a body that records that it was closed.
type closeRecorder struct {
	io.Reader
	closed chan struct{}
}

func (c closeRecorder) Close() error {
	close(c.closed)
	return nil
}

func TestAFailureOfTheSourceIsAnErrorAndClosesTheBody(t *testing.T) {
	w := startWeChat(t)
	errSource := errors.New("source: no")
	for name, source := range map[string]wechat.TokenSource{"Token": failingSource{token: errSource}, "Renew": failingSource{renew: errSource}, "none": nil} {
		for _, size := range []int{4, 2 << 20} {
			hc := &http.Client{Transport: &wechat.Transport{Tokens: source, Hosts: []string{w.host()}}}
			body := closeRecorder{bytes.NewReader(make([]byte, size)), make(chan struct{})}
			req, err := http.NewRequest("POST", w.URL+"/cgi-bin/x?access_token=mine", body)
			require.NoError(t, err)
			_, err = hc.Do(req)
			<-body.closed
			require.ErrorContains(t, err, "wechat: POST /cgi-bin/x: ", name)
			require.NotContains(t, err.Error(), oldToken)
			switch name {
			case "none":
				require.ErrorContains(t, err, "Transport.Tokens is not set")
			case "Renew":
				require.ErrorIs(t, err, wechat.ErrInvalidCredential)
				fallthrough
			default:
				require.ErrorIs(t, err, errSource)
			}
		}
	}
}

func TestABodyThatStallsEndsWithTheContext(t *testing.T) {
	w := startWeChat(t)
	ctx, cancel := context.WithCancel(t.Context())
	body, in := io.Pipe()
	defer in.Close()
	req, err := http.NewRequestWithContext(ctx, "POST", w.URL, body)
	require.NoError(t, err)
	go func() {
		io.WriteString(in, "start")
		cancel()
	}()
	_, err = (&http.Client{Transport: w.transport()}).Do(req)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, w.requests)
}

func TestAClientRepeatsItsLargestBody(t *testing.T) {
	w := startWeChat(t)
	c := &wechat.Client{BaseURL: w.URL, Tokens: new(tokens)}
	require.NoError(t, c.Post(t.Context(), "/x", nil, io.LimitReader(endlessBody{}, 32<<20), nil))
	require.Len(t, w.bodies, 2)
	require.Len(t, w.bodies[0], 32<<20)
	require.True(t, w.bodies[0] == w.bodies[1])
}
