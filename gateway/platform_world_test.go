package gateway_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const (
	platformID  = "wxplatform0000001"
	platformKey = "a-key-of-this-test-for-the-platform"
	bossKey     = "a-key-of-this-test-for-the-boss"
	aliceID     = "wxalice00000000001"
	bobID       = "wxbob0000000000001"
	clipID      = "wxmini000000000001"
	pushKey     = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
)

// platformWorld is a simulated WeChat with a platform, and the gateways that serve the platform, which share their stores.
type platformWorld struct {
	wx       *wechattest.Server
	gateways []*gateway.Gateway
	store    store.Store
	records  store.Store
	change   func(*gateway.Options)
}

func newPlatformWorld(t *testing.T, change func(*gateway.Options)) *platformWorld {
	w := &platformWorld{wx: new(wechattest.Server), store: new(store.Memory), records: newSealed(t, new(store.Memory)), change: change}
	w.wx.AddApp(aliceID, "unknown to us")
	w.wx.AddApp(bobID, "unknown to us")
	w.wx.Add(wechattest.App{ID: clipID, Secret: "unknown to us", Kind: wechattest.Mini})
	w.setPlatform(nil)
	w.start(t)
	return w
}

// setPlatform changes the settings of the platform in WeChat's console.
func (w *platformWorld) setPlatform(change func(*wechattest.Platform)) {
	p := wechattest.Platform{
		ID: platformID, Secret: secret, Token: "token", EncodingAESKey: pushKey, Domain: "wx.example.com",
		EventURL: "https://wx.example.com/app/saas/event", MessageURL: "https://wx.example.com/app/saas/message/$APPID$",
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.gateways[0].Public().ServeHTTP(rw, r) }),
	}
	if change != nil {
		change(&p)
	}
	w.wx.AddPlatform(p)
}

// start starts another process.
func (w *platformWorld) start(t *testing.T) *gateway.Gateway {
	t.Helper()
	o := gateway.Options{Store: w.store, Records: w.records, HTTP: w.wx.Client(), Log: slog.New(slog.DiscardHandler), Config: gateway.Config{
		PublicURL: "https://wx.example.com",
		Keys: []gateway.Key{
			{Name: "saas", Key: platformKey, Apps: []string{"platform:saas"}, Scopes: []string{"*"}},
			{Name: "boss", Key: bossKey, Apps: []string{"*"}, Scopes: []string{"*", "admin"}},
		},
		Apps: map[string]gateway.App{"saas": {
			AppID: platformID, Secret: secret, Kind: wechat.Platform, Hosts: []string{"saas.example.com"}, SignKey: "a-sign-key-of-this-test",
			Message: &gateway.Message{Token: "token", AESKey: pushKey}, ReleaseCheck: true,
		}},
	}}
	if w.change != nil {
		w.change(&o)
	}
	g, err := gateway.New(o)
	require.NoError(t, err)
	w.gateways = append(w.gateways, g)
	return g
}

// run does the background work of all processes until the test ends.
func (w *platformWorld) run(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{}, len(w.gateways))
	for _, g := range w.gateways {
		go func() { _ = g.Run(ctx); done <- struct{}{} }()
	}
	n := len(w.gateways)
	t.Cleanup(func() {
		stop()
		for range n {
			<-done
		}
	})
}

func (w *platformWorld) pushTicket(t *testing.T) {
	t.Helper()
	result, err := w.wx.PushTicket(t.Context(), platformID)
	require.NoError(t, err)
	require.Empty(t, result.Fault)
}

// authorize has the administrator of an account authorize the platform without a browser of ours.
func (w *platformWorld) authorize(t *testing.T, appID string) {
	t.Helper()
	_, err := w.wx.Authorize(t.Context(), platformID, appID)
	require.NoError(t, err)
	list := w.wx.Notices(platformID)
	require.Empty(t, list[len(list)-1].Fault, "%v", list[len(list)-1])
}

