package wechattest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestWorkTokenIsTheSameToItsEndAndNewAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7})
		one := get(t, wx, workURL("ww1", "s1"))
		require.Equal(t, 7200, one.ExpiresIn)
		require.True(t, one.HasCode, "WeCom says errcode 0")
		pass(7199 * time.Second)
		again := get(t, wx, workURL("ww1", "s1"))
		require.Equal(t, one.Token, again.Token)
		require.Equal(t, 1, again.ExpiresIn)
		require.Equal(t, 0, get(t, wx, work+"/cgi-bin/user/get?userid=u&access_token="+one.Token).Code)
		pass(time.Second)
		require.Equal(t, 42001, get(t, wx, work+"/cgi-bin/user/get?userid=u&access_token="+one.Token).Code)
		require.NotEqual(t, one.Token, get(t, wx, workURL("ww1", "s1")).Token)
	})
}

func TestWorkSecretsOfOneCorpHaveTokensOfTheirOwn(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "ww1", Secret: "agent", Kind: wechattest.Work, AgentID: 7})
	wx.Add(wechattest.App{ID: "ww1", Secret: "contacts", Kind: wechattest.Work})
	wx.Add(wechattest.App{ID: "ww1", Secret: "customers", Kind: wechattest.Work})
	seen := map[string]bool{}
	for _, secret := range []string{"agent", "contacts", "customers", "agent"} {
		seen[get(t, wx, workURL("ww1", secret)).Token] = true
	}
	require.Len(t, seen, 3)
	require.Len(t, wx.Tokens("ww1"), 3)
	require.Equal(t, 4, wx.AppCalls("ww1", "/cgi-bin/gettoken"))

	wx.Add(wechattest.App{ID: "ww1", Secret: "changed", Kind: wechattest.Work, AgentID: 7})
	require.Equal(t, 40001, get(t, wx, workURL("ww1", "agent")).Code)
	require.True(t, seen[get(t, wx, workURL("ww1", "changed")).Token], "the application kept its token")
	require.Equal(t, 0, get(t, wx, workURL("ww1", "contacts")).Code)
}

func TestWorkTokenRefusals(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work})
	wx.Add(wechattest.App{ID: "ww1", Secret: "far", Kind: wechattest.Work, AgentID: 1, IPs: []string{"10.0.0.1"}})
	wx.Add(wechattest.App{ID: "ww1", Secret: "off", Kind: wechattest.Work, AgentID: 2, SecretFrozen: true})
	wx.AddApp("wx1", "s1")
	for target, want := range map[string]int{
		work + "/cgi-bin/gettoken":                     41002,
		work + "/cgi-bin/gettoken?corpsecret=s1":       41002,
		work + "/cgi-bin/gettoken?corpid=ww1":          41004,
		work + "/cgi-bin/gettoken?corpid=no":           41004,
		workURL("no", "s1"):                            40013,
		workURL("wx1", "s1"):                           40013,
		workURL("ww1", "wrong"):                        40001,
		workURL("ww1", "far"):                          60020,
		workURL("ww1", "off"):                          50003,
		workURL("ww1", "s1"):                           0,
		work + "/cgi-bin/user/get?userid=u":            41001,
		work + "/cgi-bin/user/get?access_token=stolen": 40014,
	} {
		a := get(t, wx, target)
		require.Equal(t, want, a.Code, target)
		require.Equal(t, http.StatusOK, a.Status)
		if want != 0 {
			require.Regexp(t, fmt.Sprintf(`, hint: \[\d{25}\], from ip: 127\.0\.0\.1, more info at https://open\.work\.weixin\.qq\.com/devtool/query\?e=%d$`, want), a.Msg)
		}
	}
}

