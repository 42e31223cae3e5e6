package platform_test

import (
	"errors"
	"fmt"
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

func TestALostReplyLosesNoRefreshToken(t *testing.T) {
	for name, hide := range map[string]func(*wechattest.Platform){
		"WeChat tells it in the information": func(p *wechattest.Platform) { p.HideInList = true },
		"WeChat tells it in the list":        func(p *wechattest.Platform) { p.HideInInfo = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(p *wechattest.Platform) { p.Rotate = true; hide(p) })
				w.pushTicket(t)
				w.authorize(t, "wx1")
				w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_authorizer_token", AfterWork: true, Cut: true, Times: 1})
				_, err := w.tokens(w.p, "wx1").Token(t.Context())
				require.Error(t, err, "WeChat has issued another refresh token, and the reply is lost")

				w.restart(t) // such as after the process was killed
				time.Sleep(5 * time.Minute)
				c, err := w.tokens(w.p, "wx1").Token(t.Context())
				require.NoError(t, err)
				require.Zero(t, w.wx.Check(c.Value))
				require.EqualValues(t, 1, w.recovered.Load())

				w.store = new(store.Memory)
				w.restart(t)
				_, err = w.tokens(w.p, "wx1").Token(t.Context())
				require.NoError(t, err)
				require.EqualValues(t, 1, w.recovered.Load(), "it was written")
			})
		})
	}
}

func TestAnAccountWhoseRefreshTokenIsLostMustAuthorizeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *wechattest.Platform) { p.Rotate, p.HideInInfo, p.HideInList = true, true, true })
		w.pushTicket(t)
		w.authorize(t, "wx1")
		w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_authorizer_token", AfterWork: true, Cut: true, Times: 1})
		_, err := w.tokens(w.p, "wx1").Token(t.Context())
		require.Error(t, err)
		time.Sleep(5 * time.Minute)
		_, err = w.tokens(w.p, "wx1").Token(t.Context())
		require.ErrorIs(t, err, wechat.Code(61023))
		require.ErrorContains(t, err, "authorize the platform again")
		w.authorize(t, "wx1")
		w.restart(t)
		_, err = w.tokens(w.p, "wx1").Token(t.Context())
		require.NoError(t, err)
	})
}

func TestNoAccessTokenIsUsedBeforeItsRefreshTokenIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *wechattest.Platform) { p.Rotate = true })
		refusing := &refusingStore{Store: new(store.Memory)}
		w.records = refusing
		w.restart(t)
		w.pushTicket(t)
		w.authorize(t, "wx1")
		refusing.refuse.Store(true)
		tokens := w.tokens(w.p, "wx1")
		_, err := tokens.Token(t.Context())
		require.ErrorContains(t, err, "save the refresh token")
		require.Equal(t, 1, w.calls("api_authorizer_token"))
		time.Sleep(5 * time.Minute)
		_, err = tokens.Token(t.Context())
		require.ErrorContains(t, err, "save the refresh token")
		require.Equal(t, 1, w.calls("api_authorizer_token"), "WeChat issues no more refresh tokens that cannot be written")
		refusing.refuse.Store(false)
		time.Sleep(5 * time.Minute)
		_, err = tokens.Token(t.Context())
		require.NoError(t, err)
		require.Zero(t, w.recovered.Load(), "the process has kept it meanwhile")
	})
}

func TestTheBrowserAndTheNoticeMayBringTheSameCode(t *testing.T) {
	for _, once := range []bool{false, true} {
		t.Run(fmt.Sprintf("once %t", once), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(p *wechattest.Platform) { p.CodesOnce = once })
				w.pushTicket(t)
				// Two other processes take the code before the notice comes.
				var all sync.WaitGroup
				w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_query_auth", AfterWork: true, Delay: time.Second, Times: 1})
				w.wx.AddApp("wx2", "s")
				code := authorizeQuietly(t, w, "wx2")
				for range 3 {
					p := w.newProcess()
					all.Go(func() {
						a, err := p.Authorize(t.Context(), code, time.Time{})
						if err != nil || a.AppID != "wx2" {
							t.Error(a, err)
						}
					})
				}
				all.Wait()
				again, err := w.p.Authorize(t.Context(), code, time.Now())
				require.NoError(t, err)
				require.Equal(t, "wx2", again.AppID)
				_, err = w.p.Authorize(t.Context(), "unknown", time.Now())
				require.ErrorIs(t, err, wechat.Code(61009))
			})
		})
	}
}

