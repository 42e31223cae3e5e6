package wechattest_test

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestAPersonWhoDeniesReturnsWithoutACode(t *testing.T) {
	wx := webServer()
	wx.Browse("", wechattest.Deny)
	require.Empty(t, loginCode(t, wx, inside, "wx1", "snsapi_userinfo"))
	require.NotEmpty(t, loginCode(t, wx, inside, "wx1", "snsapi_base"), "nobody is asked")
}

func TestTheConsentPageIsClickedOnce(t *testing.T) {
	wx := webServer()
	wx.AddPerson(wechattest.Person{Name: "li", Nickname: `<b>"O'Li"</b>`})
	wx.AddPerson(wechattest.Person{Name: "han"})
	wx.Browse("", wechattest.Ask)
	for do, as := range map[string]string{"allow": "han", "deny": "", "snapshot": "li"} {
		status, _, body := look(t, wx, authorizeURL(inside, "wx1", backTo, "snsapi_userinfo"))
		require.Equal(t, 200, status)
		require.Contains(t, body, `id="`+do+`"`)
		require.NotContains(t, body, "<b>")
		ticket := regexp.MustCompile(`name="ticket" value="([^"]+)"`).FindStringSubmatch(body)[1]
		answer := openHost + "/connect/answer?" + url.Values{"ticket": {ticket}, "do": {do}, "as": {as}}.Encode()
		status, to, _ := look(t, wx, answer)
		require.Equal(t, 302, status)
		require.Equal(t, do != "deny", to.Query().Has("code"))
		if do == "allow" {
			require.Equal(t, wx.OpenID("wx1", "han"), exchange(t, wx, "wx1", to.Query().Get("code")).OpenID)
		}
		status, _, body = look(t, wx, answer)
		require.Equal(t, 200, status)
		require.Contains(t, body, "页面已失效")
	}
	_, _, body := look(t, wx, authorizeURL(qrCode, "site", backTo, "snsapi_login"))
	require.Contains(t, body, "扫码")
}

func TestALinkThatIsWrongLeadsNowhere(t *testing.T) {
	wx := webServer()
	wx.Add(wechattest.App{ID: "mini", Secret: "s1", Kind: wechattest.Mini})
	good := authorizeURL(inside, "wx1", backTo, "snsapi_base")
	for want, address := range map[string]string{
		"10003":              authorizeURL(inside, "wx1", "https://evil.example.net/", "snsapi_base"),
		">10003<":            authorizeURL(inside, "wx1", "https://sub.wx.example.com/", "snsapi_base"),
		"10005":              authorizeURL(inside, "wx1", backTo, "snsapi_login"),
		">10005<":            authorizeURL(qrCode, "site", backTo, "snsapi_base"),
		"10011":              strings.Replace(good, "state=s1", "state=s-1", 1),
		"10012":              authorizeURL(inside, "wx1", backTo, ""),
		"10013":              authorizeURL(inside, "wx1", "", "snsapi_base"),
		"10014":              authorizeURL(inside, "", backTo, "snsapi_base"),
		"each once":          strings.Replace(good, "state=s1", "state=s1&state=s2", 1),
		"this order":         strings.Replace(good, "&scope=", "&connect_redirect=1&scope=", 1),
		"in this":            strings.Replace(good, "&scope=", "&agentid=7&scope=", 1),
		"order, and":         strings.Replace(good, "&state=", "&lang=cn&state=", 1),
		"参数错误":               strings.Replace(good, "response_type=code", "response_type=token", 1),
		"in this order":      openHost + inside + "?appid=wx1&scope=snsapi_base&redirect_uri=" + url.QueryEscape(backTo) + "&response_type=code&state=s1",
		"40013":              authorizeURL(inside, "wx9", backTo, "snsapi_base"),
		">40013<":            authorizeURL(inside, "site", backTo, "snsapi_base"),
		"AppID":              authorizeURL(qrCode, "wx1", backTo, "snsapi_login"),
		"The app is unknown": authorizeURL(inside, "mini", backTo, "snsapi_base"),
		"10003<":             authorizeURL(inside, "wx1", "ftp://wx.example.com/", "snsapi_base"),
	} {
		status, to, body := look(t, wx, address)
		require.Equal(t, 200, status, address)
		require.Empty(t, to.String(), address)
		require.Contains(t, body, want, address)
	}
	status, _, _ := look(t, wx, good)
	require.Equal(t, 302, status)
	require.Equal(t, 40066, get(t, wx, strings.Replace(good, openHost, "https://qyapi.weixin.qq.com", 1)).Code, "pages are on WeChat's hosts for pages")
}

