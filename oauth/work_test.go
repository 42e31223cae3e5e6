package oauth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

const inWeCom = "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 MicroMessenger/7.0.1 wxwork/4.1.0 Mobile/15E148"

func TestAMemberLogsInInsideWeCom(t *testing.T) {
	s := newStage(wecom)
	b := s.browser(t, "User-Agent", inWeCom)
	at, err := url.Parse(b.stop("https://open.weixin.qq.com/", loginURL(shop)))
	require.NoError(t, err)
	require.Equal(t, "/connect/oauth2/authorize", at.Path)
	p := b.open(loginURL(shop))
	u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, oauth.User{UserID: "ming", To: "https://shop.example.com"}, u)
}

func TestAMemberLogsInInsideWeChat(t *testing.T) {
	const inWeChat = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.42 NetType/WIFI"
	s := newStage(wecom)
	b := s.browser(t, "User-Agent", inWeChat) // by WeCom's plug-in
	at, err := url.Parse(b.stop("https://open.weixin.qq.com/", loginURL(shop)))
	require.NoError(t, err)
	require.Equal(t, "/connect/oauth2/authorize", at.Path)
	u, err := s.login.Redeem(t.Context(), b.open(loginURL(shop)).url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, "ming", u.UserID)
	requireRefused(t, s.browser(t), b.stop(back, loginURL(shop)), 403, "请在原浏览器中登录")
}

func TestAMemberScansTheCodeElsewhere(t *testing.T) {
	s := newStage(wecom, allowConsent)
	b := s.browser(t, "User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0")
	at, err := url.Parse(b.stop("https://login.work.weixin.qq.com/", loginURL(shop)))
	require.NoError(t, err)
	require.Equal(t, "/wwlogin/sso/login", at.Path)
	end := b.stop(back, loginURL(shop))
	requireRefused(t, s.browser(t), end, 403, "请在原浏览器中登录")
	p := b.open(end)
	u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, "ming", u.UserID)
}

func TestALoginBegunInsideWeComDoesNotEndOutside(t *testing.T) {
	s := newStage(wecom)
	end := s.browser(t, "User-Agent", inWeCom).stop(back, loginURL(shop))
	requireRefused(t, s.browser(t), end, 403, "请在原浏览器中登录")
	require.Equal(t, "shop", s.browser(t, "User-Agent", inWeCom).open(end).body)
}

func TestAMemberMayConsentToMoreFields(t *testing.T) {
	s := newStage(wecom, allowConsent)
	s.wx.AddPerson(wechattest.Person{Name: "li", UserID: "li.lei", Phone: "13900139000", HeadImgURL: "https://wework.qpic.cn/0"})
	p := s.browser(t, "User-Agent", inWeCom).open(loginURL(shop, "scope", "snsapi_privateinfo"))
	u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, oauth.User{UserID: "li.lei", Gender: "1", Avatar: "https://wework.qpic.cn/0", Mobile: "13900139000", Email: "li@example.com", To: "https://shop.example.com"}, u)
}

func TestAVisitorOfWeComHasAnOpenID(t *testing.T) {
	s := newStage(wecom)
	s.wx.AddPerson(wechattest.Person{Name: "guest", Visitor: true})
	p := s.browser(t, "User-Agent", inWeCom).open(loginURL(shop))
	u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, oauth.User{OpenID: s.wx.OpenID(corpID, "guest"), To: "https://shop.example.com"}, u)
}

func TestRequireAdmitsOnlyMembersOfWeCom(t *testing.T) {
	s := newStage(wecom)
	app := s.app()
	member := browse(t, s.wx, app, "User-Agent", inWeCom)
	require.Contains(t, member.open(my+"/salaries").body, "hello")

	s.wx.AddPerson(wechattest.Person{Name: "guest", Visitor: true})
	s.wx.Browse("guest", wechattest.Allow)
	for accept, says := range map[string]string{"": "仅限企业成员", "en": "Members only"} {
		guest := browse(t, s.wx, app, "User-Agent", inWeCom, "Accept-Language", accept)
		jar := &recorder{CookieJar: guest.hc.Jar}
		guest.hc.Jar = jar
		p := requireRefused(t, guest, my+"/salaries", 403, says)
		require.NotContains(t, p.body, "hello")
		for _, c := range jar.set {
			require.Regexp(t, "wetoken-(login-|browser$)", c.Name, "no session has begun")
		}
	}
}

func TestASessionWithoutAUserIDIsIgnoredInWeCom(t *testing.T) {
	s := newStage(wecom)
	b := browse(t, s.wx, s.app(), "User-Agent", inWeCom)
	b.open(my + "/")
	for key, err := range s.login.Store.Keys(t.Context(), "oauth/") { // as an older release admitted anybody
		require.NoError(t, err)
		if strings.Contains(key, "/session/") {
			require.NoError(t, s.login.Store.Set(t.Context(), key, []byte(`{"openid":"o1"}`), time.Hour))
		}
	}
	require.Contains(t, b.stop("https://open.weixin.qq.com/", my+"/"), "/connect/oauth2/authorize")
}

