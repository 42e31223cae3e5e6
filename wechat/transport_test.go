package wechat_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

const refusal40001 = `{"errcode":40001,"errmsg":"invalid credential"}`

// weChat is a server that takes newToken alone, and notes what it gets.
type weChat struct {
	*httptest.Server
	requests []*http.Request
	bodies   []string
	answer   http.HandlerFunc // to a request with newToken
}

func startWeChat(t *testing.T) *weChat {
	w := &weChat{answer: says("application/json", `{"errcode":0,"n":1}`)}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.requests, w.bodies = append(w.requests, r), append(w.bodies, string(body))
		if r.URL.Query().Get("access_token") == oldToken {
			io.WriteString(rw, refusal40001)
			return
		}
		w.answer(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *weChat) host() string { return strings.TrimPrefix(w.URL, "http://") }

func (w *weChat) transport() *wechat.Transport {
	return &wechat.Transport{Tokens: new(tokens), Hosts: []string{w.host()}}
}

// foreign is a server on another host that fails the test when any token reaches it.
func foreign(t *testing.T, h http.HandlerFunc) (url string, calls *int) {
	calls = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*calls++
		dump := fmt.Sprint(r.URL, r.Header)
		for _, token := range []string{oldToken, newToken, "token-of-the-caller"} {
			if strings.Contains(dump, token) {
				t.Errorf("a token reached another host: %s", dump)
			}
		}
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func read(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func TestATransportReplacesTheTokenInTheQuery(t *testing.T) {
	w := startWeChat(t)
	hc := &http.Client{Transport: w.transport()}
	for _, query := range []string{"?type=image&access_token=placeholder&b=%2F+x", "?access%5Ftoken=a&type=image&access_token=b&access_token&b=%2F+x"} {
		w.requests = nil
		resp, err := hc.Get(w.URL + "/cgi-bin/x" + query)
		require.JSONEq(t, `{"errcode":0,"n":1}`, read(t, resp, err))
		require.Equal(t, "type=image&b=%2F+x&access_token="+newToken, w.requests[len(w.requests)-1].URL.RawQuery)
	}
	require.NotContains(t, fmt.Sprint(w.requests[0].Header), "placeholder")
}

func TestATransportDoesNotChangeTheRequestNorShowTheTokenInTheAnswer(t *testing.T) {
	w := startWeChat(t)
	req, err := http.NewRequest("POST", w.URL+"/x?access_token=mine", strings.NewReader("body"))
	require.NoError(t, err)
	req.Header.Set("Accept-Encoding", "br")
	resp, err := w.transport().RoundTrip(req)
	read(t, resp, err)
	require.Equal(t, "access_token=mine", req.URL.RawQuery)
	require.Equal(t, "br", req.Header.Get("Accept-Encoding"))
	require.EqualValues(t, 4, req.ContentLength)
	require.Same(t, req, resp.Request)
	require.Len(t, w.requests, 2)
}

func TestATransportPassesOtherRequestsUntouched(t *testing.T) {
	w := startWeChat(t)
	for name, c := range map[string]struct {
		hosts []string
		path  string
	}{
		"another host":        {nil, "/cgi-bin/x"},
		"another port":        {[]string{"127.0.0.1"}, "/cgi-bin/x"},
		"a user's token":      {[]string{w.host()}, "/sns/userinfo"},
		"a call for a token":  {[]string{w.host()}, "/cgi-bin/token"},
		"a token of WeCom":    {[]string{w.host()}, "/cgi-bin/gettoken"},
		"a host with no name": {[]string{""}, "/cgi-bin/x"},
	} {
		t.Run(name, func(t *testing.T) {
			w.requests = nil
			source := new(tokens)
			hc := &http.Client{Transport: &wechat.Transport{Tokens: source, Hosts: c.hosts}}
			req, err := http.NewRequest("POST", w.URL+c.path+"?b=1&access_token="+oldToken+"&a", io.NopCloser(strings.NewReader("body")))
			require.NoError(t, err)
			req.Header.Set("Accept-Encoding", "br")
			resp, err := hc.Do(req)
			require.Equal(t, refusal40001, read(t, resp, err))
			require.Len(t, w.requests, 1)
			require.Equal(t, "b=1&access_token="+oldToken+"&a", w.requests[0].URL.RawQuery)
			require.Equal(t, "br", w.requests[0].Header.Get("Accept-Encoding"))
			require.Equal(t, int64(-1), w.requests[0].ContentLength)
			require.Zero(t, source.renewed)
		})
	}
}

// roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestATransportServesWeChatsHostsByDefault(t *testing.T) {
	for address, attached := range map[string]bool{
		"https://api.weixin.qq.com/cgi-bin/x":      true,
		"https://API.weixin.qq.com:443/cgi-bin/x":  true,
		"https://qyapi.weixin.qq.com/cgi-bin/x":    true,
		"https://api.weixin.qq.com:8443/cgi-bin/x": false,
		"https://api.weixin.qq.com./cgi-bin/x":     false,
		"https://open.weixin.qq.com/cgi-bin/x":     false,
		"https://api.weixin.qq.com.evil.example/":  false,
		"https://api.weixin.qq.com@evil.example/":  false,
		"https://evil.example/api.weixin.qq.com":   false,
	} {
		var got string
		hc := &http.Client{Transport: &wechat.Transport{Tokens: new(tokens), Base: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.URL.Query().Get("access_token")
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})}}
		resp, err := hc.Get(address)
		read(t, resp, err)
		require.Equal(t, attached, got == oldToken, address)
		require.Equal(t, attached, got != "", address)
	}
}

