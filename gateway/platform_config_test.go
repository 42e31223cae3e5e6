package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest/push"
)

func TestSettingsThatAPlatformCannotHaveAreNamed(t *testing.T) {
	for want, change := range map[string]func(*gateway.App){
		"message: must be set":        func(a *gateway.App) { a.Message = nil },
		"message: want mode secure":   func(a *gateway.App) { a.Message.AESKey = "" },
		"token_mode, tickets":         func(a *gateway.App) { a.TokenMode = "classic" },
		"pay, open_pay":               func(a *gateway.App) { a.ReceiveIDs = gateway.ReceiveIDs{"x"} },
		"platform, account":           func(a *gateway.App) { a.Platform = "other" },
		"expires_at":                  func(a *gateway.App) { a.ExpiresAt = a.ExpiresAt.AddDate(1, 0, 0) },
		"must not be authorized":      func(a *gateway.App) { a.Kind, a.Platform, a.Secret = wechat.Authorized, "saas", "" },
		"release_check: must be":      func(a *gateway.App) { a.Kind, a.ReleaseCheck = wechat.Official, true },
		"public_url: must be set":     func(a *gateway.App) { a.Hosts = []string{"x.example.com"} },
		"message.aes_key":             func(a *gateway.App) { a.Message.AESKey = "short" },
		"secret: must be set":         func(a *gateway.App) { a.Secret = "" },
		"a platform needs records":    func(*gateway.App) {},
		"invalid name \"platform/x\"": nil,
	} {
		app := gateway.App{AppID: platformID, Secret: secret, Kind: wechat.Platform, Message: &gateway.Message{Token: "token", AESKey: pushKey}}
		name := "saas"
		if change != nil {
			change(&app)
		} else {
			name = "platform/x"
		}
		c := gateway.Config{Keys: []gateway.Key{{Name: "k", Key: allKey, Apps: []string{"*"}, Scopes: []string{"*"}}}, Apps: map[string]gateway.App{name: app}}
		_, err := gateway.New(gateway.Options{Config: c})
		require.ErrorContains(t, err, want)
	}
}

func TestSettingsThatAnAuthorizedAppCannotHaveAreNamed(t *testing.T) {
	w := newPlatformWorld(t, nil)
	for body, want := range map[string]string{
		`{"kind":"platform","app_id":"wx1","secret":"s","message":{"token":"t","aes_key":"` + pushKey + `"}}`: "kind: must not be platform here",
		`{"kind":"authorized","app_id":"wx1"}`:                                                                "platform:",
		`{"kind":"authorized","app_id":"wx1","platform":"none"}`:                                              "platform: unknown platform",
		`{"kind":"authorized","app_id":"wx1","platform":"saas","secret":"s"}`:                                 "secret, next_secret",
		`{"kind":"authorized","app_id":"wx1","platform":"saas","account":"work"}`:                             "account: want official or mini",
		`{"kind":"authorized","app_id":"wx1","platform":"saas","message":{"token":"t"}}`:                      "message: want forward",
		`{"kind":"authorized","app_id":"wx1","platform":"saas","message":{"forward":[{"url":"x"}]}}`:          "forward[0]",
		`{"kind":"authorized","app_id":"wx1","platform":"saas","account":"mini","cards":true}`:                "cards: must be unset",
		`{"kind":"authorized","app_id":"wx1","platform":"saas","account":"mini","keep":true,"tickets":["x"]}`: "tickets: must be unset",
		`{"kind":"authorized","app_id":"a/b","platform":"saas"}`:                                              "app_id:",
		`{"app_id":"wx1","secret":"s","platform":"saas"}`:                                                     "platform, account",
	} {
		_, err := w.gateways[0].Apps().PutJSON(t.Context(), "x", []byte(body), "")
		require.ErrorContains(t, err, want, body)
	}
	w.pushTicket(t)
	w.authorize(t, aliceID)
	_, err := w.gateways[0].Apps().PutJSON(t.Context(), "app-alice00000000001", []byte(`{"app_id":"`+aliceID+`","secret":"s"}`), "")
	require.ErrorContains(t, err, "keeps its kind")
	for _, query := range []string{"?verify=1"} {
		rec := askAdmin(t, w.gateways[0], bossKey, "PUT", "/apps/app-alice00000000001"+query, `{"kind":"authorized","platform":"saas","app_id":"`+aliceID+`"}`, nil)
		require.Equal(t, http.StatusBadRequest, rec.Code)
	}
}

