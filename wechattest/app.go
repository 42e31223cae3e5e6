package wechattest

import (
	"cmp"
	"crypto/subtle"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Kind is the kind of an app.
type Kind string

const (
	Official Kind = "official" // official account (公众号); the default
	Mini     Kind = "mini"     // mini program (小程序)
	Work     Kind = "work"     // WeCom application (企业微信)
)

// App is an account that WeChat knows, with its settings in WeChat's console. ID and Secret are required.
type App struct {
	ID     string `json:"id"`     // AppID; the corp id for Work
	Secret string `json:"secret"` // AppSecret; the application's secret for Work

	Kind    Kind          `json:"kind"`     // default Official
	AgentID int           `json:"agent_id"` // Work: the application; 0: a secret without one, such as contacts
	Life    time.Duration `json:"-"`        // of new tokens and tickets, in whole seconds; default 2h

	// IPs is the whitelist of addresses and CIDRs for token calls; empty: any. With IPsForAll it applies to all calls with the
	// app's secret or access_token, for Mini to those with its secret.
	IPs       []string `json:"ips"`
	IPsForAll bool     `json:"ips_for_all"`

	SecretFrozen bool `json:"secret_frozen"` // token calls reply with 40243, for Work with 50003

	// Daily limits: calls of /cgi-bin/token, default 2000; forced refreshes of the stable token, default 20; and calls by
	// path, default 500000, getticket 10000. A negative one is no limit.
	TokenQuota int            `json:"token_quota"`
	ForceQuota int            `json:"force_quota"`
	Quotas     map[string]int `json:"quotas"`

	Pages             []string `json:"pages"`               // Mini: the published pages; empty: any
	CountryCodeNumber bool     `json:"country_code_number"` // Mini: countryCode of a phone number is a number; default text

	// Templates are the ids of Mini's subscribe message templates. Its users must accept each message of them; see
	// [Server.Accept]. Empty: any id, accepted by everybody.
	Templates []string `json:"templates"`

	// Players are the origins of the web pages that may play Mini with the script of the phone, such as
	// http://127.0.0.1:8080; empty: none.
	Players []string `json:"players"`

	RedirectDomain string   `json:"redirect_domain"` // host that logins may return to, with its port if it has one; empty: any
	JSDomains      []string `json:"js_domains"`      // JS safe domains; they include subdomains; empty: any

	// Owner is the open platform account (开放平台) that the app is bound to; empty: users have no unionid.
	Owner string `json:"owner"`
}

// app is an App and its state.
type app struct {
	App
	corp *corp // Work

	classic, stable, work chain
	history               []*issued
	forced                time.Time // the last forced refresh

	day, minute, hour, month, force periodCounter

	tickets map[string]*ticket
	menu    []byte // the buttons, as menu/get lists them

	limitCodes int // permanent QR codes
}

// corp is a WeCom corporation: its applications, and the state that they share.
type corp struct {
	apps   map[string]*app // by secret
	agents map[int]*app    // by agent, for those that have one
	ticket *ticket
	hour   periodCounter

	departments map[int]Department // without the root, unless it was added
}

// AddApp adds an official account with default settings. It is short for Add(App{ID: id, Secret: secret}).
func (s *Server) AddApp(id, secret string) {
	s.Add(App{ID: id, Secret: secret})
}

// Add adds an app, or changes the settings of one: its tokens, tickets and spent quotas stay as they are. An app is known
// by its ID; a Work one by ID and AgentID, or by ID and Secret where it has no agent.
func (s *Server) Add(settings App) {
	settings.IPs = slices.Clone(settings.IPs)
	settings.Quotas = maps.Clone(settings.Quotas)
	settings.Pages = slices.Clone(settings.Pages)
	settings.JSDomains = slices.Clone(settings.JSDomains)
	settings.Templates = slices.Clone(settings.Templates)
	settings.Players = slices.Clone(settings.Players)
	if settings.Kind == "" {
		settings.Kind = Official
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if settings.Kind == Work {
		s.addWork(settings)
		return
	}
	if s.apps == nil {
		s.apps = make(map[string]*app)
	}
	a := s.apps[settings.ID]
	if a == nil {
		a = new(app)
		s.apps[settings.ID] = a
	}
	a.App = settings
}

// corp returns a corporation, and adds it if it is missing.
func (s *Server) corp(id string) *corp {
	if s.corps == nil {
		s.corps = make(map[string]*corp)
	}
	co := s.corps[id]
	if co == nil {
		co = &corp{apps: make(map[string]*app), agents: make(map[int]*app), departments: make(map[int]Department)}
		s.corps[id] = co
	}
	return co
}

func (s *Server) addWork(settings App) {
	co := s.corp(settings.ID)
	a := co.apps[settings.Secret]
	if other := co.agents[settings.AgentID]; other != nil && other != a {
		delete(co.apps, other.Secret) // the application's secret was changed
		a = other
	}
	if a == nil {
		a = &app{corp: co}
	}
	delete(co.agents, a.AgentID)
	a.App = settings
	co.apps[a.Secret] = a
	if a.AgentID != 0 {
		co.agents[a.AgentID] = a
	}
}

// life returns the time that a new token or ticket is valid.
func (a *app) life() time.Duration {
	if a.Life <= 0 {
		return 2 * time.Hour
	}
	return max(a.Life.Truncate(time.Second), time.Second)
}

// window returns WeChat's five minutes: how long before its end a credential is renewed, and how long a superseded one
// stays valid. It is a quarter of a life that is too short for five minutes.
func (a *app) window() time.Duration {
	return min(5*time.Minute, a.life()/4)
}

// spacing returns the shortest time between two forced refreshes: 30 s, less for short lives.
func (a *app) spacing() time.Duration {
	return min(30*time.Second, a.life()/240)
}

func (a *app) secretIs(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(a.Secret), []byte(secret)) == 1
}

// allows reports whether the whitelist contains an address.
func (a *app) allows(ip string) bool {
	if len(a.IPs) == 0 {
		return true
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	return slices.ContainsFunc(a.IPs, func(entry string) bool {
		if p, err := netip.ParsePrefix(entry); err == nil {
			return p.Contains(addr)
		}
		one, err := netip.ParseAddr(entry)
		return err == nil && one.Unmap() == addr
	})
}

// allowsCall reports whether the whitelist admits an address to a call other than for a token. For a mini program it
// applies only to calls with the secret.
func (a *app) allowsCall(ip string, secret bool) bool {
	return !a.IPsForAll || a.Kind == Mini && !secret || a.allows(ip)
}

// notAllowed returns the errcode for an address that is not on the whitelist.
func (a *app) notAllowed() int {
	if a.Kind == Work {
		return 60020
	}
	return 40164
}

// sorted returns the applications, ordered by agent, then secret.
func (co *corp) sorted() []*app {
	return slices.SortedFunc(maps.Values(co.apps), func(a, b *app) int {
		return cmp.Or(cmp.Compare(a.AgentID, b.AgentID), cmp.Compare(a.Secret, b.Secret))
	})
}
