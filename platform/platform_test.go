package platform_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestEightProcessesShareTheTokensOfAPlatformAndItsAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, "wx1")
		var all sync.WaitGroup
		values := make(chan string, 8*20)
		for range 8 {
			p := w.newProcess()
			tokens := w.tokens(p, "wx1")
			for range 20 {
				all.Go(func() {
					c, err := tokens.Token(t.Context())
					if err == nil {
						values <- c.Value
					}
				})
			}
		}
		all.Wait()
		close(values)
		seen := make(map[string]int)
		for v := range values {
			seen[v]++
		}
		require.Len(t, seen, 1)
		for v, n := range seen {
			require.Equal(t, 160, n)
			require.Zero(t, w.wx.Check(v))
		}
		require.Equal(t, 1, w.calls("api_component_token"))
		require.Equal(t, 1, w.calls("api_authorizer_token"))
	})
}

func TestAnEmptiedStoreNeedsNoNewAuthorization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *wechattest.Platform) { p.Rotate = true })
		w.pushTicket(t)
		w.authorize(t, "wx1")
		w.authorize(t, "wxmini")
		for round := range 3 {
			for _, appID := range []string{"wx1", "wxmini"} {
				c, err := w.tokens(w.p, appID).Token(t.Context())
				require.NoError(t, err, "round %d", round)
				require.Zero(t, w.wx.Check(c.Value))
			}
			w.store = new(store.Memory)
			w.restart(t)
			time.Sleep(time.Minute)
		}
		require.Zero(t, w.recovered.Load())
	})
}

func TestARefusedComponentTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, "wx1")
		c, err := w.p.Token(t.Context())
		require.NoError(t, err)
		w.wx.Revoke(c.Value)
		time.Sleep(5 * time.Second)
		_, err = w.tokens(w.p, "wx1").Token(t.Context())
		require.NoError(t, err)
		next, err := w.p.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, c.Value, next.Value)
	})
}

func TestTokensOfAccountsAreRenewedInTheLastHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.pushTicket(t)
		third := make([]int, 3)
		for i := range 60 {
			appID := fmt.Sprintf("wxaccount%08d", i)
			w.wx.AddApp(appID, "s")
			w.authorize(t, appID)
			tokens := w.tokens(w.p, appID)
			c, err := tokens.Token(t.Context())
			require.NoError(t, err)
			due, err := tokens.Refresh(t.Context())
			require.NoError(t, err)
			left := c.Expires.Sub(due)
			require.LessOrEqual(t, left, time.Hour)
			require.GreaterOrEqual(t, left, 20*time.Minute)
			third[min(int((time.Hour-left)/(13*time.Minute)), 2)]++
		}
		for _, n := range third {
			require.Greater(t, n, 8, "%v", third)
		}
	})
}

func TestALostTicketIsReplacedByThePreviousOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		_, err := w.p.Token(t.Context())
		require.ErrorIs(t, err, platform.ErrNoTicket)
		require.ErrorContains(t, err, "api_start_push_ticket")

		w.pushTicket(t)
		time.Sleep(10 * time.Minute)
		w.pushTicket(t)
		require.Equal(t, 1, w.calls("api_component_token"), "the first ticket ends the wait for the next try")
		w.wx.EndTicket(id, w.wx.Tickets(id)[0])
		w.store = new(store.Memory)
		w.restart(t)
		_, err = w.p.Token(t.Context())
		require.NoError(t, err, "the previous ticket is good")
		require.Equal(t, 3, w.calls("api_component_token"))

		w.wx.EndTicket(id, w.wx.Tickets(id)[1])
		w.store = new(store.Memory)
		w.restart(t)
		_, err = w.p.Token(t.Context())
		require.ErrorIs(t, err, platform.ErrNoTicket)
		require.ErrorIs(t, err, wechat.Code(61005))
		require.ErrorContains(t, err, "api_start_push_ticket")

		require.NoError(t, w.p.StartPush(t.Context()))
		w.wx.Wait()
		_, err = w.p.Token(t.Context())
		require.NoError(t, err, "the ticket that came ends the wait for the next try")
	})
}

func TestAnOlderTicketReplacesNoNewerOne(t *testing.T) {
	w := newWorld(t, nil)
	now := time.Now()
	require.NoError(t, w.p.SaveTicket(t.Context(), "newest", now))
	require.NoError(t, w.p.SaveTicket(t.Context(), "older", now.Add(-10*time.Minute)))
	require.NoError(t, w.p.SaveTicket(t.Context(), "oldest", now.Add(-20*time.Minute)))
	raw, ok, err := w.records.Get(t.Context(), "platform/"+id+"/tickets")
	require.NoError(t, err)
	require.True(t, ok)
	require.Regexp(t, `"newest".*"newest".*"previous".*"older"`, string(raw))
	require.Error(t, w.p.SaveTicket(t.Context(), strings.Repeat("x", 2000), now))
}

func TestEachAuthorizationPageHasItsOwnCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.pushTicket(t)
		open := func(p *platform.Platform, page platform.Page) url.Values {
			page.RedirectURI = "https://wx.example.com/back?a=1"
			address, expires, err := p.AuthorizeURL(t.Context(), page)
			if err != nil {
				t.Error(err)
				return nil
			}
			require.Greater(t, time.Until(expires), 5*time.Minute)
			u, err := url.Parse(address)
			require.NoError(t, err)
			require.Equal(t, "mp.weixin.qq.com", u.Host)
			q := u.Query()
			q.Set("path", u.Path)
			q.Set("fragment", u.Fragment)
			return q
		}
		first := open(w.p, platform.Page{})
		require.Equal(t, "/cgi-bin/componentloginpage", first.Get("path"))
		require.Equal(t, "3", first.Get("auth_type"))
		require.Equal(t, "https://wx.example.com/back?a=1", first.Get("redirect_uri"))
		mobile := open(w.p, platform.Page{Mobile: true, AppID: "wx1", Type: 1})
		require.Equal(t, "/safe/bindcomponent", mobile.Get("path"))
		require.Equal(t, "wechat_redirect", mobile.Get("fragment"))
		require.Equal(t, "wx1", mobile.Get("biz_appid"))
		require.False(t, mobile.Has("auth_type"))

		var all sync.WaitGroup
		codes := make(chan string, 40)
		for range 4 {
			p := w.newProcess()
			for range 10 {
				all.Go(func() { codes <- open(p, platform.Page{}).Get("pre_auth_code") })
			}
		}
		all.Wait()
		close(codes)
		seen := map[string]bool{first.Get("pre_auth_code"): true, mobile.Get("pre_auth_code"): true}
		for code := range codes {
			seen[code] = true
		}
		require.Len(t, seen, 42)
		require.LessOrEqual(t, w.calls("api_create_preauthcode"), 42)

		time.Sleep(29 * time.Minute)
		open(w.p, platform.Page{})
		last := open(w.p, platform.Page{}).Get("pre_auth_code")
		w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_create_preauthcode", Code: 45009})
		require.Equal(t, last, open(w.p, platform.Page{}).Get("pre_auth_code"), "WeChat issues no other one")
	})
}
