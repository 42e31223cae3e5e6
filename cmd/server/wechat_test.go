package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// Paths where tokens are fetched.
const (
	classicPath = "/cgi-bin/token"
	stablePath  = "/cgi-bin/stable_token"
)

// tokenPath returns the path that fetches an app's token. Apps whose names begin with classic have classic tokens.
func tokenPath(app string) string {
	if strings.HasPrefix(app, "classic") {
		return classicPath
	}
	return stablePath
}

// weChat is wechattest in a process.
type weChat struct {
	url    string
	client *http.Client
}

func startWeChat(t testing.TB) *weChat {
	t.Helper()
	cmd := exec.Command(program("wechattest"), "-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, address, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	return &weChat{url: address, client: newClient(t)}
}

// newClient returns a client that keeps many idle connections.
func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// call makes one of the control calls.
func (w *weChat) call(t testing.TB, path string, in, out any) {
	t.Helper()
	method, body := "GET", io.Reader(nil)
	if in != nil {
		data, err := json.Marshal(in)
		require.NoError(t, err)
		method, body = "POST", bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+"/_wechattest/"+path, body)
	require.NoError(t, err)
	resp, err := w.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", answer)
	if out != nil {
		require.NoError(t, json.Unmarshal(answer, out))
	}
}

func (w *weChat) add(t testing.TB, app string, life time.Duration) {
	t.Helper()
	w.call(t, "apps", map[string]any{"id": appOf(app), "secret": secretOf(app), "life": life.Seconds()}, nil)
}

// fail adds a fault to the next fetch of an app's token.
func (w *weChat) fail(t testing.TB, app string, how map[string]any) {
	t.Helper()
	fault := map[string]any{"path": tokenPath(app), "app": appOf(app), "times": 1}
	maps.Copy(fault, how)
	w.call(t, "fail", fault, nil)
}

// The next fetch hangs, without or after having made a token.
var (
	hang          = map[string]any{"hang": true}
	hangAfterWork = map[string]any{"hang": true, "after_work": true}
)

// fetches returns the number of fetches of an app's token. A classic fetch without a reply is followed by a stable one.
func (w *weChat) fetches(t testing.TB, app string) (n int) {
	t.Helper()
	for _, path := range []string{classicPath, stablePath} {
		var out struct{ Calls int }
		w.call(t, "calls?path="+path+"&app="+appOf(app), nil, &out)
		n += out.Calls
	}
	return n
}

// tokens returns the tokens of an app.
func (w *weChat) tokens(t testing.TB, app string) (list []wechattest.Token) {
	t.Helper()
	w.call(t, "tokens?app="+appOf(app), nil, &list)
	return list
}

// use makes a business call with a token, and returns the errcode.
func (w *weChat) use(token string) (code int, err error) {
	resp, err := w.client.Get(w.url + "/cgi-bin/getcallbackip?access_token=" + url.QueryEscape(token))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var out struct {
		Code int      `json:"errcode"`
		IPs  []string `json:"ip_list"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return 0, err
	}
	if out.Code == 0 && len(out.IPs) == 0 {
		return 0, fmt.Errorf("getcallbackip answered nothing")
	}
	return out.Code, nil
}

// countingProxy is a proxy between one server and WeChat that counts the calls for tokens.
type countingProxy struct {
	url string

	mu       sync.Mutex
	fetches  map[string]int // by appid
	underWay map[string]int
}

func (w *weChat) newProxy(t testing.TB) *countingProxy {
	t.Helper()
	target, err := url.Parse(w.url)
	require.NoError(t, err)
	d := &countingProxy{fetches: map[string]int{}, underWay: map[string]int{}}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.Transport = w.client.Transport
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetch := struct{ AppID string }{r.URL.Query().Get("appid")}
		if r.Method == "POST" {
			body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			json.Unmarshal(body, &fetch)
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		d.count(fetch.AppID, 1)
		defer d.count(fetch.AppID, -1)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	d.url = srv.URL
	return d
}

func (d *countingProxy) count(id string, more int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.underWay[id] += more
	if more > 0 {
		d.fetches[id]++
	}
}

func (d *countingProxy) of(id string) (fetches, underWay int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fetches[id], d.underWay[id]
}
