package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

const toSite = "https://saas.example.com/bound?user=7"

func TestAnAccountAuthorizesThePlatformInABrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		b := w.browser(t)
		site, page := b.bind(t, "https://wx.example.com/app/saas/authorize?type=1&to="+url.QueryEscape(toSite), aliceID)
		require.NotNil(t, site, page)
		require.Equal(t, "saas.example.com", site.Host)
		require.Equal(t, url.Values{"user": {"7"}, "app": {"app-alice00000000001"}}, site.Query())

		status, a := w.token(t, w.gateways[0], "app-alice00000000001", platformKey)
		require.Equal(t, http.StatusOK, status, a.Msg)
		status, _ = w.token(t, w.gateways[0], "saas", platformKey)
		require.Equal(t, http.StatusForbidden, status, "the key is for the accounts")
		status, a = serveDirectly(t, w.gateways[0].Private(), "GET", "/app/saas/token", bossKey, "")
		require.Equal(t, http.StatusOK, status, a.Msg)
		status, _ = serveDirectly(t, w.gateways[0].Private(), "GET", "/app/app-alice00000000001/ticket/jsapi", platformKey, "")
		require.Equal(t, http.StatusOK, status)

		// A phone's page, a mini program, and the account by its appid.
		b.agent = "Mozilla/5.0 (iPhone) MicroMessenger/8.0"
		site, page = b.bind(t, "https://wx.example.com/app/saas/authorize?type=2&to="+url.QueryEscape(toSite), clipID)
		require.NotNil(t, site, page)
		r, err := w.gateways[0].Apps().Get(t.Context(), "app-mini000000000001")
		require.NoError(t, err)
		require.Equal(t, wechat.Mini, r.App.Account)
		require.Equal(t, "saas", r.App.Platform)
		status, _ = w.token(t, w.gateways[0], clipID, platformKey)
		require.Equal(t, http.StatusOK, status)
	})
}

func TestALinkGivesAnAccountItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		ask := func(key, body string) (int, string) {
			r := httptest.NewRequest("POST", "/app/saas/authorizations", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+key)
			rec := httptest.NewRecorder()
			w.gateways[0].Private().ServeHTTP(rec, r)
			var out struct {
				URL string `json:"url"`
				Msg string `json:"errmsg"`
			}
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &out))
			return rec.Code, out.URL + out.Msg
		}
		status, link := ask(bossKey, `{"to":"https://saas.example.com/","app":"alice"}`)
		require.Equal(t, http.StatusOK, status, link)
		require.True(t, strings.HasPrefix(link, "https://wx.example.com/app/saas/authorize?link="))
		site, page := w.browser(t).bind(t, link, aliceID)
		require.NotNil(t, site, page)
		require.Equal(t, "alice", site.Query().Get("app"), "although the notice may have come first")
		status, _ = w.token(t, w.gateways[0], "alice", platformKey)
		require.Equal(t, http.StatusOK, status)

		// The name is taken by another account, or is not one.
		status, link = ask(bossKey, `{"to":"https://saas.example.com/","app":"bob"}`)
		require.Equal(t, http.StatusOK, status)
		_, err := w.gateways[0].Apps().Put(t.Context(), "bob", gateway.App{AppID: shopID, Secret: secret}, "")
		require.NoError(t, err)
		_, page = w.browser(t).bind(t, link, bobID)
		require.Contains(t, page, "Faulty link")
		for body, want := range map[string]string{
			`{"to":"https://evil.example.com/"}`:                                     "to: ",
			`{"to":"https://saas.example.com/","app":"a/b"}`:                         "app: ",
			`{"to":"https://saas.example.com/","app":"bob"}`:                         "app: ",
			`{"to":"https://saas.example.com/","type":4}`:                            "type: ",
			`{"to":"https://saas.example.com/","expires_at":"1999-01-01T00:00:00Z"}`: "expires_at: ",
			`{"app":"x"}`: "to: ",
			`{"too":1}`:   "unknown key",
		} {
			status, text := ask(bossKey, body)
			require.Equal(t, http.StatusBadRequest, status, body)
			require.Contains(t, text, want)
		}
		status, _ = ask(platformKey, `{"to":"https://saas.example.com/"}`)
		require.Equal(t, http.StatusForbidden, status)

		// Strangers choose no names, and change no link.
		for _, query := range []string{
			"to=" + url.QueryEscape(toSite) + "&app=carol", "to=https%3A%2F%2Fevil.example.com", "type=1", "to=" + url.QueryEscape(toSite) + "&x=1",
			"link=" + strings.Replace(link[strings.Index(link, "link=")+5:], "a", "b", 1), "link=x.y", "to=" + url.QueryEscape(toSite) + "&type=x",
		} {
			_, page := w.browser(t).bind(t, "https://wx.example.com/app/saas/authorize?"+query, aliceID)
			require.Contains(t, page, "Faulty link", query)
		}
		time.Sleep(25 * time.Hour)
		_, page = w.browser(t).bind(t, link, bobID)
		require.Contains(t, page, "Faulty link", "the link is too old")
	})
}

