// Package oauth logs people in with WeChat: on web pages inside WeChat, on websites by QR code, in WeCom, and in mini
// programs.
//
//	login := &oauth.Login{
//		AppID: id, Secret: secret, Store: s,
//		URL: "https://wx.example.com/wx", Hosts: []string{"shop.example.com"},
//	}
//	wetoken.Bind(public, "/wx", login)
//	wetoken.Bind(private, "/wx", &oauth.Handler{Source: login, Guard: guard})
//
// A page of shop.example.com sends its visitor to https://wx.example.com/wx/login?to=…. The visitor returns to the
// address to with a login_code, and the server of the site gets the [User] for it by POST /wx/login/redeem. So one
// domain, authorized in WeChat's console, serves many sites, and no site has to trust a browser.
//
// An application that has its own sessions sets [Login.OnLogin] instead. One without sessions wraps its pages in
// [Login.Require]. [Mini] does the same for mini programs.
//
// # Several processes
//
// Processes with the same Store work as one: a login may begin in one process and end in another, and any of them
// redeems the login_code. Limits by address are counted in each process.
//
// # Errors
//
// [ErrLoginCode], [ErrNoGrant] and [ErrSession] mean that the user must log in again, [ErrData] that a mini program sent
// data that is not WeChat's. Other errors wrap the *wechat.Error with which WeChat refused, or the reason why WeChat or
// Store could not be reached. Browsers get a page or a login_error, and never the error text.
//
// # Rotating secrets
//
// WeChat ends the old AppSecret when it is reset in the console: restart the processes with the new Secret then. Logins,
// sessions and grants in Store do not depend on it. To change SignKey, set the old one as PreviousSignKey for a while:
// backends then get a signature by each of the two.
package oauth

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/wetoken/wetoken/internal/redact"
	"github.com/wetoken/wetoken/internal/secret"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Login logs visitors of web pages in (网页授权). Its methods are safe for concurrent use. Do not change its fields after
// the first call. Several processes with the same Store act as one Login.
//
// A login begins at GET /login and ends at GET /login/callback. The end is the first of these that is set: OnLogin,
// then BackendURL. If neither is set, the browser returns to its site with a login_code for [Login.Redeem].
//
// A login on a page inside WeChat may end in another browser than it began in, since WeChat's web view may lose
// cookies. Website logins and WeCom's QR code require a cookie. In all cases, an address with a login_code can be
// opened in another browser. A site that must prevent this puts a random nonce into a cookie of its own, passes it to
// /login, and compares the cookie with the nonce of the User: a login that began elsewhere has another nonce. The nonce
// does not prove who logged in, since the author of the link to /login knows it: only the login_code does.
//
// See https://developers.weixin.qq.com/doc/service/guide/h5/auth.html (网页授权),
// https://developers.weixin.qq.com/doc/oplatform/Website_App/WeChat_Login/Wechat_Login.html (网站应用微信登录) and
// https://developer.work.weixin.qq.com/document/path/91335 (企业微信).
type Login struct {
	AppID  string // WeCom: the corp id
	Secret string // not for WeCom, which has Tokens

	// NextSecret is tried when WeChat refuses Secret as wrong, and is used from then on: see token.Manager. Default: none.
	NextSecret string

	// PlatformID and PlatformTokens are for an account that has authorized a third-party platform (第三方平台): the appid of the platform
	// and its component_access_token, such as a platform.Platform, in place of Secret.
	PlatformID     string
	PlatformTokens wechat.TokenSource

	// Store is shared by all processes that use the app. Default: a store of this Login alone.
	Store store.Store

	// URL is the address where browsers find the routes, such as https://wx.example.com/wx.
	URL string

	// Hosts are the hosts that logins may return to, such as shop.example.com or 127.0.0.1:8080.
	Hosts []string

	// Kind is the kind of the app, which decides where users log in: for an official account (公众号) on pages inside
	// WeChat, for a website application (网站应用) by a QR code, for a WeCom application (企业微信) on pages inside WeCom and
	// WeChat, and by a QR code elsewhere. Default: wechat.Official. For a mini program use [Mini].
	Kind wechat.Kind

	// Scope is the scope of links to /login that name none. Default: snsapi_base.
	Scope string

	// Name distinguishes this Login from others with the same AppID and Store: each has its own states, login codes and
	// sessions. Default: AppID.
	Name string

	// OnLogin is called to answer the browser of a finished login. The query of the request has to and nonce as /login
	// got them; to may be empty. OnLogin is called again, with the same User, if the browser requests the end of a
	// login twice. In WeCom a User without a UserID is not a member of the company: anybody with WeChat can log in. The
	// same applies to BackendURL and Redeem.
	OnLogin func(w http.ResponseWriter, r *http.Request, u User)

	// BackendURL receives a POST for each finished login, before the browser returns:
	//
	//	{"appid":"…","to":"…","nonce":"…","login_code":"…","user":{"openid":"…"}}
	//	Wetoken-Signature: t=1700000000,v1=hex(HMAC-SHA256(SignKey, t "." body))
	//
	// The browser then returns with the same login_code, a random text that only the browser and BackendURL know. The
	// site must accept the browser that presents it as User, once and within minutes. Nothing else in the address
	// identifies the browser.
	//
	// BackendURL must answer 2xx within 5 seconds. SignKey is required. PreviousSignKey, set while the key is changed,
	// adds a second v1. HTTP is the client for the request; redirects are not followed.
	BackendURL string

	SignKey, PreviousSignKey string
	HTTP                     *http.Client

	AgentID int                // WeCom: the application
	Tokens  wechat.TokenSource // WeCom: the application's access tokens

	// Session is the life of a session of Require. Default: 24 hours.
	Session time.Duration

	// Records stores refresh tokens, and should be durable. Default: Store.
	Records store.Store

	// Client has the BaseURL and HTTP client for WeChat's API. Default: WeChat's own address.
	Client *wechat.Client

	// OpenURL is the base URL of the login pages. Default: wechat.OpenURL.
	OpenURL string

	// SSOURL is the base URL of WeCom's QR code page. Default: wechat.SSOURL.
	SSOURL string

	// Limit is the number of requests that one address may make in a minute, in each process, to GET /login and to GET
	// /login/callback. Default: 20 000. It does not apply to a private RemoteAddr, which may be that of a proxy. Behind
	// a proxy with a public address, set RemoteAddr to the client's address first. A browser that keeps cookies may
	// begin 20 logins in a minute.
	Limit int

	redacted
	secrets  secret.Choice
	ownStore store.Memory
	limiter  limiter
}