func TestALinkMayHaveNoStateAndFurtherParameters(t *testing.T) {
	wx := webServer()
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7})
	good := authorizeURL(inside, "wx1", backTo, "snsapi_base")
	corp := authorizeURL(inside, "ww1", backTo, "snsapi_privateinfo")
	for _, c := range []struct{ address, state string }{
		{strings.Replace(good, "#", "&connect_redirect=1#", 1), "s1"},
		{strings.Replace(good, "#", "&connect_redirect=1&forcePopup=true#", 1), "s1"},
		{strings.Replace(good, "#", "&forcePopup=true&connect_redirect=1#", 1), "s1"},
		{strings.Replace(good, "&state=s1", "", 1), ""},
		{strings.Replace(good, "state=s1", "state=", 1), ""},
		{strings.Replace(good, "&state=s1", "&connect_redirect=1", 1), ""},
		{strings.Replace(authorizeURL(qrCode, "site", backTo, "snsapi_login"), "&state=s1", "", 1), ""},
		{strings.Replace(corp, "&state=s1", "&agentid=7&state=s1", 1), "s1"},
		{strings.Replace(corp, "&state=s1", "&state=s1&agentid=7", 1), "s1"},
		{strings.Replace(corp, "&state=s1", "&agentid=7", 1), ""},
	} {
		status, to, body := look(t, wx, c.address)
		require.Equal(t, 302, status, "%s %s", c.address, body)
		require.NotEmpty(t, to.Query().Get("code"), c.address)
		require.Equal(t, []string{c.state}, to.Query()["state"], c.address)
	}
}

func TestWeComsOlderPageWithAQRCodeLogsIn(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7, RedirectDomain: "wx.example.com"})
	wx.Browse("", wechattest.Allow)
	page := "https://open.work.weixin.qq.com/wwopen/sso/qrConnect?appid=ww1&agentid=7&redirect_uri=" + url.QueryEscape(backTo)
	for _, address := range []string{page, page + "&state=web_login%40gyoss9&lang=en"} {
		status, to, body := look(t, wx, address)
		require.Equal(t, 302, status, body)
		require.NotEmpty(t, to.Query().Get("code"))
	}
	for _, address := range []string{
		strings.Replace(page, "agentid=7", "agentid=8", 1),
		strings.Replace(page, "agentid=7&", "", 1),
		strings.Replace(page, "ww1", "ww9", 1),
		strings.Replace(page, "wx.example.com", "evil.example.com", 1),
	} {
		status, to, _ := look(t, wx, address)
		require.Equal(t, 200, status)
		require.Empty(t, to.String())
	}
}

func TestPersonsAreDrivenOverHTTP(t *testing.T) {
	wx := new(wechattest.Server)
	do := func(method, call, body string) answer {
		return send(t, wx.Client(), method, control+call, "application/json", body)
	}
	for call, body := range map[string]string{
		"apps":   `{"id":"wx1","secret":"s1","kind":"mini","owner":"owner","redirect_domain":"x","js_domains":["x"]}`,
		"people": `{"name":"li","nickname":"雷","phone":"13900139000"}`,
		"browse": `{"person":"li","consent":"allow"}`,
	} {
		require.Equal(t, 200, do("POST", call, body).Status, call)
	}
	require.JSONEq(t, `{"openid":"`+wx.OpenID("wx1", "li")+`"}`, do("GET", "openid?app=wx1&person=li", "").Raw)
	require.Equal(t, 400, do("POST", "user_data", `{"app":"wx1","person":"li"}`).Status, "there is no session yet")
	var a struct{ Code string }
	require.NoError(t, json.Unmarshal([]byte(do("POST", "mini_code", `{"app":"wx1","person":"li"}`).Raw), &a))
	require.Zero(t, sns(t, wx, "/sns/jscode2session", "appid", "wx1", "secret", "s1", "js_code", a.Code, "grant_type", "authorization_code").Code)
	require.Contains(t, do("POST", "user_data", `{"app":"wx1","person":"li"}`).Raw, "encryptedData")
	require.Contains(t, do("POST", "phone_data", `{"app":"wx1","person":"li"}`).Raw, "encryptedData")
	require.Contains(t, do("POST", "phone_code", `{"app":"wx1","person":"li"}`).Raw, "wechattest")
	for call, body := range map[string]string{"people": `{}`, "mini_code": `{"app":"wx9"}`, "phone_code": `{"app":"wx1","person":"nobody"}`, "browse": `{"x":1}`} {
		require.Equal(t, 400, do("POST", call, body).Status, call)
	}
}