func TestAccountsOfARemovedPlatformAreRefused(t *testing.T) {
	w := newPlatformWorld(t, nil)
	w.pushTicket(t)
	w.authorize(t, aliceID)
	w.change = func(o *gateway.Options) { delete(o.Config.Apps, "saas") }
	g := w.start(t)
	status, a := w.token(t, g, aliceID, platformKey)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, a.Msg, "not part of the configuration")
}

func TestMessagesAreForwardedToTheBackendOfTheAccountOrThePlatform(t *testing.T) {
	var mu sync.Mutex
	got := map[string]string{}
	backend := func(name string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var m struct{ Content string }
			_ = json.Unmarshal(body, &m)
			mu.Lock()
			got[m.Content] = name + " " + r.Header.Get("Wetoken-Signature")[:2]
			mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"MsgType":"text","Content":"from `+name+`"}`)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	common, own := backend("the platform's"), backend("alice's")
	w := newPlatformWorld(t, func(o *gateway.Options) {
		app := o.Config.Apps["saas"]
		app.ReleaseCheck = false
		app.Message.Forward = []gateway.Forward{{URL: common, Form: message.FormJSON, Answer: true}}
		o.Config.Apps["saas"] = app
	})
	w.pushTicket(t)
	w.authorize(t, aliceID)
	w.authorize(t, bobID)
	_, err := w.gateways[0].Apps().PutJSON(t.Context(), "app-alice00000000001",
		[]byte(`{"kind":"authorized","platform":"saas","app_id":"`+aliceID+`","message":{"forward":[{"url":"`+own+`","form":"json","answer":true}]}}`), "")
	require.NoError(t, err)
	for appID, want := range map[string]string{aliceID: "alice's", bobID: "the platform's"} {
		to, err := w.wx.PlatformMessages(platformID, appID)
		require.NoError(t, err)
		result, err := to.Push(t.Context(), push.Message{Content: appID})
		require.NoError(t, err)
		require.Empty(t, result.Fault)
		require.Equal(t, "from "+want, result.Shown)
		require.Equal(t, want+" t=", got[appID], "signed by the platform's sign_key")
	}
}

func TestAPlatformKeyIsForItsAccountsAlone(t *testing.T) {
	w := newPlatformWorld(t, func(o *gateway.Options) {
		o.Config.Apps["shop"] = gateway.App{AppID: shopID, Secret: secret}
		o.Config.Keys = append(o.Config.Keys, gateway.Key{Name: "other", Key: readKey, Apps: []string{"platform:other"}, Scopes: []string{"*"}})
	})
	w.wx.AddApp(shopID, secret)
	w.pushTicket(t)
	w.authorize(t, aliceID)
	g := w.gateways[0]
	registered, err := g.Keys().Create(t.Context(), gateway.Key{Name: "registered", Apps: []string{"platform:saas"}, Scopes: []string{"token"}})
	require.NoError(t, err)
	for key, want := range map[string]map[string]int{
		platformKey: {aliceID: 200, "shop": 403, "saas": 403},
		registered:  {aliceID: 200, "shop": 403, "saas": 403},
		readKey:     {aliceID: 403, "shop": 403, "saas": 403},
		bossKey:     {aliceID: 200, "shop": 200, "saas": 200},
	} {
		for name, want := range want {
			status, _ := serveDirectly(t, g.Private(), "GET", "/app/"+name+"/token", key, "")
			require.Equal(t, want, status, name)
		}
	}
}
