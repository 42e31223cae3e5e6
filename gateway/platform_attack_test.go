package gateway_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

const aliceName = "app-alice00000000001"

// capture is a transport's requests of notices, as somebody on the way has seen them.
type capture struct {
	http.Handler
	mu   sync.Mutex
	seen []*http.Request
	body [][]byte
}

func (c *capture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := new(bytes.Buffer)
	_, _ = body.ReadFrom(r.Body)
	c.mu.Lock()
	c.seen, c.body = append(c.seen, r.Clone(context.Background())), append(c.body, body.Bytes())
	c.mu.Unlock()
	r.Body = http.NoBody
	again := r.Clone(r.Context())
	again.Body = readCloser{bytes.NewReader(body.Bytes())}
	c.Handler.ServeHTTP(w, again)
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// replay sends a notice again.
func (c *capture) replay(n int) int {
	r := c.seen[n].Clone(context.Background())
	r.Body = readCloser{bytes.NewReader(c.body[n])}
	rec := httptest.NewRecorder()
	c.Handler.ServeHTTP(rec, r)
	return rec.Code
}

func TestForgedAndRepeatedNoticesChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		seen := &capture{Handler: w.gateways[0].Public()}
		w.setPlatform(func(p *wechattest.Platform) { p.Handler = seen })
		w.pushTicket(t)
		w.authorize(t, aliceID)
		time.Sleep(time.Minute)
		result, err := w.wx.Unauthorize(t.Context(), platformID, aliceID)
		require.NoError(t, err)
		require.Empty(t, result.Fault)
		time.Sleep(time.Minute)
		w.authorize(t, aliceID)
		status, a := w.token(t, w.gateways[0], aliceName, platformKey)
		require.Equal(t, http.StatusOK, status, a.Msg)
		require.Len(t, seen.seen, 4)

		// What was seen on the way, at once and later; another process knows nothing of it.
		w.start(t)
		for _, wait := range []time.Duration{0, 5 * time.Minute, 15 * time.Minute, 24 * time.Hour} {
			time.Sleep(wait)
			w.pushTicket(t)
			for n := range 4 {
				seen.Handler = w.gateways[n%2].Public()
				seen.replay(n)
			}
			status, a = w.token(t, w.gateways[0], aliceName, platformKey)
			require.Equal(t, http.StatusOK, status, a.Msg)
		}

		// Notices that are sealed for another platform, or with another token or key.
		for what, to := range map[string]push.Callback{
			"another platform": {AppID: "wxplatform0000002", Token: "token", EncodingAESKey: pushKey},
			"another token":    {AppID: platformID, Token: "tokem", EncodingAESKey: pushKey},
			"another key":      {AppID: platformID, Token: "token", EncodingAESKey: strings.Replace(pushKey, "j", "k", 1)},
		} {
			to.URL, to.Handler, to.Tries = "https://wx.example.com/app/saas/event", w.gateways[0].Public(), 1
			for info, fields := range map[string]map[string]any{
				"unauthorized":            {"AuthorizerAppid": aliceID},
				"component_verify_ticket": {"ComponentVerifyTicket": "forged"},
				"authorized":              {"AuthorizerAppid": bobID, "AuthorizationCode": "x"},
			} {
				result, err := to.Push(t.Context(), push.Message{InfoType: info, Fields: fields})
				require.NoError(t, err)
				require.NotEmpty(t, result.Fault, "%s: %s", what, info)
				require.GreaterOrEqual(t, result.Tries[0].Status, 400, "%s: %s", what, info)
			}
		}
		status, a = w.token(t, w.gateways[0], aliceName, platformKey)
		require.Equal(t, http.StatusOK, status, a.Msg)
	})
}