func TestARevokedAccountIsClosedEverywhereWithinTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		for range 2 {
			w.start(t)
		}
		w.run(t)
		w.pushTicket(t)
		w.authorize(t, aliceID)
		w.authorize(t, bobID)
		const alice, bob = "app-alice00000000001", "app-bob0000000000001"
		for _, g := range w.gateways {
			for _, name := range []string{alice, bob} {
				status, a := w.token(t, g, name, platformKey)
				require.Equal(t, http.StatusOK, status, a.Msg)
			}
		}
		time.Sleep(time.Minute)
		result, err := w.wx.Unauthorize(t.Context(), platformID, aliceID)
		require.NoError(t, err)
		require.Empty(t, result.Fault)
		time.Sleep(2 * time.Second)
		for _, g := range w.gateways {
			for _, path := range []string{"/token", "/ticket/jsapi", "/nothing"} {
				status, a := serveDirectly(t, g.Private(), "GET", "/app/"+alice+path, platformKey, "")
				require.Equal(t, http.StatusForbidden, status, path)
				require.Equal(t, 61003, a.Code)
				require.Contains(t, a.Msg, "revoked its authorization")
				require.Contains(t, a.Msg, "61003")
			}
			status, _ := serveDirectly(t, g.Private(), "GET", "/app/"+alice+"/token", "no key of anybody's", "")
			require.Equal(t, http.StatusUnauthorized, status)
			rec := httptest.NewRecorder()
			g.Public().ServeHTTP(rec, httptest.NewRequest("GET", "/app/"+alice+"/login?to=https://saas.example.com", nil))
			require.Equal(t, http.StatusForbidden, rec.Code)
			_, err := g.ServedApp(t.Context(), alice, "/token")
			require.ErrorIs(t, err, gateway.ErrNoApp)
			require.ErrorIs(t, err, wechat.ErrNotAuthorized)
			status, a := w.token(t, g, bob, platformKey)
			require.Equal(t, http.StatusOK, status, a.Msg)
		}
		r, err := w.gateways[0].Apps().Get(t.Context(), alice)
		require.NoError(t, err)
		require.False(t, r.App.RevokedAt.IsZero())
		_, err = w.gateways[0].Apps().PutJSON(t.Context(), alice, []byte(`{"kind":"authorized","platform":"saas","app_id":"`+aliceID+`","name":"x"}`), "")
		require.NoError(t, err)
		r, err = w.gateways[0].Apps().Get(t.Context(), alice)
		require.NoError(t, err)
		require.False(t, r.App.RevokedAt.IsZero(), "an administrator cannot open it")

		time.Sleep(time.Minute)
		w.authorize(t, aliceID)
		time.Sleep(2 * time.Second)
		for _, g := range w.gateways {
			status, a := w.token(t, g, alice, platformKey)
			require.Equal(t, http.StatusOK, status, a.Msg)
		}
		r, err = w.gateways[0].Apps().Get(t.Context(), alice)
		require.NoError(t, err)
		require.Equal(t, "x", r.App.Name, "its settings stay")
	})
}

