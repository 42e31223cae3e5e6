package wechat_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

const refusal40001 = `{"errcode":40001,"errmsg":"invalid credential"}`

// weChat is a server that accepts newToken only, and records its requests.
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

// newForeignServer starts a server on another host that fails the test when a token reaches it.
func newForeignServer(t *testing.T, h http.HandlerFunc) (url string, calls *int) {
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

func TestATransportKeepsTheRequestAndHidesTheTokenInTheAnswer(t *testing.T) {
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

func TestATransportDoesNotChangeOtherRequests(t *testing.T) {
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

func TestAnErrorOfBaseHasNoToken(t *testing.T) {
	for _, base := range []http.RoundTripper{quotingTransport{io.ErrUnexpectedEOF}, roundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: io.ErrUnexpectedEOF}
	})} {
		hc := &http.Client{Transport: &wechat.Transport{Tokens: new(tokens), Base: base}}
		_, err := hc.Get(wechat.APIURL + "/x")
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NotContains(t, err.Error(), oldToken)
	}
}

func TestATransportIsSafeForConcurrentUse(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"errcode":0,"got":%q}`, r.URL.Query().Get("access_token")+string(body))
	}))
	t.Cleanup(s.Close)
	hc := &http.Client{Transport: &wechat.Transport{Tokens: failingSource{}, Hosts: []string{strings.TrimPrefix(s.URL, "http://")}}}
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

func TestAClientsErrorsNameItsPathAndHideItsSecrets(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"errcode":40001,"errmsg":%q}`, "bad "+r.URL.RawQuery+string(body))
	}))
	t.Cleanup(s.Close)
	errSource := errors.New("source: no")
	c := &wechat.Client{BaseURL: s.URL + "/proxy", Tokens: failingSource{renew: errSource}}
	err := c.Post(t.Context(), "/x", url.Values{"code": {"the-code"}}, map[string]string{"secret": "the-secret"}, nil)
	require.ErrorIs(t, err, errSource)
	var refusal *wechat.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "POST /x", refusal.Op)
	for _, hidden := range []string{oldToken, "the-code", "the-secret"} {
		require.NotContains(t, err.Error(), hidden)
	}
	c.Tokens = failingSource{token: errSource}
	require.EqualError(t, c.Get(t.Context(), "/x", nil, nil), "wechat: GET /x: source: no")
}