func TestAStrangersCodeAtTheCallbackTakesOverNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, aliceID)
		begin := func(query string) (*browser, string) {
			b := w.browser(t)
			page, _ := b.open(t, "https://wx.example.com/app/saas/authorize?to="+url.QueryEscape(toSite)+query)
			link := nextLink.FindStringSubmatch(page)
			require.NotNil(t, link, page)
			u, err := url.Parse(strings.ReplaceAll(link[1], "&amp;", "&"))
			require.NoError(t, err)
			return b, u.Query().Get("redirect_uri")
		}
		w.setPlatform(func(p *wechattest.Platform) { p.Handler, p.EventURL = nil, "" })
		code := func() string {
			code, err := w.wx.Authorize(t.Context(), platformID, bobID)
			require.NoError(t, err)
			return code
		}

		// A name that the visitor did not have signed must not pass to his account, even when it becomes free.
		b, back := begin("&app=" + aliceName)
		require.NoError(t, w.gateways[0].Apps().Delete(t.Context(), aliceName, ""))
		_, res := b.open(t, back+"&auth_code="+code())
		require.Equal(t, "app-bob0000000000001", mustParse(t, res.Header.Get("Location")).Query().Get("app"))

		// No state, invalid ones, and a changed one.
		for _, state := range []string{"?x=1", "?state=", "?state=x.y", strings.Replace(strings.TrimPrefix(back, "https://wx.example.com/app/saas/authorize/callback"), ".", "x.", 1)} {
			_, res := b.open(t, "https://wx.example.com/app/saas/authorize/callback"+state+"&auth_code="+code())
			require.Equal(t, http.StatusGone, res.StatusCode, state)
		}
		// A code of nobody's, of another platform, and no code.
		w.wx.AddPlatform(wechattest.Platform{ID: "wxplatform0000002", Secret: secret})
		foreign, err := w.wx.Authorize(t.Context(), "wxplatform0000002", aliceID)
		require.NoError(t, err)
		for _, code := range []string{"", "x", strings.Repeat("x", 2000), foreign} {
			b, back := begin("")
			page, res := b.open(t, back+"&auth_code="+url.QueryEscape(code))
			require.NotEqual(t, http.StatusFound, res.StatusCode)
			require.Contains(t, page, "Not finished")
			require.NotContains(t, page, platformID)
		}
		status, _ := w.token(t, w.gateways[0], aliceID, platformKey)
		require.Equal(t, http.StatusNotFound, status, "alice was deleted, and has not authorized this platform again")
	})
}

func TestSyncClosesNoAccountThatAPageOfTheListLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, aliceID)
		w.authorize(t, bobID)
		time.Sleep(time.Hour)
		// While the pages are read an account of an earlier page revokes, so that the next page begins one account later.
		w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_get_authorizer_list", Status: 200, Body: `{"total_count":1,"list":[{"authorizer_appid":"` + aliceID + `"}]}`})
		for c, err := range w.gateways[0].SyncPlatform(t.Context(), "saas", true) {
			require.NoError(t, err)
			require.Equal(t, "none", c.Action, "%s %s", c.Action, c.App)
		}
		status, a := w.token(t, w.gateways[0], bobID, platformKey)
		require.Equal(t, http.StatusOK, status, a.Msg)
	})
}

func TestALostRevocationLeavesNoTokenOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.start(t)
		w.run(t)
		w.pushTicket(t)
		w.authorize(t, aliceID)
		for _, g := range w.gateways {
			status, a := w.token(t, g, aliceName, platformKey)
			require.Equal(t, http.StatusOK, status, a.Msg)
		}
		time.Sleep(20 * time.Minute)
		w.setPlatform(func(p *wechattest.Platform) {
			p.Handler, p.EventURL = http.NotFoundHandler(), "https://wx.example.com/none"
		})
		_, err := w.wx.Unauthorize(t.Context(), platformID, aliceID)
		require.NoError(t, err)
		w.setPlatform(nil)
		time.Sleep(time.Minute)
		w.authorize(t, aliceID)
		time.Sleep(2 * time.Second)
		for _, g := range w.gateways {
			status, a := w.token(t, g, aliceName, platformKey) // which it checks with WeChat
			require.Equal(t, http.StatusOK, status, a.Msg)
		}
	})
}