func TestARestartWithAnEmptiedStoreNeedsNoNewAuthorization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.setPlatform(func(p *wechattest.Platform) { p.Rotate = true })
		w.pushTicket(t)
		w.authorize(t, aliceID)
		w.authorize(t, clipID)
		for range 3 {
			for _, appID := range []string{aliceID, clipID} {
				status, a := w.token(t, w.gateways[0], appID, platformKey)
				require.Equal(t, http.StatusOK, status, a.Msg)
			}
			w.store, w.gateways = new(store.Memory), nil
			w.start(t)
			time.Sleep(10 * time.Minute)
		}
		require.Zero(t, w.wx.Calls("/cgi-bin/component/api_get_authorizer_list"))
	})
}

func TestTheBrowserAndTheNoticeRegisterOneApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.setPlatform(func(p *wechattest.Platform) { p.CodesOnce = true })
		w.start(t) // the notices come to the first process, browsers to the last one
		w.pushTicket(t)
		for range 5 {
			site, page := w.browser(t).bind(t, "https://wx.example.com/app/saas/authorize?to="+url.QueryEscape(toSite), aliceID)
			require.NotNil(t, site, page)
			require.Equal(t, "app-alice00000000001", site.Query().Get("app"))
		}
		list, err := w.gateways[0].Apps().WithAppID(t.Context(), aliceID)
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
}

func TestAnotherBrowserDoesNotEndOnTheSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		b := w.browser(t)
		page, _ := b.open(t, "https://wx.example.com/app/saas/authorize?to="+url.QueryEscape(toSite))
		link := nextLink.FindStringSubmatch(page)
		require.NotNil(t, link)
		u, err := url.Parse(strings.ReplaceAll(link[1], "&amp;", "&"))
		require.NoError(t, err)
		w.setPlatform(func(p *wechattest.Platform) { p.Handler, p.EventURL = nil, "" }) // the notice comes later
		code, err := w.wx.Authorize(t.Context(), platformID, aliceID)
		require.NoError(t, err)
		back := u.Query().Get("redirect_uri") + "&auth_code=" + code
		page, res := w.browser(t).open(t, back)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Contains(t, page, "go back to the page where you began")
		status, _ := w.token(t, w.gateways[0], aliceID, platformKey)
		require.Equal(t, http.StatusOK, status, "but nothing of it is lost")
		_, res = b.open(t, back)
		require.Equal(t, "saas.example.com", mustParse(t, res.Header.Get("Location")).Host)
		_, res = b.open(t, "https://wx.example.com/app/saas/authorize/callback?state=x&auth_code="+code)
		require.Equal(t, http.StatusGone, res.StatusCode)
	})
}

func mustParse(t *testing.T, s string) *url.URL {
	u, err := url.Parse(s)
	require.NoError(t, err)
	return u
}

func TestMessagesOfAccountsReachTheirApps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, aliceID)
		for appID, want := range map[string]bool{aliceID: true, bobID: true, "wxunknown": true} {
			to, err := w.wx.PlatformMessages(platformID, appID)
			require.NoError(t, err)
			result, err := to.Push(t.Context(), push.Message{Content: "hello"})
			require.NoError(t, err)
			require.Equal(t, want, result.Fault == "", "%s: %s", appID, result.Fault)
			require.Empty(t, result.Reply)
		}
		to, err := w.wx.PlatformMessages(platformID, aliceID)
		require.NoError(t, err)
		to.Token, to.Tries = "another", 1
		result, err := to.Push(t.Context(), push.Message{Content: "hello"})
		require.NoError(t, err)
		require.Equal(t, 401, result.Tries[0].Status)
	})
}

