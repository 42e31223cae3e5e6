package wechattest

import (
	"cmp"
	"crypto/subtle"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Kind is what an app is on WeChat's side.
type Kind string

const (
	Official Kind = "official" // official account (公众号); the default
	Mini     Kind = "mini"     // mini program (小程序)
	Work     Kind = "work"     // WeCom application (企业微信)
)

// App is an account WeChat knows, with its settings in WeChat's console. ID and Secret are required.
type App struct {
	ID     string `json:"id"`     // AppID; the corp id for Work
	Secret string `json:"secret"` // AppSecret; the application's secret for Work

	Kind         Kind           `json:"kind"`          // default Official
	AgentID      int            `json:"agent_id"`      // Work: the application; 0: a secret without one, such as contacts
	Life         time.Duration  `json:"-"`             // of new tokens and tickets, in whole seconds; default 2h
	IPs          []string       `json:"ips"`           // whitelist of addresses and CIDRs for token calls; empty: any
	IPsForAll    bool           `json:"ips_for_all"`   // IPs is for all calls with the app's secret or access_token, for Mini for those with its secret
	SecretFrozen bool           `json:"secret_frozen"` // token calls answer 40243, for Work 50003
	TokenQuota   int            `json:"token_quota"`   // calls of /cgi-bin/token a day; default 2000, negative: no limit
	ForceQuota   int            `json:"force_quota"`   // forced refreshes of the stable token a day; default 20, negative: no limit
	Quotas       map[string]int `json:"quotas"`        // calls a day by path; default 500000, getticket 10000; negative: no limit
	Pages        []string       `json:"pages"`         // Mini: the published pages; empty: any

	CountryCodeNumber bool `json:"country_code_number"` // Mini: countryCode of a phone number is a number; default text

	RedirectDomain string   `json:"redirect_domain"` // host that logins may return to, with a port where it has one; empty: any
	JSDomains      []string `json:"js_domains"`      // JS safe domains, with those below them; empty: any
	Owner          string   `json:"owner"`           // open platform account that the app is bound to; empty: users have no unionid
}

// app is an App with what happened to it.
type app struct {
	App
	corp *corp // Work

	classic, stable, work chain
	history               []*issued
	forced                time.Time // the last forced refresh

	day, minute, hour, month, force tally

	tickets map[string]*ticket
	menu    []byte // the buttons, as menu/get lists them

	limitCodes int // permanent QR codes
}

// corp is a WeCom corporation: its applications, and what they share.
type corp struct {
	apps   map[string]*app // by secret
	agents map[int]*app    // by agent, for those that have one
	ticket *ticket
	hour   tally

	departments map[int]Department // without the root, unless it was added
}

// AddApp adds an official account with everything at its default: short for Add(App{ID: id, Secret: secret}).
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

// corp finds a corporation, or adds it.
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

// life is the time a new token or ticket lasts.
func (a *app) life() time.Duration {
	if a.Life <= 0 {
		return 2 * time.Hour
	}
	return max(a.Life.Truncate(time.Second), time.Second)
}

// window is WeChat's five minutes: how long before its end a credential is renewed and how long a superseded one goes
// on. Lives too short for five minutes get a quarter of themselves.
func (a *app) window() time.Duration {
	return min(5*time.Minute, a.life()/4)
}

// spacing is the time that must lie between two forced refreshes: 30 s, less for short lives.
func (a *app) spacing() time.Duration {
	return min(30*time.Second, a.life()/240)
}

func (a *app) secretIs(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(a.Secret), []byte(secret)) == 1
}

// allows tells whether the whitelist lets an address in.
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

// allowsCall reports whether the whitelist lets an address make a call other than for a token. A mini program has the
// calls checked that carry its secret.
func (a *app) allowsCall(ip string, secret bool) bool {
	return !a.IPsForAll || a.Kind == Mini && !secret || a.allows(ip)
}

// notAllowed is the errcode for an address that is not on the whitelist.
func (a *app) notAllowed() int {
	if a.Kind == Work {
		return 60020
	}
	return 40164
}

// sorted lists the applications by agent, then secret.
func (co *corp) sorted() []*app {
	return slices.SortedFunc(maps.Values(co.apps), func(a, b *app) int {
		return cmp.Or(cmp.Compare(a.AgentID, b.AgentID), cmp.Compare(a.Secret, b.Secret))
	})
}
