package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

// storedConfig returns a configuration with a mini program, and an official account that copies messages to a backend.
func storedConfig(miniName, miniID, shopName, shopID, backend string) gateway.Config {
	c := config()
	mini, shop := c.Apps["新闻"], appWithCopies(backend, "the-key-of-shop")
	mini.ID, shop.ID = miniID, shopID
	c.Keys, c.Apps = c.Keys[:1], map[string]gateway.App{miniName: mini, shopName: shop}
	return c
}

// fillStore serves c until a login code and a copy are in the store.
func fillStore(t *testing.T, c gateway.Config, s store.Store, wx *wechattest.Server) (loginCode string) {
	t.Helper()
	g, err := gateway.New(gateway.Options{Config: c, Store: s, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	public := httptest.NewServer(g.Public())
	defer public.Close()
	var session map[string]any
	body := map[string]string{"code": wx.MiniCode(miniID, "ming")}
	require.Equal(t, http.StatusOK, post(t, public.URL+"/app/"+miniID+"/session", "", body, &session))
	callback := push.Callback{AppID: shopID, URL: public.URL + "/app/" + shopID + "/message", Token: tokenOf, EncodingAESKey: aesKeyOf}
	_, err = callback.Push(t.Context(), push.Message{Content: "hello"})
	require.NoError(t, err)
	return session["login_code"].(string)
}

func keysIn(t *testing.T, s store.Store) (list []string) {
	t.Helper()
	for key, err := range s.Keys(t.Context(), "") {
		require.NoError(t, err)
		list = append(list, key)
	}
	slices.Sort(list)
	return list
}

func TestStoredKeysHaveTheIDOfTheAppWhichIsItsNameByDefault(t *testing.T) {
	for _, c := range []gateway.Config{storedConfig("新闻", "", "shop", "", "http://crm/"), storedConfig("a", "新闻", "b", "shop", "http://crm/")} {
		wx, s := newWeChat(), new(store.Memory)
		wx.AddPerson(wechattest.Person{Name: "ming"})
		fillStore(t, c, s, wx)
		all := strings.Join(keysIn(t, s), "\n")
		require.Contains(t, all, "oauth/"+miniID+"/@"+url.PathEscape("新闻")+"/")
		require.Contains(t, all, "message/shop/")
		for key := range s.Keys(t.Context(), "outbox/") {
			item, _, err := s.Get(t.Context(), key)
			require.NoError(t, err)
			require.Contains(t, string(item), `"app":"shop"`)
		}
	}
}

func TestARenamedAppKeepsTheValuesUnderItsID(t *testing.T) {
	arrived := make(chan string, 1)
	crm := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		arrived <- fmt.Sprint(r.URL.Path, string(b))
	}))
	defer crm.Close()
	wx, s := newWeChat(), new(store.Memory)
	wx.AddPerson(wechattest.Person{Name: "ming"})
	code := map[string]string{"login_code": fillStore(t, storedConfig("news", "", "shop", "", crm.URL), s, wx)}

	serve := func(c gateway.Config) (base string) {
		g, err := gateway.New(gateway.Options{Config: c, Store: s, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		srv := httptest.NewServer(g.Private())
		t.Cleanup(func() {
			srv.Close()
			cancel()
			<-ended
		})
		return srv.URL
	}
	another := serve(storedConfig("press", "", "boutique", "", crm.URL))
	require.Equal(t, http.StatusNotFound, post(t, another+"/app/press/login/redeem", allKey, code, new(any)))
	require.Empty(t, arrived)
	same := serve(storedConfig("press", "news", "boutique", "shop", crm.URL))
	require.Equal(t, http.StatusOK, post(t, same+"/app/press/login/redeem", allKey, code, new(any)))
	require.Contains(t, <-arrived, "hello")
}

func TestIDsThatCannotBeServedAreRefused(t *testing.T) {
	for says, change := range map[string]func(*gateway.Config){
		`apps.shop.id: app "corp" has the same id`: func(c *gateway.Config) {
			set(c, "shop", func(a *gateway.App) { a.ID = "x" })
			set(c, "corp", func(a *gateway.App) { a.ID = "x" })
		},
		`apps.新闻.id: app "shop" has the same id`:               func(c *gateway.Config) { set(c, "shop", func(a *gateway.App) { a.ID = "新闻" }) },
		"apps.shop.id: want 1 to 64 bytes":                     func(c *gateway.Config) { set(c, "shop", func(a *gateway.App) { a.ID = "a/b" }) },
		"apps.corp.id: want 1 to 64 bytes":                     func(c *gateway.Config) { set(c, "corp", func(a *gateway.App) { a.ID = corpID }) },
		"apps.corp.id: begins or ends with a blank":            func(c *gateway.Config) { set(c, "corp", func(a *gateway.App) { a.ID = "a " }) },
		"apps.corp.id: want 1 to 64 bytes of UTF-8 without / ": func(c *gateway.Config) { set(c, "corp", func(a *gateway.App) { a.ID = "a\xff" }) },
	} {
		c := config()
		change(&c)
		require.ErrorContains(t, c.Check(), says)
	}
	c := config()
	set(&c, "shop", func(a *gateway.App) { a.ID = "corp" })
	set(&c, "corp", func(a *gateway.App) { a.ID = "shop" })
	require.NoError(t, c.Check(), "names that are exchanged")
}

func TestACallerGoesByTheIDsOfTheAppsItsKeyNames(t *testing.T) {
	c := config()
	set(&c, "shop", func(a *gateway.App) { a.ID = "*" })
	set(&c, "corp", func(a *gateway.App) { a.ID = "shop" })
	base := private(t, gateway.Options{Config: c, HTTP: newWeChat().Client()})
	for app, want := range map[string]int{"shop": 200, "corp": 403, shopID: 200, corpID: 403} {
		status, a := ask(t, "GET", base+"/app/"+app+"/token", readKey, "")
		require.Equal(t, want, status, "%s: %s", app, a.Msg)
	}
}
