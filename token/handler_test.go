package token_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const key = "a-caller-key-of-this-test"

// guardByKey admits callers that have the key.
func guardByKey(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			http.Error(w, `{"errcode":401,"errmsg":"no key"}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serve mounts a world's manager on a real socket, and returns the URL of its token.
func (w *world) serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", &token.Handler{Source: w.manager(), Guard: guardByKey})
	return newServer(t, mux) + "/wx/token"
}

func send(t *testing.T, method, url, body string, out any) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, out), "%s", b)
	return resp
}

type served struct {
	Token     string    `json:"access_token"`
	ExpiresIn int       `json:"expires_in"`
	ExpiresAt time.Time `json:"expires_at"`
	Code      int       `json:"errcode"`
	Msg       string    `json:"errmsg"`
}

func TestHandlerServesAndRenews(t *testing.T) {
	w := newWorld(stable)
	url := w.serve(t)
	var first, again, renewed served
	resp := send(t, "GET", url, "", &first)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	require.InDelta(t, 7200, first.ExpiresIn, 5)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), first.ExpiresAt, 5*time.Second)
	send(t, "GET", url, "", &again)
	require.Equal(t, first.Token, again.Token)

	w.wx.Revoke(first.Token)
	send(t, "POST", url, `{"refused":"`+first.Token+`"}`, &renewed)
	require.NotEqual(t, first.Token, renewed.Token)
	require.Zero(t, w.wx.Check(renewed.Token))
}

func TestHandlerAnswersErrors(t *testing.T) {
	w := newWorld(stable)
	url := w.serve(t)
	for name, c := range map[string]struct {
		method, body string
		before       func()
		status, code int
		says         string
	}{
		"no refused token": {method: "POST", body: `{}`, status: 400, code: 400, says: "refused"},
		"not JSON":         {method: "POST", body: `refused`, status: 400, code: 400, says: "refused"},
		"too large":        {method: "POST", body: `{"refused":"` + strings.Repeat("x", 5000) + `"}`, status: 400, code: 400, says: "refused"},
		"WeChat refuses": {method: "GET", status: 502, code: 40164, says: "add 127.0.0.1 to the IP whitelist",
			before: func() { w.wx.Add(wechattest.App{ID: appID, Secret: secret, IPs: []string{"203.0.113.1"}}) }},
	} {
		t.Run(name, func(t *testing.T) {
			if c.before != nil {
				c.before()
			}
			var got served
			resp := send(t, c.method, url, c.body, &got)
			require.Equal(t, c.status, resp.StatusCode)
			require.Equal(t, c.code, got.Code)
			require.Contains(t, got.Msg, c.says)
			require.NotContains(t, got.Msg, secret)
		})
	}
	t.Run("WeChat is away", func(t *testing.T) {
		w := newWorld(stable)
		w.wx.AddFault(wechattest.Fault{Cut: true})
		var got served
		resp := send(t, "GET", w.serve(t), "", &got)
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.NotEmpty(t, resp.Header.Get("Retry-After"))
	})
	for code, c := range map[int]struct {
		status int
		after  string
	}{-1: {503, "2"}, 45011: {429, "60"}, 45033: {429, "2"}, 45009: {502, ""}} {
		t.Run(fmt.Sprint("WeChat answers ", code, " to a cold call"), func(t *testing.T) {
			w := newWorld(stable)
			w.wx.AddFault(wechattest.Fault{Code: code})
			var got served
			resp := send(t, "GET", w.serve(t), "", &got)
			require.Equal(t, c.status, resp.StatusCode)
			require.Equal(t, c.after, resp.Header.Get("Retry-After"))
			require.Equal(t, code, got.Code)
		})
	}
	t.Run("the ration is used up", func(t *testing.T) {
		w := newWorld(stable)
		url := w.serve(t)
		var got served
		send(t, "GET", url, "", &got)
		for range 2 {
			w.wx.Refuse(got.Token)
			send(t, "POST", url, `{"refused":"`+got.Token+`"}`, &got)
		}
		w.wx.Refuse(got.Token)
		require.Equal(t, http.StatusTooManyRequests, got.Code)
	})
}

func TestHandlerWithoutAGuardRefusesEverybody(t *testing.T) {
	h := &token.Handler{Source: newWorld(stable).manager()}
	var got served
	resp := send(t, "GET", newServer(t, wetoken.Handler(h))+"/token", "", &got)
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	require.Contains(t, got.Msg, "Guard")
}

func TestRemoteWorksLikeAManager(t *testing.T) {
	w := newWorld(stable)
	r := &token.Remote{URL: w.serve(t), Key: key, OnError: ignoreError}
	first := get(t, r)
	w.requireValid(t, first)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), first.Expires, 5*time.Second)
	for range 1000 {
		require.Equal(t, first.Value, get(t, r).Value)
	}

	w.wx.Refuse(first.Value)
	api := &wechat.Client{Tokens: r, HTTP: w.wx.Client()}
	var ips struct {
		List []string `json:"ip_list"`
	}
	require.NoError(t, api.Get(t.Context(), "/cgi-bin/getcallbackip", nil, &ips), "the refusal reached the server")
	require.NotEmpty(t, ips.List)
	require.NotEqual(t, first.Value, get(t, r).Value)
}

func TestRemoteReturnsErrorsOfTheServer(t *testing.T) {
	w := newWorld(stable)
	url := w.serve(t)
	_, err := (&token.Remote{URL: url, Key: "a-wrong-key-of-this-test", OnError: ignoreError}).Token(t.Context())
	require.ErrorContains(t, err, "HTTP status 401")
	require.NotContains(t, err.Error(), "a-wrong-key-of-this-test")

	w.wx.Add(wechattest.App{ID: appID, Secret: "changed"})
	_, err = (&token.Remote{URL: url, Key: key, OnError: ignoreError}).Token(t.Context())
	require.ErrorIs(t, err, wechat.ErrInvalidSecret, "WeChat's refusal comes through as what it is")

	_, err = (&token.Remote{URL: "http://127.0.0.1:1/?key=hidden", Key: key, OnError: ignoreError}).Token(t.Context())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hidden")
}

func TestRemoteReturnsErrRationed(t *testing.T) {
	w := newWorld(stable)
	r := &token.Remote{URL: w.serve(t), Key: key, OnError: ignoreError}
	first := get(t, r)
	w.wx.Refuse(first.Value)
	second, err := r.Renew(t.Context(), first.Value)
	require.NoError(t, err)
	w.wx.Refuse(second.Value)
	_, err = r.Renew(t.Context(), second.Value)
	require.ErrorIs(t, err, token.ErrRationed)
	require.ErrorContains(t, err, "the next may be made in")
}

func TestRemoteServesItsCopyWhileTheServerIsDown(t *testing.T) {
	w := newWorld(stable)
	away := false
	inner := wetoken.Handler(&token.Handler{Source: w.manager(), Guard: guardByKey})
	url := newServer(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if away {
			panic(http.ErrAbortHandler)
		}
		inner.ServeHTTP(rw, r)
	}))
	told := make(chan error, 1)
	r := &token.Remote{URL: url + "/token", Key: key, OnError: func(_ context.Context, err error) { told <- err }}
	first := get(t, r)
	away = true
	deadline := time.After(10 * time.Second)
	for {
		require.Equal(t, first.Value, get(t, r).Value)
		select {
		case err := <-told:
			require.Error(t, err)
			return
		case <-deadline:
			require.FailNow(t, "the server's absence was not reported")
		default:
		}
	}
}

func TestManagerNeedsItsFields(t *testing.T) {
	_, err := new(token.Manager).Token(t.Context())
	require.ErrorContains(t, err, "AppID and Secret must be set")
	require.False(t, errors.Is(err, token.ErrStillRefused))
}

func TestARemoteNeedsAURL(t *testing.T) {
	r := &token.Remote{Key: key, OnError: ignoreError}
	_, err := r.Token(t.Context())
	require.EqualError(t, err, "token: Remote.URL must be set")
	_, err = r.Renew(t.Context(), "refused")
	require.EqualError(t, err, "token: Remote.URL must be set")
}
