package oauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const (
	appID  = "wx0123456789abcdef"
	secret = "secret-of-the-app"
	corpID = "ww0123456789abcdef"
	shop   = "https://shop.example.com/"
	mount  = "https://wx.example.com/wx"
)

// stage runs WeChat and a login mounted at mount, without sockets.
type stage struct {
	wx    *wechattest.Server
	login *oauth.Login
}

// newStage returns a stage with an official account and an open platform account. Changes are made before the first
// login.
func newStage(change ...func(*stage)) *stage {
	s := &stage{wx: new(wechattest.Server)}
	s.wx.Add(wechattest.App{ID: appID, Secret: secret, RedirectDomain: "wx.example.com", Owner: "platform"})
	s.login = &oauth.Login{
		AppID: appID, Secret: secret, Store: new(store.Memory), URL: mount, Hosts: []string{"shop.example.com", "127.0.0.1:8080"},
		Client: &wechat.Client{HTTP: s.wx.Client()},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func website(s *stage) {
	s.wx.Add(wechattest.App{ID: appID, Secret: secret, Kind: wechattest.Website, RedirectDomain: "wx.example.com", Owner: "platform"})
	s.login.Kind = wechat.Website
}

func wecom(s *stage) {
	s.wx.Add(wechattest.App{ID: corpID, Secret: secret, Kind: wechattest.Work, AgentID: 1000002, RedirectDomain: "wx.example.com"})
	s.login.AppID, s.login.Secret, s.login.Kind, s.login.AgentID = corpID, "", wechat.Work, 1000002
	s.login.Tokens = workTokens{s.wx}
}

// workTokens returns a new token for each call.
type workTokens struct{ wx *wechattest.Server }

func (w workTokens) Token(ctx context.Context) (wechat.Credential, error) {
	var a struct {
		Token string `json:"access_token"`
	}
	c := &wechat.Client{BaseURL: wechat.WorkURL, HTTP: w.wx.Client()}
	err := c.Get(ctx, "/cgi-bin/gettoken", url.Values{"corpid": {corpID}, "corpsecret": {secret}}, &a)
	return wechat.Credential{Value: a.Token, Expires: time.Now().Add(time.Hour)}, err
}

func (w workTokens) Renew(ctx context.Context, _ string) (wechat.Credential, error) {
	return w.Token(ctx)
}

func (s *stage) handler() http.Handler {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", s.login)
	return mux
}

// browser keeps cookies and follows a whole login: WeChat's pages, the mount, and the shop, which shows the address it
// was called by.
type browser struct {
	t  *testing.T
	hc *http.Client
}

type transport struct {
	wx   http.RoundTripper
	door http.Handler
	as   http.Header
}

func (tr transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range tr.as {
		r.Header[name] = values
	}
	if strings.HasSuffix(r.URL.Host, ".weixin.qq.com") {
		return tr.wx.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	if r.URL.Host == "wx.example.com" {
		in := r.Clone(r.Context())
		in.Host, in.RequestURI = r.URL.Host, r.URL.RequestURI()
		in.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery} // as a server sees it
		tr.door.ServeHTTP(w, in)
	} else {
		w.Body.WriteString("shop")
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (s *stage) browser(t *testing.T, as ...string) *browser {
	return browse(t, s.wx, s.handler(), as...)
}

// browse opens a browser; as is pairs of header name and value.
func browse(t *testing.T, wx *wechattest.Server, door http.Handler, as ...string) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	h := http.Header{}
	for i := 0; i < len(as); i += 2 {
		h.Set(as[i], as[i+1])
	}
	b := &browser{t: t}
	b.hc = &http.Client{Jar: jar, Transport: transport{wx.Client().Transport, door, h}}
	return b
}

// page is the page that a browser ended at.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   string
}

func (b *browser) open(address string) page {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	require.NoError(b.t, err)
	resp, err := b.hc.Do(r)
	require.NoError(b.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, resp.Body.Close())
	return page{resp.Request.URL, resp.StatusCode, resp.Header, string(body)}
}

// stop opens an address and follows redirects until one leads to an address that begins with prefix. It returns that
// address without opening it.
func (b *browser) stop(prefix, address string) string {
	b.t.Helper()
	found := ""
	hc := *b.hc
	hc.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), prefix) {
			found = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	require.NoError(b.t, err)
	resp, err := hc.Do(r)
	require.NoError(b.t, err)
	require.NoError(b.t, resp.Body.Close())
	require.NotEmpty(b.t, found, "nothing led to %s", prefix)
	return found
}

// loginURL returns the address to which a site sends its visitor. pairs are further parameters.
func loginURL(to string, pairs ...string) string {
	q := url.Values{"to": {to}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return mount + "/login?" + q.Encode()
}

const back = mount + "/login/callback"

// failingStore is a Store whose calls fail while down is set.
type failingStore struct {
	store.Memory
	mu   sync.Mutex
	down bool
}

var errDown = errors.New("store is down")

func (b *failingStore) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *failingStore) err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return errDown
	}
	return nil
}

func (b *failingStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := b.err(); err != nil {
		return nil, false, err
	}
	return b.Memory.Get(ctx, key)
}

func (b *failingStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := b.err(); err != nil {
		return err
	}
	return b.Memory.Set(ctx, key, value, ttl)
}

func (b *failingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := b.err(); err != nil {
		return false, err
	}
	return b.Memory.Swap(ctx, key, old, new, ttl)
}

// crowdedStore is a Store in which Get returns when all callers have read.
type crowdedStore struct {
	store.Memory
	all   sync.WaitGroup
	about string
}

func (c *crowdedStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	value, ok, err := c.Memory.Get(ctx, key)
	if c.about != "" && strings.Contains(key, c.about) {
		c.all.Done()
		c.all.Wait()
	}
	return value, ok, err
}
