package wechattest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestClearQuotaWorksTenTimesAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, official, _, _ := trio(t)
		target := api + "/cgi-bin/clear_quota?access_token=" + official
		require.Equal(t, 40013, post(t, wx, target, `{"appid":"mini"}`).Code)
		require.Equal(t, 41002, post(t, wx, target, `{}`).Code)
		for range 9 {
			require.Equal(t, 0, post(t, wx, target, `{"appid":"wx1"}`).Code)
		}
		v2 := api + "/cgi-bin/clear_quota/v2"
		require.Equal(t, 41002, post(t, wx, v2, "").Code)
		require.Equal(t, 41004, post(t, wx, v2+"?appid=wx1", "").Code)
		require.Equal(t, 40013, post(t, wx, v2+"?appid=no&appsecret=s1", "").Code)
		require.Equal(t, 40125, post(t, wx, v2+"?appid=wx1&appsecret=no", "").Code)
		require.Equal(t, 0, post(t, wx, v2, `{"appid":"wx1","appsecret":"s1"}`).Code, "in the body too")
		require.Equal(t, 48006, post(t, wx, v2+"?appid=wx1&appsecret=s1", "").Code, "both calls share the ten")
		require.Equal(t, 48006, post(t, wx, target, `{"appid":"wx1"}`).Code)

		pass(31 * 24 * time.Hour)
		require.Equal(t, 0, post(t, wx, v2+"?appid=wx1&appsecret=s1", "").Code)
	})
}

func TestClearQuotaLeavesTheRationOfForcedRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.Add(wechattest.App{ID: "wx1", Secret: "s1", ForceQuota: 1})
		require.Equal(t, 0, force(t, wx).Code)
		pass(time.Minute)
		require.Equal(t, 0, post(t, wx, api+"/cgi-bin/clear_quota/v2?appid=wx1&appsecret=s1", "").Code)
		require.Equal(t, 45009, force(t, wx).Code)
	})
}

func TestQuotaGetReturnsTheUsedQuota(t *testing.T) {
	wx, official, _, _ := trio(t)
	ask := func(path string) answer {
		return post(t, wx, api+"/cgi-bin/openapi/quota/get?access_token="+official, `{"cgi_path":"`+path+`"}`)
	}
	classic(t, wx)
	classic(t, wx)
	a := ask("/cgi-bin/token")
	require.Equal(t, 0, a.Code)
	require.Equal(t, [3]int{2000, 2, 1998}, [3]int{a.Quota.Limit, a.Quota.Used, a.Quota.Remain})
	require.Equal(t, 10_000, ask("/cgi-bin/ticket/getticket").Quota.Limit)
	require.Equal(t, 500_000, ask("/cgi-bin/message/custom/send").Quota.Remain)
	require.Equal(t, 76021, ask("/cgi-bin/nowhere").Code)
	require.Equal(t, 76022, ask("/cgi-bin/gettoken").Code)
}

func TestAnIPv6CallerIsNamedAsItIs(t *testing.T) {
	wx := &wechattest.Server{ClientIP: "2001:db8::1"}
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", IPs: []string{"10.0.0.0/8", "not an address"}})
	require.Contains(t, classic(t, wx).Msg, "invalid ip 2001:db8::1 ipv6 2001:db8::1, not in whitelist")
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", IPs: []string{"2001:db8::/32"}})
	require.Equal(t, 0, classic(t, wx).Code)
}