func TestARevocationAfterTheExchangeIsNotUndoneByTheAuthorization(t *testing.T) {
	for _, registered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newPlatformWorld(t, nil)
			w.pushTicket(t)
			if registered {
				w.authorize(t, aliceID)
				_, err := w.wx.Unauthorize(t.Context(), platformID, aliceID)
				require.NoError(t, err)
				time.Sleep(time.Minute)
			}
			// The revocation comes before the refresh token of the authorization is written.
			w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_query_auth", AfterWork: true, Delay: 2 * time.Second, Times: 1})
			done := make(chan error)
			go func() { _, err := w.wx.Authorize(t.Context(), platformID, aliceID); done <- err }()
			time.Sleep(time.Second)
			_, err := w.wx.Unauthorize(t.Context(), platformID, aliceID)
			require.NoError(t, err)
			require.NoError(t, <-done)
			time.Sleep(time.Minute)
			list, err := w.gateways[0].Apps().WithAppID(t.Context(), aliceID)
			require.NoError(t, err)
			for _, r := range list {
				require.False(t, r.App.RevokedAt.IsZero(), "it is open")
			}
			for key, err := range w.records.Keys(t.Context(), "platform/") {
				require.NoError(t, err)
				require.NotContains(t, key, aliceID)
			}
		})
	}
}

func TestNoSecretOfAnAccountReachesALogAPageOrTheAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(bytes.Buffer)
		w := newPlatformWorld(t, func(o *gateway.Options) {
			o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		secrets := &secretsSeen{RoundTripper: w.wx.Client().Transport}
		w.change = func(o *gateway.Options) {
			o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			o.HTTP = &http.Client{Transport: secrets}
		}
		w.gateways = nil
		w.start(t)
		w.setPlatform(func(p *wechattest.Platform) { p.Rotate = true })
		w.pushTicket(t)
		w.authorize(t, aliceID)
		var pages strings.Builder
		for _, fault := range []wechattest.Fault{
			{AfterWork: true, Cut: true}, {Code: 61023}, {Code: -1}, {Status: 502, Body: "<html>"}, {AfterWork: true, Delay: time.Hour}, {Body: `{"authorizer_refresh_token":"refresh-token-of-garbage"`},
		} {
			for _, path := range []string{"api_authorizer_token", "api_query_auth", "api_get_authorizer_info", "api_component_token", "api_create_preauthcode"} {
				fault.Path = "/cgi-bin/component/" + path
				w.wx.AddFault(fault)
			}
			time.Sleep(3 * time.Hour)
			w.pushTicket(t)
			for _, name := range []string{aliceName, "saas"} {
				rec := askAdmin(t, w.gateways[0], bossKey, "GET", "/app/"+name+"/token", "", nil)
				require.GreaterOrEqual(t, rec.Code, 500)
				pages.WriteString(rec.Body.String())
			}
			_, page := w.browser(t).bind(t, "https://wx.example.com/app/saas/authorize?to="+url.QueryEscape(toSite), bobID)
			pages.WriteString(page)
			code, err := w.wx.Authorize(t.Context(), platformID, bobID) // whose notice fails
			require.NoError(t, err)
			secrets.values[code] = true
			w.wx.ClearFaults()
			time.Sleep(20 * time.Minute)
			_, _ = w.token(t, w.gateways[0], aliceName, platformKey)
		}
		for e, err := range w.gateways[0].Audits().All(t.Context(), gateway.AuditFilter{}) {
			require.NoError(t, err)
			pages.WriteString(strings.Join([]string{e.Event, e.Action, e.App}, " "))
		}
		require.NotEmpty(t, log.String())
		require.Greater(t, len(secrets.values), 10)
		for value := range secrets.values {
			require.NotContains(t, log.String(), value)
			require.NotContains(t, pages.String(), value)
		}
	})
}

// secretsSeen collects the secrets in the requests and replies of WeChat's component calls.
type secretsSeen struct {
	http.RoundTripper
	mu     sync.Mutex
	values map[string]bool
}

var secretFields = regexp.MustCompile(`"(?:authorizer_refresh_token|authorizer_access_token|component_access_token|component_verify_ticket|component_appsecret|authorization_code|refresh_token)":"([^"]{12,})"`)

func (s *secretsSeen) RoundTrip(r *http.Request) (*http.Response, error) {
	text := ""
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		b, _ := io.ReadAll(body)
		text = string(b)
	}
	res, err := s.RoundTripper.RoundTrip(r)
	if err == nil {
		b, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(bytes.NewReader(b))
		text += string(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = make(map[string]bool)
	}
	for _, found := range secretFields.FindAllStringSubmatch(text, -1) {
		s.values[found[1]] = true
	}
	return res, err
}
