package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

// publicConfig has the settings of the public side.
const publicConfig = `
public_url: ${PUBLIC}
endpoints: {api: "${WECHAT}", open: "${WECHAT}", login: "${WECHAT}"}
trusted_proxies: [127.0.0.0/8]
keys:
  - {name: shop-backend, key: "${SHOP_KEY}", apps: [shop], scopes: [token, login]}
apps:
  shop:
    app_id: wx0123456789abcdef
    secret: ${SHOP_SECRET}
    hosts: [shop.example.com]
    verify_files: {MP_verify_abc.txt: abc}
    sign_key: a-sign-key-of-this-test
    previous_sign_key: an-older-one
    message:
      token: tokenofthistest
      aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
      mode: secure
      forward:
        - {url: "${BACKEND}/slow", form: json, answer: true, timeout: 14s, when: {type: text, keyword: slow}}
`

// serverPair is two servers with one Redis and one address.
type serverPair struct {
	wx      *wechattest.Server
	servers []*process
	front   string                         // leads to a server
	choose  func(r *http.Request) (at int) // which one
}

func newServerPair(t *testing.T, backend http.Handler) *serverPair {
	t.Helper()
	w := &serverPair{wx: new(wechattest.Server), choose: func(*http.Request) int { return 0 }}
	wechat := httptest.NewServer(w.wx)
	t.Cleanup(wechat.Close)
	behind := httptest.NewServer(backend)
	t.Cleanup(behind.Close)
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: w.servers[w.choose(r.In)].public})
		r.SetXForwarded()
	}})
	t.Cleanup(front.Close)
	w.front = front.URL
	w.wx.Add(wechattest.App{ID: "wx0123456789abcdef", Secret: "a-secret-of-this-test", RedirectDomain: strings.TrimPrefix(w.front, "http://")})
	redis := newRedis(t)
	env := []string{"WECHAT=" + wechat.URL, "PUBLIC=" + w.front, "BACKEND=" + behind.URL, "SHOP_KEY=" + shopKey, "SHOP_SECRET=a-secret-of-this-test"}
	file := write(t, publicConfig)
	for range 2 {
		w.servers = append(w.servers, start(t, env, "-config", file, "-store", redis.url(redis.address)))
	}
	return w
}

// callback returns WeChat's side of a callback. Its tries go to the servers in turn.
func (w *serverPair) callback() *push.Callback {
	c := &push.Callback{AppID: "wx0123456789abcdef", URL: "http://wx.example.com/app/shop/message", Token: "tokenofthistest"}
	c.EncodingAESKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	for _, p := range w.servers {
		c.Addresses = append(c.Addresses, p.public)
	}
	return c
}

func TestASlowBackendAnswersTheSecondTryOnAnotherServer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	runs := 0
	w := newServerPair(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		runs++
		mu.Unlock()
		select {
		case <-time.After(8 * time.Second):
			io.WriteString(rw, `{"MsgType":"text","Content":"here at last"}`)
		case <-r.Context().Done():
		}
	}))
	pushed, err := w.callback().Push(t.Context(), push.Message{Content: "slow"})
	require.NoError(t, err)
	require.Equal(t, "here at last", pushed.Shown, pushed.Fault)
	require.Len(t, pushed.Tries, 2)
	require.Zero(t, pushed.Tries[0].Status, "the first server was still waiting when WeChat hung up")
	require.Equal(t, http.StatusOK, pushed.Tries[1].Status)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, 1, runs)
}

func TestALoginBegunOnOneServerEndsOnAnother(t *testing.T) {
	t.Parallel()
	w := newServerPair(t, http.NotFoundHandler())
	w.wx.AddPerson(wechattest.Person{Name: "ming", Nickname: `小明 <"&'> 👋`})
	w.wx.Browse("ming", wechattest.Allow)
	w.choose = func(r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/login/callback") {
			return 1
		}
		return 0
	}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "shop.example.com" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := browser.Get(w.front + "/app/shop/login?scope=snsapi_userinfo&to=" + url.QueryEscape("https://shop.example.com/in"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	back, err := resp.Location()
	require.NoError(t, err, resp.Status)

	redeem := func(p *process, code string) (status int, u struct{ OpenID, Nickname string }) {
		body := strings.NewReader(fmt.Sprintf(`{"login_code":%q}`, code))
		req, err := http.NewRequestWithContext(t.Context(), "POST", p.base+"/app/shop/login/redeem", body)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+shopKey)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&u))
		return resp.StatusCode, u
	}
	status, u := redeem(w.servers[0], back.Query().Get("login_code"))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, w.wx.OpenID("wx0123456789abcdef", "ming"), u.OpenID)
	require.Equal(t, `小明 <"&'> 👋`, u.Nickname)
	status, _ = redeem(w.servers[1], back.Query().Get("login_code"))
	require.Equal(t, http.StatusNotFound, status)

	resp, err = http.Get(w.front + "/MP_verify_abc.txt")
	require.NoError(t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "abc", string(content))
	for _, p := range w.servers {
		for _, secret := range []string{"a-secret-of-this-test", "tokenofthistest", "a-sign-key", back.Query().Get("login_code")} {
			require.NotContains(t, p.log.String(), secret)
		}
	}
}