// authorizeQuietly returns the code of an authorization whose notice reaches nobody.
func authorizeQuietly(t *testing.T, w *world, appID string) string {
	w.wx.AddPlatform(wechattest.Platform{ID: id, Secret: secret, Token: "token", EncodingAESKey: aesKey, CodesOnce: true})
	code, err := w.wx.Authorize(t.Context(), id, appID)
	require.NoError(t, err)
	return code
}

func TestARevokedAccountIsRefusedWith61003(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.pushTicket(t)
		w.authorize(t, "wx1")
		before := time.Now()
		time.Sleep(time.Minute)
		result, err := w.wx.Unauthorize(t.Context(), id, "wx1")
		require.NoError(t, err)
		require.Empty(t, result.Fault)
		_, err = w.tokens(w.p, "wx1").Token(t.Context())
		require.ErrorIs(t, err, wechat.ErrNotAuthorized)
		require.Zero(t, w.calls("api_authorizer_token"))

		time.Sleep(time.Minute)
		w.authorize(t, "wx1")
		revoked, err := w.p.Revoke(t.Context(), "wx1", before)
		require.NoError(t, err)
		require.False(t, revoked, "the notice is older than the authorization")
		_, err = w.tokens(w.newProcess(), "wx1").Token(t.Context())
		require.NoError(t, err)
	})
}

func TestAllAccountsAreListedInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.pushTicket(t)
		w.wx.AddPlatform(wechattest.Platform{ID: id, Secret: secret, Token: "token", EncodingAESKey: aesKey})
		for i := range 1203 {
			appID := fmt.Sprintf("wxaccount%08d", i)
			w.wx.AddApp(appID, "s")
			_, err := w.wx.Authorize(t.Context(), id, appID)
			require.NoError(t, err)
		}
		seen := make(map[string]bool)
		for a, err := range w.p.Accounts(t.Context()) {
			require.NoError(t, err)
			seen[a.AppID] = true
		}
		require.Len(t, seen, 1203)
		require.Equal(t, 3, w.calls("api_get_authorizer_list"))

		info, err := w.p.Account(t.Context(), "wxaccount00000007")
		require.NoError(t, err)
		require.False(t, info.Mini)
		_, err = w.wx.Authorize(t.Context(), id, "wxmini")
		require.NoError(t, err)
		info, err = w.p.Account(t.Context(), "wxmini")
		require.NoError(t, err)
		require.True(t, info.Mini)
		require.NotEmpty(t, info.Permissions)
	})
}

func TestRecordsThatSomebodyElseWroteAreNotBelieved(t *testing.T) {
	w := newWorld(t, nil)
	w.pushTicket(t)
	w.authorize(t, "wx1")
	for _, value := range []string{"", "{", `{"refresh_token":7}`, `{"refresh_token":""}`, `[]`} {
		require.NoError(t, w.records.Set(t.Context(), "platform/"+id+"/authorizer/wx1", []byte(value), 0))
		_, err := w.p.Authorizer("wx1").Fetch(t.Context())
		require.ErrorIs(t, err, wechat.ErrNotAuthorized, value)
	}
	w.authorize(t, "wx1")
	_, err := w.p.Authorizer("wx1").Fetch(t.Context())
	require.NoError(t, err)
	_, err = w.p.Authorizer("").Fetch(t.Context())
	require.Error(t, err)
	require.NoError(t, w.records.Set(t.Context(), "platform/"+id+"/tickets", []byte("{"), 0))
	w.store = new(store.Memory)
	w.restart(t)
	_, err = w.p.Token(t.Context())
	require.True(t, errors.Is(err, platform.ErrNoTicket))
}