func TestTokenRefusalsComeInWeChatsOrder(t *testing.T) {
	wx := &wechattest.Server{ClientIP: "1.2.3.4"}
	wx.AddApp("wx1", "s1")
	wx.Add(wechattest.App{ID: "far", Secret: "s1", IPs: []string{"10.0.0.0/8", "9.9.9.9"}, SecretFrozen: true})
	wx.Add(wechattest.App{ID: "ice", Secret: "s1", SecretFrozen: true})
	wx.Add(wechattest.App{ID: "near", Secret: "s1", IPs: []string{"1.2.0.0/16"}})
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work})
	for _, c := range []struct {
		grant, id, secret string
		want              int
	}{
		{"", "", "", 41002},
		{"", "wx1", "", 41004},
		{"", "no", "s1", 40002},
		{"password", "wx1", "s1", 40002},
		{"client_credential", "no", "s1", 40013},
		{"client_credential", "ww1", "s1", 40013},
		{"client_credential", "far", "wrong", 40164},
		{"client_credential", "ice", "wrong", 40125},
		{"client_credential", "ice", "s1", 40243},
		{"client_credential", "wx1", "s1", 0},
		{"client_credential", "near", "s1", 0},
	} {
		query := fmt.Sprintf("?grant_type=%s&appid=%s&secret=%s", c.grant, c.id, c.secret)
		byGet := get(t, wx, api+"/cgi-bin/token"+query)
		byPost := post(t, wx, stableURL, fmt.Sprintf(`{"grant_type":%q,"appid":%q,"secret":%q}`, c.grant, c.id, c.secret))
		for _, a := range []answer{byGet, byPost} {
			require.Equal(t, c.want, a.Code, query)
			require.Equal(t, http.StatusOK, a.Status)
			if c.want != 0 {
				require.Regexp(t, `,? rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`, a.Msg)
			}
			if c.want == 40164 {
				require.True(t, strings.HasPrefix(a.Msg, "invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: "), a.Msg)
			}
		}
	}
}

func TestErrmsgIsNeverTheSameTwice(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	require.NotEqual(t, get(t, wx, classicURL("wx1", "x")).Msg, get(t, wx, classicURL("wx1", "x")).Msg)
}

func TestStableTokenAcceptsOnlyAPOSTOfJSON(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	require.Equal(t, 43002, get(t, wx, stableURL+"?appid=wx1").Code)
	require.Equal(t, 43001, post(t, wx, classicURL("wx1", "s1"), "{}").Code)
	for body, want := range map[string]int{
		"":   44002,
		"{":  47001,
		"[]": 47001, "null": 47001, `"x"`: 47001, "\xff": 47001,
		"grant_type=client_credential&appid=wx1&secret=s1":                                        47001,
		`{"grant_type":"client_credential","appid":1,"secret":"s1"}`:                              47001,
		`{"grant_type":"client_credential","appid":"wx1","secret":"s1","force_refresh":"true"}`:   47001,
		`{"grant_type":"client_credential","AppID":"wx1","secret":"s1"}`:                          41002,
		`{"grant_type":"client_credential","appid":"wx1","secret":"` + strings.Repeat("s", 1<<20): 45002,
	} {
		require.Equal(t, want, post(t, wx, stableURL, body).Code, "%.80s", body)
	}
	require.Empty(t, wx.Tokens("wx1"))
}

func TestTokenQuotaIsTwoThousandADayAndIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		var last string
		for range 2000 {
			last = classic(t, wx).Token
		}
		require.Equal(t, 45009, classic(t, wx).Code)
		require.Equal(t, 0, business(t, wx, last))
		require.Equal(t, 0, post(t, wx, api+"/cgi-bin/clear_quota/v2?appid=wx1&appsecret=s1", "").Code)
		require.Equal(t, 0, classic(t, wx).Code)

		wx.Add(wechattest.App{ID: "wx1", Secret: "s1", TokenQuota: 1})
		require.Equal(t, 45009, classic(t, wx).Code)
		pass(16*time.Hour - time.Second)
		require.Equal(t, 45009, classic(t, wx).Code)
		pass(time.Second) // midnight in Beijing
		require.Equal(t, 0, classic(t, wx).Code)

		wx.Add(wechattest.App{ID: "wx1", Secret: "s1", TokenQuota: -1})
		for range 3000 {
			require.Equal(t, 0, classic(t, wx).Code)
		}
	})
}

func TestStableTokenTakesTenThousandCallsAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		wx.AddApp("wx2", "s2")
		for range 10_000 {
			require.Equal(t, 0, stable(t, wx).Code)
		}
		require.Equal(t, 45011, stable(t, wx).Code)
		require.Equal(t, 0, post(t, wx, stableURL, stableBody("wx2", "s2", false)).Code)
		pass(time.Minute)
		require.Equal(t, 0, stable(t, wx).Code)
	})
}