func TestARedirectNeverCarriesTheTokenAway(t *testing.T) {
	for name, location := range map[string]func(to, query string) string{
		"plain":           func(to, _ string) string { return to + "/" },
		"echoed query":    func(to, query string) string { return to + "/?" + query },
		"in the path":     func(to, query string) string { return to + "/" + query },
		"as a user":       func(to, _ string) string { return strings.Replace(to, "://", "://"+newToken+"@", 1) },
		"as a fragment":   func(to, _ string) string { return to + "/#" + newToken },
		"in another name": func(to, query string) string { return to + "/?from=" + url.QueryEscape("http://x/?"+query) },
		"escaped twice": func(to, _ string) string {
			return to + "/?from=" + strings.ReplaceAll(newToken, "-", "%252d")
		},
		"no address": func(_, query string) string { return "http://%zz?" + query },
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				w := startWeChat(t)
				to, calls := foreign(t, says("", "foreign"))
				w.answer = func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Location", location(strings.Replace(to, "127.0.0.1", "localhost", 1), r.URL.RawQuery))
					rw.WriteHeader(status)
				}
				jar, err := cookiejar.New(nil)
				require.NoError(t, err)
				hc := &http.Client{Transport: w.transport(), Jar: jar}
				for _, body := range []io.Reader{strings.NewReader("again"), io.NopCloser(strings.NewReader("once"))} {
					req, err := http.NewRequest("POST", w.URL+"/x?access_token=token-of-the-caller", body)
					require.NoError(t, err)
					resp, err := hc.Do(req)
					if err == nil {
						resp.Body.Close()
						require.NotContains(t, fmt.Sprint(resp.Header, resp.Request.URL, resp.Request.Header), newToken)
					} else {
						require.NotContains(t, err.Error(), newToken)
					}
				}
				if strings.HasPrefix(name, "plain") || name == "echoed query" {
					require.NotZero(t, *calls, "the redirect was not followed")
				}
			})
		}
	}
}

func TestARedirectBackFromAnotherHostGetsNoToken(t *testing.T) {
	w := startWeChat(t)
	back := "/cgi-bin/menu/delete"
	to, calls := foreign(t, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, w.URL+back, http.StatusFound) })
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(rw, r, to, http.StatusFound)
		case "/hop":
			http.Redirect(rw, r, "/cgi-bin/menu/delete", http.StatusFound)
		default:
			io.WriteString(rw, "token "+r.URL.Query().Get("access_token"))
		}
	}
	hc := &http.Client{Transport: w.transport()}
	for _, start := range []string{w.URL + "/away", to} {
		for _, back = range []string{"/cgi-bin/menu/delete", "/hop"} {
			resp, err := hc.Get(start)
			require.Equal(t, "token ", read(t, resp, err))
		}
	}
	require.Equal(t, 4, *calls)
	resp, err := hc.Get(w.URL + "/hop") // within Hosts
	require.Equal(t, "token "+newToken, read(t, resp, err))
}

func TestARedirectToPlainHTTPGetsNoToken(t *testing.T) {
	plain := startWeChat(t)
	plain.answer = func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "token "+r.URL.Query().Get("access_token"))
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+"/?"+r.URL.RawQuery, http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	hc := secure.Client()
	hc.Transport = &wechat.Transport{
		Tokens: new(tokens), Base: hc.Transport, Hosts: []string{plain.host(), strings.TrimPrefix(secure.URL, "https://")},
	}
	resp, err := hc.Get(secure.URL)
	require.Equal(t, "token ", read(t, resp, err))
}