func TestTheLogInOfAnAccountIsThePlatforms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, aliceID)
		w.authorize(t, clipID)
		_, err := w.gateways[0].Apps().PutJSON(t.Context(), "app-alice00000000001", []byte(`{"kind":"authorized","platform":"saas","app_id":"`+aliceID+`","hosts":["saas.example.com"]}`), "")
		require.NoError(t, err)
		b := w.browser(t)
		_, res := b.open(t, "https://wx.example.com/app/app-alice00000000001/login?to="+url.QueryEscape("https://saas.example.com/in"))
		site := mustParse(t, res.Header.Get("Location"))
		require.Equal(t, "saas.example.com", site.Host)
		status, a := serveDirectly(t, w.gateways[0].Private(), "POST", "/app/app-alice00000000001/login/redeem", platformKey, `{"login_code":"`+site.Query().Get("login_code")+`"}`)
		require.Equal(t, http.StatusOK, status, a.Msg)
		require.Equal(t, 1, w.wx.Calls("/sns/oauth2/component/access_token"))

		status, a = serveDirectly(t, w.gateways[0].Public(), "POST", "/app/app-mini000000000001/session", "", `{"code":"`+w.wx.MiniCode(clipID, "ming")+`"}`)
		require.Equal(t, http.StatusOK, status, a.Msg)
		require.Equal(t, 1, w.wx.Calls("/sns/component/jscode2session"))
	})
}

func TestAnUnfinishedAuthorizationIsRecoveredFromTheNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.setPlatform(func(p *wechattest.Platform) { p.CodesOnce = true })
		w.pushTicket(t)
		// The process is killed after WeChat has issued the refresh token, and before it is written.
		w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_query_auth", AfterWork: true, Cut: true, Times: 1})
		w.authorize(t, aliceID) // which WeChat repeats
		status, a := w.token(t, w.gateways[0], aliceID, platformKey)
		require.Equal(t, http.StatusOK, status, a.Msg)
		n := 0
		for e, err := range w.gateways[0].Audits().All(t.Context(), gateway.AuditFilter{}) {
			require.NoError(t, err)
			if e.Event == "authorization" && e.Action == "recover" {
				n++
			}
		}
		require.Equal(t, 1, n, "the repair is counted")
	})
}

func TestADeletedAccountLeavesNoRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, aliceID)
		require.NoError(t, w.gateways[0].Apps().Delete(t.Context(), "app-alice00000000001", ""))
		for key, err := range w.records.Keys(t.Context(), "platform/") {
			require.NoError(t, err)
			require.NotContains(t, key, aliceID)
		}
		status, _ := w.token(t, w.gateways[0], aliceID, platformKey)
		require.Equal(t, http.StatusNotFound, status)
		// Its name and settings may be registered before it authorizes the platform again.
		_, err := w.gateways[0].Apps().PutJSON(t.Context(), "shop-of-alice", []byte(`{"kind":"authorized","platform":"saas","app_id":"`+aliceID+`","keep":true,"tickets":["jsapi"]}`), "")
		require.NoError(t, err)
		status, a := w.token(t, w.gateways[0], "shop-of-alice", platformKey)
		require.Equal(t, http.StatusForbidden, status)
		require.Equal(t, 61003, a.Code)
		time.Sleep(time.Minute)
		w.authorize(t, aliceID)
		status, a = w.token(t, w.gateways[0], "shop-of-alice", platformKey)
		require.Equal(t, http.StatusOK, status, a.Msg)
	})
}

func TestAProgramThatEmbedsTheGatewayCallsThePlatform(t *testing.T) {
	w := newPlatformWorld(t, nil)
	w.pushTicket(t)
	w.authorize(t, aliceID)
	p, err := w.gateways[0].OnlyPlatform()
	require.NoError(t, err)
	require.Equal(t, "saas", p.Name())
	var info struct {
		Account struct {
			Name string `json:"nick_name"`
		} `json:"authorizer_info"`
	}
	require.NoError(t, p.Call(t.Context(), "api_get_authorizer_info", map[string]any{"authorizer_appid": aliceID}, &info))
	require.NotEmpty(t, info.Account.Name)
	err = p.Call(t.Context(), "api_get_authorizer_info", map[string]any{"authorizer_appid": bobID}, &info)
	require.ErrorIs(t, err, wechat.ErrNotAuthorized)
}
