package wechattest_test

import (
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestClassicTokenIsNewWithEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		one, two := classic(t, wx), classic(t, wx)
		require.NotEqual(t, one.Token, two.Token)
		require.Equal(t, 7200, one.ExpiresIn)
		require.Regexp(t, regexp.MustCompile(`^[A-Za-z0-9_-]{136,512}$`), one.Token)
		require.Contains(t, one.Token, "wechattest")
		require.False(t, one.HasCode, "token-style answers carry no errcode")
		require.Equal(t, 2, wx.Calls("/cgi-bin/token"))
	})
}

func TestClassicTokenSupersededLivesFiveMinutesAndOlderOnesEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		one, two := classic(t, wx).Token, classic(t, wx).Token
		require.Equal(t, 0, business(t, wx, one))
		require.Equal(t, []wechattest.State{wechattest.Grace, wechattest.Current}, states(wx, "wx1"))

		three := classic(t, wx).Token
		require.Equal(t, 40001, business(t, wx, one))
		require.Equal(t, 0, business(t, wx, two))

		pass(300*time.Second - 1)
		require.Equal(t, 0, business(t, wx, two))
		pass(1)
		require.Equal(t, 40001, business(t, wx, two))
		require.Equal(t, 0, business(t, wx, three))

		pass(3 * time.Hour)
		require.Equal(t, 40001, business(t, wx, two), "what was superseded stays superseded")
		require.Equal(t, 42001, business(t, wx, three), "what lived to its end is expired")
		require.Equal(t, []wechattest.State{wechattest.Superseded, wechattest.Superseded, wechattest.Expired}, states(wx, "wx1"))
	})
}

func TestClassicTokenSupersededNeverOutlivesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		one := classic(t, wx).Token
		pass(7200*time.Second - time.Minute)
		classic(t, wx)
		pass(time.Minute - 1)
		require.Equal(t, 0, business(t, wx, one))
		pass(1)
		require.Equal(t, 42001, business(t, wx, one))
	})
}

func TestStableTokenIsTheSameUntilFiveMinutesRemain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		one := stable(t, wx)
		require.Equal(t, 7200, one.ExpiresIn)
		require.False(t, one.HasCode)
		pass(6900 * time.Second)
		again := stable(t, wx)
		require.Equal(t, one.Token, again.Token)
		require.Equal(t, 300, again.ExpiresIn)

		pass(time.Millisecond)
		two := stable(t, wx)
		require.NotEqual(t, one.Token, two.Token)
		require.Equal(t, 7200, two.ExpiresIn)
		require.Equal(t, 0, business(t, wx, one.Token), "the old one lives to its own end")
		pass(300*time.Second - 2*time.Millisecond)
		require.Equal(t, 0, business(t, wx, one.Token))
		pass(time.Millisecond)
		require.Equal(t, 42001, business(t, wx, one.Token))
		require.Equal(t, 0, business(t, wx, two.Token))
		require.Len(t, wx.Tokens("wx1"), 2)
	})
}

func TestStableTokenStaysTheSameOverFiftyConcurrentCalls(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() { stable(t, wx) })
	}
	wait.Wait()
	require.Len(t, wx.Tokens("wx1"), 1)
	require.Equal(t, 50, wx.Calls("/cgi-bin/stable_token"))
	require.Equal(t, 50, wx.AppCalls("wx1", "/cgi-bin/stable_token"))
}

func TestForcedRefreshEndsTheOldTokenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		one := stable(t, wx)
		two := force(t, wx)
		require.NotEqual(t, one.Token, two.Token)
		require.Equal(t, 40001, business(t, wx, one.Token))
		require.Equal(t, two.Token, stable(t, wx).Token, "normal mode goes on with what the force made")
	})
}

func TestForcedRefreshEndsTheTokenInItsOverlapToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		one := stable(t, wx).Token
		pass(7000 * time.Second)
		two := stable(t, wx).Token
		require.Equal(t, 0, business(t, wx, one))
		force(t, wx)
		require.Equal(t, 40001, business(t, wx, one))
		require.Equal(t, 40001, business(t, wx, two))
	})
}

func TestForcedRefreshWithinThirtySecondsDoesNothingAndSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		stable(t, wx)
		one := force(t, wx)
		pass(30*time.Second - 1)
		again := force(t, wx)
		require.Equal(t, one.Token, again.Token)
		require.False(t, again.HasCode)
		pass(1)
		require.NotEqual(t, one.Token, force(t, wx).Token)
	})
}

func TestForcedRefreshIsRationedToTwentyADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		seen := map[string]bool{}
		for range 20 {
			seen[force(t, wx).Token] = true
			pass(30 * time.Second)
		}
		require.Len(t, seen, 20)
		require.Equal(t, 45009, force(t, wx).Code)
		require.Equal(t, 0, stable(t, wx).Code, "normal mode is not rationed")
		require.True(t, seen[stable(t, wx).Token])

		pass(16 * time.Hour) // past midnight in Beijing
		require.Equal(t, 0, force(t, wx).Code)
	})
}

func TestClassicAndStableTokensDoNotTouchEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		st := stable(t, wx).Token
		cl := classic(t, wx).Token
		require.NotEqual(t, st, cl)
		forced := force(t, wx).Token
		require.Equal(t, 0, business(t, wx, cl))
		for range 5 {
			cl = classic(t, wx).Token
		}
		require.Equal(t, 0, business(t, wx, cl))
		require.Equal(t, 0, business(t, wx, forced))
		require.Equal(t, forced, stable(t, wx).Token)
	})
}

func TestShortLivesKeepTheProportions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.Add(wechattest.App{ID: "wx1", Secret: "s1", Life: 8 * time.Second})
		one := stable(t, wx)
		require.Equal(t, 8, one.ExpiresIn)
		pass(6 * time.Second)
		require.Equal(t, one.Token, stable(t, wx).Token)
		pass(time.Millisecond)
		two := stable(t, wx)
		require.NotEqual(t, one.Token, two.Token)

		three := force(t, wx)
		require.NotEqual(t, two.Token, three.Token)
		pass(8*time.Second/240 - 1)
		require.Equal(t, three.Token, force(t, wx).Token)
		pass(1)
		require.NotEqual(t, three.Token, force(t, wx).Token)

		old := classic(t, wx).Token
		classic(t, wx)
		pass(2*time.Second - 1)
		require.Equal(t, 0, business(t, wx, old))
		pass(1)
		require.Equal(t, 40001, business(t, wx, old))
	})
}

func TestTokensAreRevokedRefusedAndExpiredByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")

		one := stable(t, wx).Token
		wx.Revoke(one)
		require.Equal(t, 40001, business(t, wx, one))
		two := stable(t, wx).Token
		require.NotEqual(t, one, two, "a revoked token is not given again")

		wx.Refuse(two)
		require.Equal(t, 40001, business(t, wx, two))
		require.Equal(t, two, stable(t, wx).Token, "a refused one is, until it is forced")
		three := force(t, wx).Token
		require.NotEqual(t, two, three)

		wx.Expire(three)
		require.Equal(t, 42001, business(t, wx, three))
		four := stable(t, wx).Token
		require.NotEqual(t, three, four)
		require.Equal(t, []wechattest.State{wechattest.Revoked, wechattest.Revoked, wechattest.Expired, wechattest.Current}, states(wx, "wx1"))

		wx.Revoke("not ours")
		require.Equal(t, 40014, wx.Check("not ours"))
		require.Equal(t, 40014, wx.Check(""))
	})
}

func TestChangingAnAppKeepsItsTokens(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	one := stable(t, wx).Token
	wx.AddApp("wx1", "s2")
	require.Equal(t, 40125, stable(t, wx).Code)
	require.Equal(t, one, post(t, wx, stableURL, stableBody("wx1", "s2", false)).Token)
	require.Equal(t, 0, business(t, wx, one))
}

func TestTokensListTheirPathAndSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		issued := time.Now()
		token := classic(t, wx).Token
		require.Equal(t, []wechattest.Token{{
			Value: token, AppID: "wx1", Secret: "s1", Path: "/cgi-bin/token",
			Issued: issued, Expires: issued.Add(2 * time.Hour), State: wechattest.Current,
		}}, wx.Tokens("wx1"))
		require.Empty(t, wx.Tokens("nobody"))
	})
}

func TestOldTokensAreForgottenSoThatMemoryDoesNotGrowForEver(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", TokenQuota: -1})
	first, second := classic(t, wx).Token, classic(t, wx).Token
	for range 9_999 {
		classic(t, wx)
	}
	require.Len(t, wx.Tokens("wx1"), 10_000)
	require.Equal(t, 40014, wx.Check(first))
	require.Equal(t, 40001, wx.Check(second))
}
