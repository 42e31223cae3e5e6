package platform_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// hideRefreshTokens has WeChat no longer tell a refresh token that it has issued, so that a lost one is lost.
func (w *world) hideRefreshTokens() {
	w.wx.AddPlatform(wechattest.Platform{ID: id, Secret: secret, Token: "token", EncodingAESKey: aesKey, Rotate: true, HideInInfo: true, HideInList: true})
}

// delayReplies has the reply to the next call of a component API come late.
func (w *world) delayReplies(api string, d time.Duration) {
	w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/" + api, AfterWork: true, Delay: d, Times: 1})
}

func TestARevocationDuringARefreshLeavesNothing(t *testing.T) {
	for _, rotate := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(p *wechattest.Platform) { p.Rotate = rotate })
			w.pushTicket(t)
			w.authorize(t, "wx1")
			w.delayReplies("api_authorizer_token", 5*time.Second)
			failed := make(chan error)
			go func() {
				_, err := w.tokens(w.p, "wx1").Token(t.Context())
				failed <- err
			}()
			time.Sleep(2 * time.Second)
			_, err := w.wx.Unauthorize(t.Context(), id, "wx1")
			require.NoError(t, err)
			require.ErrorIs(t, <-failed, wechat.ErrNotAuthorized, "WeChat has ended the token that it answers")
			for key, err := range w.records.(*store.Memory).Keys(t.Context(), "platform/") {
				require.NoError(t, err)
				require.NotContains(t, key, "wx1")
			}
			time.Sleep(time.Minute)
			w.authorize(t, "wx1")
			c, err := w.tokens(w.newProcess(), "wx1").Token(t.Context())
			require.NoError(t, err)
			require.Zero(t, w.wx.Check(c.Value))
		})
	}
}

func TestALateReplyReplacesNoLaterRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(p *wechattest.Platform) { p.Rotate = true })
		w.pushTicket(t)
		w.authorize(t, "wx1")
		_, err := w.p.Token(t.Context())
		require.NoError(t, err)
		w.delayReplies("api_authorizer_token", 5*time.Second)
		late := make(chan *token.Manager)
		go func() {
			m := w.tokens(w.p, "wx1")
			c, err := m.Token(t.Context())
			if err != nil || w.wx.Check(c.Value) != 0 {
				t.Error(err)
			}
			late <- m
		}()
		time.Sleep(time.Second)
		other := w.newProcess() // whose store has lost the lease
		other.Store = new(store.Memory)
		_, err = other.Authorizer("wx1").Fetch(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, w.recovered.Load())
		w.hideRefreshTokens()
		<-late
		_, err = w.newProcess().Authorizer("wx1").Fetch(t.Context())
		require.NoError(t, err, "the refresh token of the other process is kept")
	})
}

func TestAnAuthorizationDuringARefreshLosesNoRefreshToken(t *testing.T) {
	for _, api := range []string{"api_query_auth", "api_authorizer_token"} { // whose reply comes last
		t.Run(api, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(p *wechattest.Platform) { p.Rotate = true })
				w.pushTicket(t)
				w.authorize(t, "wx1")
				code := authorizeQuietly(t, w, "wx1") // updateauthorized
				w.hideRefreshTokens()
				w.delayReplies(api, 2*time.Second)
				ended := make(chan error)
				authorize := func() { _, err := w.p.Authorize(t.Context(), code, time.Now()); ended <- err }
				refresh := func() { _, err := w.p.Authorizer("wx1").Fetch(t.Context()); ended <- err }
				slow, fast := authorize, refresh
				if api == "api_authorizer_token" {
					slow, fast = refresh, authorize
				}
				go slow()
				time.Sleep(time.Second)
				go fast()
				require.NoError(t, <-ended)
				require.NoError(t, <-ended)
				for range 2 {
					_, err := w.newProcess().Authorizer("wx1").Fetch(t.Context())
					require.NoError(t, err)
				}
				require.Zero(t, w.recovered.Load())
			})
		})
	}
}
