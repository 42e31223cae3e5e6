package gateway_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest"
)

// sync returns the changes of a synchronization as "action appid".
func (w *platformWorld) sync(t *testing.T, apply bool) (list []string) {
	t.Helper()
	for c, err := range w.gateways[0].SyncPlatform(t.Context(), "saas", apply) {
		require.NoError(t, err)
		require.NoError(t, c.Err)
		list = append(list, c.Action+" "+c.AppID)
	}
	return list
}

func TestLostNoticesAndRefreshTokensAreRepaired(t *testing.T) {
	for name, hide := range map[string]bool{"the list has the refresh tokens": false, "the list lacks them": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newPlatformWorld(t, nil)
				w.setPlatform(func(p *wechattest.Platform) { p.HideInList = hide })
				w.pushTicket(t)
				w.authorize(t, aliceID)
				w.authorize(t, bobID)
				require.Empty(t, w.sync(t, false))

				// The records lose alice's refresh token, and no more notices come.
				require.NoError(t, w.records.Delete(t.Context(), "platform/"+platformID+"/authorizer/"+aliceID))
				w.setPlatform(func(p *wechattest.Platform) { p.Handler, p.EventURL, p.HideInList = nil, "", hide })
				_, err := w.wx.Authorize(t.Context(), platformID, clipID)
				require.NoError(t, err)
				_, err = w.wx.Unauthorize(t.Context(), platformID, bobID)
				require.Error(t, err, "there is no event URL")
				time.Sleep(time.Minute)

				// WeChat issues a refresh token with the first exchange, which nobody made for the mini program.
				want := []string{"recover " + aliceID, "recover " + clipID, "register " + clipID, "close " + bobID}
				require.ElementsMatch(t, want, w.sync(t, false))
				require.ElementsMatch(t, want, w.sync(t, false), "nothing was changed")
				var failed []string
				for c, err := range w.gateways[0].SyncPlatform(t.Context(), "saas", true) {
					require.NoError(t, err)
					if c.Err != nil {
						failed = append(failed, c.AppID)
						require.ErrorContains(t, c.Err, "authorize the platform again")
					}
				}
				require.Equal(t, []string{clipID, clipID}, failed)
				status, a := w.token(t, w.gateways[0], aliceID, platformKey)
				require.Equal(t, http.StatusOK, status, a.Msg)
				status, _ = w.token(t, w.gateways[0], bobID, platformKey)
				require.Equal(t, http.StatusForbidden, status)

				w.setPlatform(func(p *wechattest.Platform) { p.HideInList = hide })
				w.authorize(t, clipID)
				w.authorize(t, bobID)
				require.Empty(t, w.sync(t, true))
			})
		})
	}
}

func TestAnotherRefreshTokenThanWeChatListsIsShownAndStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newPlatformWorld(t, nil)
		w.setPlatform(func(p *wechattest.Platform) { p.Rotate = true })
		w.pushTicket(t)
		w.authorize(t, aliceID)
		w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_authorizer_token", AfterWork: true, Cut: true, Times: 1})
		status, _ := w.token(t, w.gateways[0], aliceID, platformKey)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, []string{"none " + aliceID}, w.sync(t, true))
		time.Sleep(5 * time.Minute)
		status, a := w.token(t, w.gateways[0], aliceID, platformKey)
		require.Equal(t, http.StatusOK, status, a.Msg)
		require.Empty(t, w.sync(t, true))
		for _, err := range w.gateways[0].SyncPlatform(t.Context(), "none", false) {
			require.ErrorIs(t, err, gateway.ErrNoPlatform)
		}
		require.ErrorIs(t, w.gateways[0].StartPush(t.Context(), "none"), gateway.ErrNoPlatform)
		w.wx.StopTickets(platformID)
		require.NoError(t, w.gateways[0].StartPush(t.Context(), "saas"))
		w.wx.Wait()
		require.Len(t, w.wx.Tickets(platformID), 2, "a ticket came")
	})
}
