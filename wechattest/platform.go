package wechattest

import (
	"net/http"
	"slices"
	"time"

	"github.com/wetoken/wetoken/wechattest/push"
)

// Platform is a third-party platform of the open platform (开放平台第三方平台), with its settings in the console there. ID and
// Secret are required; Token, EncodingAESKey and an EventURL or Handler for notices.
type Platform struct {
	ID     string `json:"id"`     // component_appid
	Secret string `json:"secret"` // component_appsecret

	Token          string `json:"token"`   // 消息校验Token
	EncodingAESKey string `json:"aes_key"` // 消息加解密Key

	EventURL   string `json:"event_url"`   // 授权事件接收URL
	MessageURL string `json:"message_url"` // 消息与事件接收URL, with $APPID$

	// Handler is called in place of the hosts of EventURL and MessageURL, in memory: see [push.Callback].
	Handler http.Handler `json:"-"`

	// Domain is the host that the authorization page must be opened from and return to (授权发起页域名), with its port if it has
	// one; empty: any.
	Domain string `json:"domain"`

	// LoginDomain is the host that logins of the accounts return to (公众号开发域名); empty: any.
	LoginDomain string `json:"login_domain"`

	IPs  []string      `json:"ips"` // whitelist of addresses and CIDRs for calls of the platform and with its accounts' tokens: 61004; empty: any
	Life time.Duration `json:"-"`   // of component tokens; tickets live 6 times as long; default 2h

	// Rotate makes api_authorizer_token return a new refresh token, which ends the one before. By default it stays the same.
	Rotate bool `json:"rotate"`

	// CodesOnce makes api_query_auth take each code once: 61009. WeChat's pages do not say; the release check uses one twice.
	CodesOnce bool `json:"codes_once"`

	// HideInList and HideInInfo leave the refresh tokens out of api_get_authorizer_list and api_get_authorizer_info, as some
	// users report.
	HideInList bool `json:"hide_in_list"`
	HideInInfo bool `json:"hide_in_info"`

	Denied []string `json:"denied"` // paths that the accounts do not let the platform call: 61007
}

// platformKind is the kind of the app that stands for a platform: its component tokens are tokens of it.
const platformKind Kind = "platform"

// platform is a Platform and its state.
type platform struct {
	Platform
	app      *app
	stopped  bool // tickets are no longer pushed, until api_start_push_ticket
	tickets  []*verifyTicket
	tokens   chain
	preauth  map[string]time.Time // end by code
	codes    map[string]*authCode
	codesDue int               // the number of codes at which the expired ones are dropped
	grants   map[string]*grant // by appid of the account
	order    []string          // those appids, in the order of the first authorization
	notices  []push.Result     // the last ones
}

// verifyTicket is a component_verify_ticket.
type verifyTicket struct {
	value   string
	expires time.Time
	ended   bool
}

// grant is the authorization that an account gave to a platform.
type grant struct {
	platform *platform
	app      *app
	at       time.Time
	tokens   chain
	refresh  string
	revoked  bool
}

// authCode is an authorization code of an account.
type authCode struct {
	grant   *grant
	preauth string
	expires time.Time
	used    bool
}

const (
	preAuthLife  = 30 * time.Minute
	authCodeLife = time.Hour
	maxNotices   = 1000 // that are kept
)

// AddPlatform adds a third-party platform, or changes the settings of one.
func (s *Server) AddPlatform(settings Platform) {
	settings.IPs, settings.Denied = slices.Clone(settings.IPs), slices.Clone(settings.Denied)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.platforms == nil {
		s.platforms = make(map[string]*platform)
	}
	p := s.platforms[settings.ID]
	if p == nil {
		p = &platform{
			app: new(app), preauth: make(map[string]time.Time), codes: make(map[string]*authCode), grants: make(map[string]*grant),
		}
		s.platforms[settings.ID] = p
	}
	p.Platform = settings
	p.app.App = App{ID: settings.ID, Secret: settings.Secret, Kind: platformKind, Life: settings.Life, IPs: settings.IPs}
}

// allowsCall reports whether the whitelist of the platform admits an address.
func (p *platform) allowsCall(ip string) bool { return p.app.allows(ip) }

// ticketLife returns the time that a component_verify_ticket is valid: 12 hours.
func (p *platform) ticketLife() time.Duration { return 6 * p.app.life() }

// interval returns the time between two tickets: 10 minutes.
func (p *platform) interval() time.Duration { return p.app.life() / 12 }

// ticketCode returns the errcode for a component_verify_ticket, or 0.
func (p *platform) ticketCode(value string, now time.Time) int {
	for _, t := range p.tickets {
		switch {
		case t.value != value:
		case t.ended || !now.Before(t.expires):
			return 61005
		default:
			return 0
		}
	}
	return 61006
}

// newTicket issues a component_verify_ticket. Those before stay valid to their end.
func (p *platform) newTicket(now time.Time) string {
	t := &verifyTicket{value: newID("ticket", 80), expires: now.Add(p.ticketLife())}
	p.tickets = append([]*verifyTicket{t}, p.tickets...)
	p.tickets = p.tickets[:min(len(p.tickets), 200)]
	return t.value
}

// authorize makes an account authorize the platform, or change its authorization, and returns the code of that.
func (p *platform) authorize(a *app, preauth string, now time.Time) (code string, infoType string) {
	g := p.grants[a.ID]
	infoType = "updateauthorized"
	if g == nil || g.revoked {
		if g == nil {
			p.order = append(p.order, a.ID)
		}
		g = &grant{platform: p, app: a, at: now}
		p.grants[a.ID], infoType = g, "authorized"
	}
	code = newID("authcode", 64)
	p.codes[code] = &authCode{grant: g, preauth: preauth, expires: now.Add(authCodeLife)}
	delete(p.preauth, preauth)
	if len(p.codes) > p.codesDue {
		for value, old := range p.codes {
			if now.Sub(old.expires) > time.Hour {
				delete(p.codes, value)
			}
		}
		p.codesDue = 2*len(p.codes) + 1000
	}
	return code, infoType
}

// revoke ends the authorization of an account, with its tokens. It reports false if there is none.
func (p *platform) revoke(appID string) bool {
	g := p.grants[appID]
	if g == nil || g.revoked {
		return false
	}
	g.revoked = true
	for _, t := range []*issued{g.tokens.current, g.tokens.previous} {
		if t != nil {
			t.revoked = true
		}
	}
	return true
}

// grantOf returns the authorization of an account, or nil.
func (p *platform) grantOf(appID string) *grant {
	if g := p.grants[appID]; g != nil && !g.revoked {
		return g
	}
	return nil
}