func TestApplicationsOfOneCorpShareNoLogins(t *testing.T) {
	s := newStage(wecom)
	staff := &oauth.Login{
		AppID: corpID, Kind: wechat.Work, AgentID: 1000099, Store: s.login.Store, URL: mount, Hosts: s.login.Hosts,
		Tokens: s.login.Tokens, Client: s.login.Client,
	}
	code := s.browser(t, "User-Agent", inWeCom).open(loginURL(shop)).url.Query().Get("login_code")
	_, err := staff.Redeem(t.Context(), code)
	require.ErrorIs(t, err, oauth.ErrLoginCode)
	_, err = s.login.Redeem(t.Context(), code)
	require.NoError(t, err)

	end := s.browser(t, "User-Agent", inWeCom).stop(back, loginURL(shop))
	requireRefused(t, browse(t, s.wx, (&stage{s.wx, staff}).handler(), "User-Agent", inWeCom), end, 410, "登录已过期")

	app := http.NewServeMux()
	app.Handle("/", s.app())
	app.Handle("/staff/", staff.Require(http.NotFoundHandler()))
	b := browse(t, s.wx, app, "User-Agent", inWeCom)
	require.Contains(t, b.open(my+"/").body, "hello")
	require.Contains(t, b.stop("https://open.weixin.qq.com/", "https://wx.example.com/staff/"), "agentid=1000099")
	for _, c := range b.hc.Jar.Cookies(&url.URL{Scheme: "https", Host: "wx.example.com", Path: "/"}) {
		if !strings.Contains(c.Name, "login") { // a session's cookie under the other's name is ignored too
			sum := sha256.Sum256([]byte(corpID + "/1000099"))
			c.Name = "__Host-wetoken-" + hex.EncodeToString(sum[:])[:12]
			b.hc.Jar.SetCookies(&url.URL{Scheme: "https", Host: "wx.example.com", Path: "/"}, []*http.Cookie{c})
		}
	}
	require.Contains(t, b.stop("https://open.weixin.qq.com/", "https://wx.example.com/staff/"), "agentid=1000099")
}

func TestWeComHasScopesOfItsOwn(t *testing.T) {
	s := newStage(wecom)
	requireRefused(t, s.browser(t), loginURL(shop, "scope", "snsapi_userinfo"), 400, "no such scope")
}

func TestWeComNeedsTokens(t *testing.T) {
	s := newStage(wecom, func(s *stage) { s.login.Tokens = nil })
	_, err := s.login.Exchange(t.Context(), "code")
	require.ErrorContains(t, err, "Tokens must be set")
}

func TestRefusalsOfWeComAreReturned(t *testing.T) {
	s := newStage(wecom)
	_, err := s.login.Exchange(t.Context(), "made-up")
	require.ErrorIs(t, err, wechat.ErrInvalidCode)
	_, err = s.login.UserInfo(t.Context(), oauth.Grant{UserID: "li", UserTicket: "made-up"}, "")
	require.ErrorIs(t, err, wechat.Code(40078))
	s.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/auth/getuserinfo", Body: `{"errcode":0}`})
	_, err = s.login.Exchange(t.Context(), "x")
	require.ErrorContains(t, err, "neither userid nor openid")
	s.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/auth/getuserdetail", Body: `{"errcode":0,"userid":"other"}`})
	_, err = s.login.UserInfo(t.Context(), oauth.Grant{UserID: "li", UserTicket: "t"}, "")
	require.ErrorContains(t, err, "another member")
}

func TestWeComsQRCodeRefusesPrivateInformation(t *testing.T) {
	const desktop = "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0"
	s := newStage(wecom, allowConsent)
	b := s.browser(t, "User-Agent", desktop)
	p := requireRefused(t, b, loginURL(shop, "scope", "snsapi_privateinfo", "nonce", "n1"), 400, "扫码登录不提供敏感信息")
	require.Contains(t, p.body, "继续登录")
	on := b.open(strings.ReplaceAll(between(p.body, `<a href="`, `"`), "&amp;", "&"))
	u, err := s.login.Redeem(t.Context(), on.url.Query().Get("login_code"))
	require.NoError(t, err)
	require.Equal(t, oauth.User{UserID: "ming", To: "https://shop.example.com", Nonce: "n1"}, u)
	require.Contains(t, s.browser(t, "Accept-Language", "en").open(loginURL(shop, "scope", "snsapi_privateinfo")).body, "brings no private information")

	s.login.Scope = oauth.ScopePrivateInfo // the default for all links
	require.NotEmpty(t, s.browser(t, "User-Agent", desktop).open(loginURL(shop)).url.Query().Get("login_code"))
}