// redacted keeps the secret of a struct out of printed text.
type redacted = redact.Struct

// User is the person who logged in. Fields have WeChat's names. Fields that WeChat did not send are empty: with scope
// snsapi_base there is an openid only.
type User struct {
	OpenID string `json:"openid,omitempty"` // identifies the user to this app

	// UnionID identifies the user to all apps of one owner. It needs an open platform account.
	UnionID string `json:"unionid,omitempty"`

	Nickname   string   `json:"nickname,omitempty"` // any text, may contain markup
	HeadImgURL string   `json:"headimgurl,omitempty"`
	Sex        int      `json:"sex,omitempty"` // 1 male, 2 female; WeChat has sent 0 since 2021
	Province   string   `json:"province,omitempty"`
	City       string   `json:"city,omitempty"`
	Country    string   `json:"country,omitempty"`
	Privilege  []string `json:"privilege,omitempty"`

	UserID         string `json:"userid,omitempty"`          // WeCom: a member
	ExternalUserID string `json:"external_userid,omitempty"` // WeCom: a contact of a member
	Avatar         string `json:"avatar,omitempty"`          // WeCom, like all below, with scope snsapi_privateinfo
	Gender         string `json:"gender,omitempty"`
	Mobile         string `json:"mobile,omitempty"`
	Email          string `json:"email,omitempty"`
	BizMail        string `json:"biz_mail,omitempty"`
	QRCode         string `json:"qr_code,omitempty"`
	Address        string `json:"address,omitempty"`

	// Web logins only, and only from Redeem.
	To string `json:"to,omitempty"` // site that got the login_code, such as https://shop.example.com

	Nonce string `json:"nonce,omitempty"` // nonce that the site passed to /login
}

func (l *Login) kind() wechat.Kind { return cmp.Or(l.Kind, wechat.Official) }

func (l *Login) store() store.Store {
	if l.Store != nil {
		return l.Store
	}
	return &l.ownStore
}

func (l *Login) records() store.Store {
	if l.Records != nil {
		return l.Records
	}
	return l.store()
}

// appName returns the name of the app for WeChat. Applications of one corp in WeCom are separate apps.
func (l *Login) appName() string {
	if l.kind() == wechat.Work && l.AgentID != 0 {
		return l.AppID + "/" + strconv.Itoa(l.AgentID)
	}
	return l.AppID
}

// ownerName returns the name of the app in keys and cookies.
func (l *Login) ownerName() string { return qualifiedName(l.appName(), l.Name) }

// qualifiedName returns app, extended by name if several share the AppID.
func qualifiedName(app, name string) string {
	if name == "" || name == app {
		return app
	}
	return app + "/@" + url.PathEscape(name)
}

// recordKey returns the key of a record of the app's logins.
func (l *Login) recordKey(what, name string) string {
	return "oauth/" + l.ownerName() + "/" + what + "/" + name
}
