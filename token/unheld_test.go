package token_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// A program that keeps many apps drops the Manager of each between two calls of Refresh. Each renewal takes one call then, too.
func TestARefreshOfADroppedManagerIsDueAgainAtTheRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const apps, renewals = 20, 3
		wx, s := new(wechattest.Server), new(store.Memory)
		for i := range apps {
			id := fmt.Sprintf("wx%016d", i)
			wx.AddApp(id, secret)
			for n := range renewals {
				m := &token.Manager{AppID: id, Secret: secret, Store: s, Client: &wechat.Client{HTTP: wx.Client()}}
				due, err := m.Refresh(renew.Unheld(t.Context()))
				require.NoError(t, err)
				require.Equal(t, i*renewals+n+1, wx.Calls(stablePath), "it was called when it was due")
				time.Sleep(time.Until(due))
			}
		}
	})
}

// WeChat gives out the same token until shortly before its end. The Manager is dropped in between, and comes back as soon as one that is
// held.
func TestARefreshOfADroppedManagerComesBackInTimeForATokenThatIsNotRenewedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for i := range 100 {
			var now wechat.Credential
			left := time.Hour
			fetch := func(context.Context) (wechat.Credential, error) {
				if rest := time.Until(now.Expires); rest < 5*time.Minute {
					if now.Value != "" {
						left = min(left, rest)
					}
					now = wechat.Credential{Value: fmt.Sprint(time.Now()), Expires: time.Now().Add(2 * time.Hour)}
				}
				return now, nil
			}
			s := new(store.Memory)
			for begin := time.Now(); time.Since(begin) < 5*time.Hour; {
				m := &token.Manager{AppID: fmt.Sprintf("wx%016d", i), Kind: wechat.Authorized, PlatformID: "wx0000000000000099", Fetch: fetch, Store: s, Client: new(wechat.Client)}
				due, err := m.Refresh(renew.Unheld(t.Context()))
				require.NoError(t, err)
				time.Sleep(max(time.Until(due), 2500*time.Millisecond))
			}
			require.Less(t, left, time.Hour, "it was renewed")
			require.Greater(t, left, 80*time.Second)
		}
	})
}
