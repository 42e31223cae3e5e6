package token_test

import (
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
