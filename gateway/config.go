package gateway

import (
	"cmp"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// Config is the configuration of a gateway. Its JSON is that of the server's configuration file.
type Config struct {
	// PublicURL is the base URL of the public side, as WeChat and browsers use it. Logins need it.
	PublicURL string `json:"public_url"`

	// Store and Records are the URLs of the shared, disposable store and of the durable one; Records is Store by default.
	// cmd/server opens them. New uses only the stores that it is passed, and refuses a URL without one.
	Store   string `json:"store"`
	Records string `json:"records"`

	Endpoints Endpoints `json:"endpoints"`

	// TrustedProxies are the ranges of addresses, such as 10.0.0.0/8, whose X-Forwarded-For is believed; default none.
	// See [Gateway.Shared].
	TrustedProxies []string `json:"trusted_proxies"`

	// ResidentApps is the number of registered apps that a process holds in memory; default 20000. See [Apps].
	ResidentApps int `json:"resident_apps"`

	// KeepRate is the most tokens and tickets of apps with [App.Keep] that a process looks at or renews in a second; default 50.
	KeepRate int `json:"keep_rate"`

	AuditDays int `json:"audit_days"` // days for which the records keep who did what; default 200. See [Audits]

	Keys []Key `json:"keys"` // callers of the private side; more can be registered: see [Keys]

	// Merchants (商户) are keyed by the name that [Pay] refers to them by.
	Merchants map[string]Merchant `json:"merchants"`

	// Apps are keyed by the name in their routes, /app/{name}/…. Logins, copies of messages and replies to callbacks are
	// stored under an app's ID. An app that is renamed keeps them if its ID is set to its old name.
	Apps map[string]App `json:"apps"`

	Compat Compat `json:"compat"`
}

// Endpoints are the base URLs of the WeChat servers. The default of each is in its comment.
type Endpoints struct {
	API   string `json:"api"`   // https://api.weixin.qq.com
	Work  string `json:"work"`  // https://qyapi.weixin.qq.com
	Open  string `json:"open"`  // https://open.weixin.qq.com, where browsers log in
	Login string `json:"login"` // https://login.work.weixin.qq.com, the QR code of WeCom
	MP    string `json:"mp"`    // https://mp.weixin.qq.com, where accounts authorize a platform
	Pay   string `json:"pay"`   // https://api.mch.weixin.qq.com

	// Script is a simulated WeChat, whose scripts the example pages of [Compat] load. Default https://res.wx.qq.com and, for
	// payments, what WeChat's browser has.
	Script string `json:"script"`
}

// Key is a caller of the private side, known by a secret.
type Key struct {
	Name string   `json:"name" blanks:"kept"` // for the log
	Key  string   `json:"key"`                // at least 16 characters, or sha256: and the hex digest of such a key
	Apps []string `json:"apps"`               // names of apps, or platform:NAME for all accounts that have authorized a platform; "*" is all

	// Scopes are some of token, renew, ticket, message, login, pay, refund, transfer, pay-api and admin. "*" is all but the last four.
	Scopes []string `json:"scopes"`

	// Paths are those of APIv3 that the scope pay-api is for: exact ones, or all below one that ends with /*. Writes that may move
	// money out need the scope refund or transfer, too.
	Paths []string `json:"paths"`

	// MaxFen is the most that one order, refund, reversal or transfer may have, and DayFen the most that the last three may have
	// together in a day of Beijing; default no limit.
	MaxFen int64 `json:"max_fen"`
	DayFen int64 `json:"day_fen"`

	ExpiresAt time.Time `json:"expires_at"` // the key is refused from then on; default never

	// Addresses are those that the key may be used from, such as 10.0.0.0/8 or 192.0.2.7; default any. Behind a proxy of
	// [Config.TrustedProxies], that is the address of the client.
	Addresses []string `json:"addresses"`

	// Rate is the number of requests a second that each process serves the key, after up to twice as many at once. The reply to
	// others is 429. Default no limit.
	Rate int `json:"rate"`
}

// App is one WeChat app.
type App struct {
	// ID is part of the keys under which the stores keep what belongs to this app; default its name under [Config.Apps].
	ID   string `json:"id"`
	Name string `json:"name" blanks:"kept"` // for people

	AppID  string      `json:"app_id"` // of WeCom the corp id
	Secret string      `json:"secret"`
	Kind   wechat.Kind `json:"kind"` // default official

	// Platform is the name of the platform that an app of kind authorized has authorized, and Account is the kind of its account:
	// official (default) or mini. AuthorizedAt and RevokedAt are the times of its authorization and, while it is revoked, of that;
	// nobody but the notices of WeChat changes them. See [Apps].
	Platform     string      `json:"platform"`
	Account      wechat.Kind `json:"account"`
	AuthorizedAt time.Time   `json:"authorized_at"`
	RevokedAt    time.Time   `json:"revoked_at"`

	// ReleaseCheck has an app of kind platform answer the messages of WeChat's release check (全网发布检测).
	ReleaseCheck bool `json:"release_check"`

	// NextSecret is used once WeChat refuses Secret as wrong, so that a reset in WeChat's console can be prepared. Afterwards set
	// Secret to it. PreviousSecret is a former secret by which callers that send appid and secret are still known.
	NextSecret     string `json:"next_secret"`
	PreviousSecret string `json:"previous_secret"`

	// AgentID is the WeCom application (应用) that Secret belongs to. WeCom needs it where Hosts is set.
	AgentID   int    `json:"agent_id"`
	TokenMode string `json:"token_mode"` // stable (default) or classic

	// Keep has the token, and tickets of the types in Tickets (jsapi, wx_card, agent_config), renewed before they expire even
	// if nobody reads them.
	Keep    bool     `json:"keep"`
	Tickets []string `json:"tickets"`

	ExpiresAt time.Time `json:"expires_at"` // end of the registration; default never

	// PublicURL is the base URL of this app's routes, in place of [Config.PublicURL].
	PublicURL string `json:"public_url"`

	// Allow lists the routes that this app may be used through, such as /token. The default is all, and so is "/".
	Allow []string `json:"allow"`

	// Hosts are the hosts that logins may return to, whose pages may be signed, and whose backends a request may name.
	Hosts []string `json:"hosts"`

	// VerifyFiles are served at the root of the public side, such as MP_verify_….txt and WW_verify_….txt.
	VerifyFiles map[string]string `json:"verify_files" blanks:"kept"`

	// Cards lets anybody have cards signed, by their id, for the pages of an official account. See [jssdk.Handler].
	Cards bool `json:"cards"`

	SignKey         string   `json:"sign_key"`          // signs requests to backends
	PreviousSignKey string   `json:"previous_sign_key"` // during a change of SignKey
	Message         *Message `json:"message"`           // default no callbacks

	Pay     *Pay    `json:"pay"` // default no payments
	OpenPay OpenPay `json:"open_pay"`

	// ReceiveIDs are further ids that encrypted messages may be for; "any" is all.
	ReceiveIDs ReceiveIDs `json:"receive_ids"`

	// WCodeTemplateID is the template of the messages with a code that wetoken's old clients send. See [Compat].
	WCodeTemplateID string `json:"wcode_template_id"`

	// ForwardSignature passes WeChat's signature on to backends of every form.
	ForwardSignature bool `json:"forward_signature"`
}

// id returns the id of an app with a name under apps.
func (a App) id(name string) string { return cmp.Or(a.ID, name) }
