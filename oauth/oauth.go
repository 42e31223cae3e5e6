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
// A page of shop.example.com sends its visitor to https://wx.example.com/wx/login?to=…, and gets the visitor back at to
// with a login_code, for which its own server is told the [User] by POST /wx/login/redeem. So one domain, authorized in
// WeChat's console, serves many sites, and no browser is believed when it says who it is.
//
// An application that has its own sessions sets [Login.Done] instead; one that has none yet wraps its pages in
// [Login.Require]. [Mini] is the same for mini programs.
package oauth

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/wetoken/wetoken/internal/redact"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Login logs visitors of web pages in (网页授权). Its methods are safe for concurrent use, and its fields are not to be
// changed after the first. Several processes with the same Store are one Login.
//
// A login begun at GET /login ends, at GET /login/callback, by the first of these that is set: Done; Backend; else the
// browser goes to where it was to return, with a login_code for [Login.Redeem].
//
// For pages inside WeChat nothing ties the end of a login to the browser that began it, as WeChat's web view may lose
// cookies in between; website logins and WeCom's QR code demand a cookie of ours. An address with a login_code can be
// handed to another browser in any case. A site that must know puts a random nonce into a cookie of its own, passes it to
// /login, and compares the cookie with the nonce that comes with the User: a login that began elsewhere has another one.
// A nonce is known to whoever made the link to /login, so it says nothing of who has logged in: the login_code alone does.
//
// See https://developers.weixin.qq.com/doc/service/guide/h5/auth.html (网页授权),
// https://developers.weixin.qq.com/doc/oplatform/Website_App/WeChat_Login/Wechat_Login.html (网站应用微信登录) and
// https://developer.work.weixin.qq.com/document/path/91335 (企业微信).
type Login struct {
	AppID  string      // the corp id of WeCom
	Secret string      // not of WeCom, which has Tokens
	Store  store.Store // shared by all processes that use the app; default one of this Login alone
	URL    string      // where browsers find the routes, such as https://wx.example.com/wx
	Hosts  []string    // that logins may return to, such as shop.example.com or 127.0.0.1:8080

	// Kind says where users log in: those of an official account (公众号) on pages inside WeChat, of a website application
	// (网站应用) by a QR code on a computer, of a WeCom application (企业微信) on pages inside WeCom and WeChat, and by a
	// QR code elsewhere. Default wechat.Official. A mini program has [Mini].
	Kind  wechat.Kind
	Scope string // asked for by /login unless its link says otherwise; default snsapi_base

	// Name tells this Login from others of the same AppID and Store: states, login codes and sessions of one are unknown
	// to the others. Default AppID.
	Name string

	// Done answers the browser of a finished login. The query of its request holds to and nonce as /login got them;
	// to may be empty here. It is called again, with the same User, where the browser asks for the end of a login twice. In WeCom a User without a UserID is no member of the company, but anybody with WeChat; the
	// same goes for Backend and Redeem.
	Done func(w http.ResponseWriter, r *http.Request, u User)

	// Backend is POSTed each finished login, before the browser returns:
	//
	//	{"appid":"…","to":"…","nonce":"…","login_code":"…","user":{"openid":"…"}}
	//	Wetoken-Signature: t=1700000000,v1=hex(HMAC-SHA256(SignKey, t "." body))
	//
	// The browser then returns with the same login_code, a random text of this login alone, which it and Backend have and
	// nobody else. The site must let in the browser that shows it, once and within minutes, as User; nothing else on the
	// address tells whose browser it is.
	//
	// It answers 2xx within 5 seconds. SignKey must be set; with a PreviousSignKey, while it is being changed, there is a
	// second v1. HTTP is the way there; redirects are not followed.
	Backend                  string
	SignKey, PreviousSignKey string
	HTTP                     *http.Client

	AgentID int                // of WeCom: the application
	Tokens  wechat.TokenSource // of WeCom: the application's access tokens

	Session time.Duration  // how long Require knows a visitor; default 24 hours
	Records store.Store    // durable, for refresh tokens; default Store
	Client  *wechat.Client // the way to WeChat's API: its BaseURL and HTTP; default WeChat's own
	OpenURL string         // of WeChat's login pages; default wechat.OpenURL
	SSOURL  string         // of WeCom's QR code page; default wechat.SSOURL

	// Limit is how often one address may ask GET /login, and GET /login/callback, in a minute, in each process; default
	// 20 000. It does not apply where RemoteAddr is private, as that may be a proxy's; behind one with a public address,
	// RemoteAddr must have been made the client's. A browser that keeps cookies may begin 20 logins in a minute.
	Limit int

	redacted
	own     store.Memory
	limiter limiter
}

// redacted keeps the secret of a struct out of what is printed.
type redacted = redact.Struct

// User is who has logged in. Names of fields are WeChat's, and those it did not give are empty: an openid is all there
// is with scope snsapi_base.
type User struct {
	OpenID  string `json:"openid,omitempty"`  // the user, to this app
	UnionID string `json:"unionid,omitempty"` // the user, to all apps of one owner; only with an open platform account

	Nickname   string   `json:"nickname,omitempty"` // any text, markup too
	HeadImgURL string   `json:"headimgurl,omitempty"`
	Sex        int      `json:"sex,omitempty"` // 1 male, 2 female; WeChat has given 0 since 2021
	Province   string   `json:"province,omitempty"`
	City       string   `json:"city,omitempty"`
	Country    string   `json:"country,omitempty"`
	Privilege  []string `json:"privilege,omitempty"`

	UserID         string `json:"userid,omitempty"`          // of WeCom: a member
	ExternalUserID string `json:"external_userid,omitempty"` // of WeCom: a member's contact
	Avatar         string `json:"avatar,omitempty"`          // of WeCom, from here on, with scope snsapi_privateinfo
	Gender         string `json:"gender,omitempty"`
	Mobile         string `json:"mobile,omitempty"`
	Email          string `json:"email,omitempty"`
	BizMail        string `json:"biz_mail,omitempty"`
	QRCode         string `json:"qr_code,omitempty"`
	Address        string `json:"address,omitempty"`

	// Of web logins, from Redeem alone.
	To    string `json:"to,omitempty"`    // the site the login_code was sent to, such as https://shop.example.com
	Nonce string `json:"nonce,omitempty"` // what the site gave /login
}

func (l *Login) kind() wechat.Kind { return cmp.Or(l.Kind, wechat.Official) }

func (l *Login) store() store.Store {
	if l.Store != nil {
		return l.Store
	}
	return &l.own
}

func (l *Login) records() store.Store {
	if l.Records != nil {
		return l.Records
	}
	return l.store()
}

// app names the app on WeChat's side. A WeCom application is one of its own beside others of the same corp.
func (l *Login) app() string {
	if l.kind() == wechat.Work && l.AgentID != 0 {
		return l.AppID + "/" + strconv.Itoa(l.AgentID)
	}
	return l.AppID
}

// owner names the app in records of logins and in cookies.
func (l *Login) owner() string { return named(l.app(), l.Name) }

// named is app, with the name of one of several that share its AppID.
func named(app, name string) string {
	if name == "" || name == app {
		return app
	}
	return app + "/@" + url.PathEscape(name)
}

// key names a record of the app's logins.
func (l *Login) key(what, name string) string { return "oauth/" + l.owner() + "/" + what + "/" + name }
