package oauth

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/wetoken/wetoken/wechat"
)

// The scopes of a login, by WeChat's names.
const (
	ScopeBase        = "snsapi_base"        // openid, or the userid of WeCom; the user is not asked
	ScopeUserInfo    = "snsapi_userinfo"    // nickname and picture too; the user is asked
	ScopeLogin       = "snsapi_login"       // the only scope of websites
	ScopePrivateInfo = "snsapi_privateinfo" // WeCom: picture, mobile number and mail; the member is asked
)

// The languages that UserInfo takes.
const (
	zhCN = "zh_CN"
	zhTW = "zh_TW"
	en   = "en"
)

// AuthorizeURL returns the address of the page inside WeChat, or WeCom, that asks the user and then sends the browser
// to redirectURI with code and state. State may have up to 128 letters and digits. WeChat requires this order of the
// parameters. The last parameter is not in its manual: it keeps WeChat on Android from requesting redirectURI twice.
func (l *Login) AuthorizeURL(redirectURI, scope, state string) string {
	q := l.authorizeQuery(redirectURI, scope, state)
	if l.kind() == wechat.Work && l.AgentID != 0 {
		q += "&agentid=" + strconv.Itoa(l.AgentID)
	}
	if l.PlatformID != "" {
		q += "&component_appid=" + encodeURIComponent(l.PlatformID)
	}
	return baseURL(l.OpenURL, wechat.OpenURL) + "/connect/oauth2/authorize?" + q + "&connect_redirect=1#wechat_redirect"
}

// QRURL returns the address of the page with the QR code, for a website or WeCom. The page sends the browser to
// redirectURI when the user has scanned the code. lang is zh_CN or en.
func (l *Login) QRURL(redirectURI, state, lang string) string {
	if l.kind() == wechat.Work {
		return baseURL(l.SSOURL, wechat.SSOURL) + "/wwlogin/sso/login?login_type=CorpApp&appid=" + encodeURIComponent(l.AppID) +
			"&agentid=" + strconv.Itoa(l.AgentID) + "&redirect_uri=" + encodeURIComponent(redirectURI) + "&state=" + encodeURIComponent(state)
	}
	q := l.authorizeQuery(redirectURI, ScopeLogin, state)
	if lang == en {
		q += "&lang=en"
	}
	return baseURL(l.OpenURL, wechat.OpenURL) + "/connect/qrconnect?" + q + "#wechat_redirect"
}

func (l *Login) authorizeQuery(redirectURI, scope, state string) string {
	return "appid=" + encodeURIComponent(l.AppID) + "&redirect_uri=" + encodeURIComponent(redirectURI) +
		"&response_type=code&scope=" + encodeURIComponent(scope) + "&state=" + encodeURIComponent(state)
}

// encodeURIComponent escapes s like the function of that name in browsers: a blank is %20.
func encodeURIComponent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func baseURL(set, standard string) string {
	if set == "" {
		return standard
	}
	return strings.TrimSuffix(set, "/")
}
