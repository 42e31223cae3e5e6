package token_test

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

func TestALookShowsWhatIsStoredAndFetchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, s := new(wechattest.Server), new(store.Memory)
		wx.AddApp("wx1111111111111111", "secret")
		newManager := func() *token.Manager {
			return &token.Manager{AppID: "wx1111111111111111", Secret: "secret", Store: s, Client: &wechat.Client{HTTP: wx.Client()}}
		}
		requireNone := func() {
			t.Helper()
			c, ok, err := newManager().Look(t.Context())
			require.NoError(t, err)
			require.False(t, ok)
			require.Zero(t, c)
		}
		requireNone()
		require.Zero(t, wx.Calls("/cgi-bin/stable_token"))
		fetched, err := newManager().Token(t.Context())
		require.NoError(t, err)
		c, ok, err := newManager().Look(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, fetched.Value, c.Value)
		require.WithinDuration(t, fetched.Expires, c.Expires, time.Second)
		<-time.After(2 * time.Hour)
		requireNone()
		require.Equal(t, 1, wx.Calls("/cgi-bin/stable_token"))

		require.NoError(t, s.Set(t.Context(), "token/wx1111111111111111/stable", []byte(`{"value":7}`), 0))
		_, ok, err = newManager().Look(t.Context())
		require.ErrorContains(t, err, "token: wx1111111111111111: invalid stored record")
		require.False(t, ok)
		_, ok, err = (&token.Manager{AppID: "wx1111111111111111", Secret: "secret"}).Look(t.Context())
		require.NoError(t, err)
		require.False(t, ok, "it has no store")
	})
}
