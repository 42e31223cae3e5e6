package oauth

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/wetoken/wetoken/wechat"
)

// WeChat's names of what a login may ask for.
const (
	ScopeBase        = "snsapi_base"        // the openid, or WeCom's userid; the user is not asked
	ScopeUserInfo    = "snsapi_userinfo"    // nickname and picture too; the user is asked
	ScopeLogin       = "snsapi_login"       // the one of websites
	ScopePrivateInfo = "snsapi_privateinfo" // of WeCom: picture, mobile, mail; the member is asked
)

// Languages of UserInfo.
const (
	zhCN = "zh_CN"
	zhTW = "zh_TW"
	en   = "en"
)

// AuthorizeURL is the page inside WeChat, or WeCom, that asks the user and then sends the browser to redirectURI with
// code and state. Letters and digits of state come back, up to 128 of them. WeChat demands the parameters in this very
// order. The last one, which its manual lacks, keeps WeChat on Android from asking for redirectURI twice.
func (l *Login) AuthorizeURL(redirectURI, scope, state string) string {
	q := l.query(redirectURI, scope, state)
	if l.kind() == wechat.Work && l.AgentID != 0 {
		q += "&agentid=" + strconv.Itoa(l.AgentID)
	}
	return base(l.OpenURL, wechat.OpenURL) + "/connect/oauth2/authorize?" + q + "&connect_redirect=1#wechat_redirect"
}

// QRURL is the page with the QR code, for a website or WeCom, that sends the browser to redirectURI once the user has
// scanned it. lang is zh_CN or en.
func (l *Login) QRURL(redirectURI, state, lang string) string {
	if l.kind() == wechat.Work {
		return base(l.SSOURL, wechat.SSOURL) + "/wwlogin/sso/login?login_type=CorpApp&appid=" + escape(l.AppID) +
			"&agentid=" + strconv.Itoa(l.AgentID) + "&redirect_uri=" + escape(redirectURI) + "&state=" + escape(state)
	}
	q := l.query(redirectURI, ScopeLogin, state)
	if lang == en {
		q += "&lang=en"
	}
	return base(l.OpenURL, wechat.OpenURL) + "/connect/qrconnect?" + q + "#wechat_redirect"
}

func (l *Login) query(redirectURI, scope, state string) string {
	return "appid=" + escape(l.AppID) + "&redirect_uri=" + escape(redirectURI) +
		"&response_type=code&scope=" + escape(scope) + "&state=" + escape(state)
}

// escape is the browser's encodeURIComponent, near enough: a blank is %20.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func base(set, standard string) string {
	if set == "" {
		return standard
	}
	return strings.TrimSuffix(set, "/")
}