// token returns the status and the answer of an app's token, which is checked with WeChat.
func (w *platformWorld) token(t *testing.T, g *gateway.Gateway, app, key string) (int, answer) {
	t.Helper()
	status, a := serveDirectly(t, g.Private(), "GET", "/app/"+app+"/token", key, "")
	if status == http.StatusOK {
		require.Zero(t, w.wx.Check(a.Token))
	}
	return status, a
}

// browser is a browser with cookies that reaches the platform and WeChat, and stops at the sites of others.
type browser struct {
	*http.Client
	world   *platformWorld
	referer string
	agent   string
}

func (w *platformWorld) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &browser{world: w}
	b.Client = &http.Client{Jar: jar, Transport: b, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "saas.example.com" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

func (b *browser) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "wx.example.com" {
		return b.world.wx.Client().Transport.RoundTrip(r)
	}
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr, in.Host = r.URL.RequestURI(), "203.0.113.7:1", r.URL.Host
	rec := httptest.NewRecorder()
	b.world.gateways[len(b.world.gateways)-1].Public().ServeHTTP(rec, in)
	res := rec.Result()
	res.Request = r
	return res, nil
}

var nextLink = regexp.MustCompile(`id="next" href="([^"]+)"`)

// open opens a page, and returns its body and the address where a redirect stopped.
func (b *browser) open(t *testing.T, address string) (body string, res *http.Response) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	require.NoError(t, err)
	r.Header.Set("Accept-Language", "en")
	r.Header.Set("User-Agent", b.agent)
	if b.referer != "" {
		r.Header.Set("Referer", b.referer)
	}
	res, err = b.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text := new(strings.Builder)
	buf := make([]byte, 64<<10)
	for {
		n, err := res.Body.Read(buf)
		text.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return text.String(), res
}

// bind walks through an authorization from a page of ours to the site, and returns the address there, or the last page.
func (b *browser) bind(t *testing.T, address, appID string) (site *url.URL, page string) {
	t.Helper()
	page, res := b.open(t, address)
	link := nextLink.FindStringSubmatch(page)
	if res.StatusCode != http.StatusOK || link == nil {
		return nil, page
	}
	b.referer = "https://wx.example.com/"
	page, _ = b.open(t, strings.ReplaceAll(strings.TrimSuffix(link[1], "#wechat_redirect"), "&amp;", "&"))
	b.referer = ""
	ticket := regexp.MustCompile(`name="ticket" value="([^"]+)"`).FindStringSubmatch(page)
	if ticket == nil || !strings.Contains(page, "<option>"+appID+"<") {
		return nil, page
	}
	page, res = b.open(t, "https://mp.weixin.qq.com/safe/bindcomponent_answer?do=allow&account="+appID+"&ticket="+ticket[1])
	b.world.wx.Wait()
	if at := res.Header.Get("Location"); at != "" {
		site, err := url.Parse(at)
		require.NoError(t, err)
		return site, ""
	}
	return nil, page
}

// serveComponentToken returns a component token of the test's own.
func serveComponentToken(t *testing.T, w *platformWorld) string {
	t.Helper()
	var a struct {
		Token string `json:"component_access_token"`
	}
	postComponent(t, w, "api_component_token", "", `{"component_appid":"`+platformID+`","component_appsecret":"`+secret+`","component_verify_ticket":"`+w.wx.Tickets(platformID)[0]+`"}`, &a)
	require.NotEmpty(t, a.Token)
	return a.Token
}

// exchangeCode exchanges an authorization code with WeChat, as another program would.
func exchangeCode(t *testing.T, w *platformWorld, token, code string) {
	t.Helper()
	var a struct {
		Info json.RawMessage `json:"authorization_info"`
	}
	postComponent(t, w, "api_query_auth", token, `{"component_appid":"`+platformID+`","authorization_code":"`+code+`"}`, &a)
	require.NotEmpty(t, a.Info)
}

func postComponent(t *testing.T, w *platformWorld, call, token, body string, out any) {
	t.Helper()
	res, err := w.wx.Client().Post("https://api.weixin.qq.com/cgi-bin/component/"+call+"?component_access_token="+token, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(out))
}