func TestARefusedTokenIsRenewedWhateverTheBody(t *testing.T) {
	small, held, large := "body", strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20+1)
	for name, c := range map[string]struct {
		body    io.Reader
		sent    string
		length  int64 // of the request, as its sender states it
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

func TestARefusalIsFoundInACompressedAnswer(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Accept-Encoding"))
		body := `{"errcode":0}`
		if r.URL.Query().Get("access_token") == oldToken {
			body = refusal40001
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, body)
		z.Close()
	}))
	t.Cleanup(s.Close)
	source := new(tokens)
	hc := &http.Client{Transport: &wechat.Transport{Tokens: source, Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
	req, err := http.NewRequest("GET", s.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Accept-Encoding", "gzip, br")
	resp, err := hc.Do(req)
	require.Equal(t, `{"errcode":0}`, read(t, resp, err))
	require.Equal(t, []string{"gzip", "gzip"}, asked, "net/http asks for what it can decode")
	require.Empty(t, resp.Header.Get("Content-Encoding"))
	require.Equal(t, 1, source.renewed)
}

func TestAnAnswerIsStreamed(t *testing.T) {
	for _, start := range []string{"\x00file", "text", "[1,"} {
		read := make(chan bool)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, start)
			w.(http.Flusher).Flush()
			<-read // or the test would not end
			io.WriteString(w, "rest")
		}))
		t.Cleanup(s.Close)
		hc := &http.Client{Transport: &wechat.Transport{Tokens: new(tokens), Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
		resp, err := hc.Get(s.URL)
		require.NoError(t, err)
		got := make([]byte, len(start))
		_, err = io.ReadFull(resp.Body, got)
		require.NoError(t, err)
		require.Equal(t, start, string(got))
		close(read)
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "rest", string(rest))
		require.NoError(t, resp.Body.Close())
	}
}

func TestAnAnswerThatBreaksOffDoesSoForTheCaller(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"errcode":`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	hc := &http.Client{Transport: &wechat.Transport{Tokens: new(tokens), Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
	resp, err := hc.Get(s.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.Equal(t, `{"errcode":`, string(body))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// failing is a source that fails.
type failing struct{ token, renew error }

func (f failing) Token(context.Context) (wechat.Credential, error) {
	return wechat.Credential{Value: oldToken}, f.token
}

func (f failing) Renew(context.Context, string) (wechat.Credential, error) {
	return wechat.Credential{}, f.renew
}

// closing is a body that notes that it was closed.
type closing struct {
	io.Reader
	closed chan struct{}
}

func (c closing) Close() error {
	close(c.closed)
	return nil
}

func TestAFailureOfTheSourceIsAnErrorAndClosesTheBody(t *testing.T) {
	w := startWeChat(t)
	errSource := errors.New("source: no")
	for name, source := range map[string]wechat.TokenSource{"Token": failing{token: errSource}, "Renew": failing{renew: errSource}, "none": nil} {
		for _, size := range []int{4, 2 << 20} {
			hc := &http.Client{Transport: &wechat.Transport{Tokens: source, Hosts: []string{w.host()}}}
			body := closing{bytes.NewReader(make([]byte, size)), make(chan struct{})}
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

func TestAnErrorOfTheWayHoldsNoToken(t *testing.T) {
	for _, base := range []http.RoundTripper{quoting{io.ErrUnexpectedEOF}, roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: io.ErrUnexpectedEOF}
	})} {
		hc := &http.Client{Transport: &wechat.Transport{Tokens: new(tokens), Base: base}}
		_, err := hc.Get(wechat.APIURL + "/x")
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NotContains(t, err.Error(), oldToken)
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

func TestATransportServesManyAtOnce(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"errcode":0,"got":%q}`, r.URL.Query().Get("access_token")+string(body))
	}))
	t.Cleanup(s.Close)
	hc := &http.Client{Transport: &wechat.Transport{Tokens: failing{}, Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			resp, err := hc.Post(s.URL, "", io.NopCloser(strings.NewReader(fmt.Sprint(i))))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if want := fmt.Sprintf(`{"errcode":0,"got":%q}`, oldToken+fmt.Sprint(i)); string(body) != want {
				t.Errorf("%s, want %s", body, want)
			}
		})
	}
	all.Wait()
}

func TestAClientRepeatsItsLargestBody(t *testing.T) {
	w := startWeChat(t)
	c := &wechat.Client{BaseURL: w.URL, Tokens: new(tokens)}
	require.NoError(t, c.Post(t.Context(), "/x", nil, io.LimitReader(blanks{}, 32<<20), nil))
	require.Len(t, w.bodies, 2)
	require.Len(t, w.bodies[0], 32<<20)
	require.True(t, w.bodies[0] == w.bodies[1])
}

func TestAClientsErrorsNameItsPathAndHideItsSecrets(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"errcode":40001,"errmsg":%q}`, "bad "+r.URL.RawQuery+string(body))
	}))
	t.Cleanup(s.Close)
	errSource := errors.New("source: no")
	c := &wechat.Client{BaseURL: s.URL + "/proxy", Tokens: failing{renew: errSource}}
	err := c.Post(t.Context(), "/x", url.Values{"code": {"the-code"}}, map[string]string{"secret": "the-secret"}, nil)
	require.ErrorIs(t, err, errSource)
	var refusal *wechat.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "POST /x", refusal.Op)
	for _, hidden := range []string{oldToken, "the-code", "the-secret"} {
		require.NotContains(t, err.Error(), hidden)
	}
	c.Tokens = failing{token: errSource}
	require.EqualError(t, c.Get(t.Context(), "/x", nil, nil), "wechat: GET /x: source: no")
}
