package gateway

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/wechat"
)

var kinds = []wechat.Kind{wechat.Official, wechat.Mini, wechat.Website, wechat.Work, wechat.Platform, wechat.Authorized}

// scopes are those that a caller may have. Each guards a route.
var scopes = []string{"token", "renew", "ticket", "message", "login", "pay", "refund", "transfer", "pay-api", "admin"}

// Check returns an error that names the key of the first setting that cannot be served. It shows no values, since any may
// be a secret.
func (c Config) Check() error {
	c, err := c.withOwnMerchants()
	if err != nil {
		return err
	}
	if err := cmp.Or(checkBlanks("store", reflect.ValueOf(c.Store)), checkBlanks("records", reflect.ValueOf(c.Records))); err != nil {
		return fmt.Errorf("gateway: config: %w", err)
	}
	if err := checkBaseURL("public_url", c.PublicURL); err != nil {
		return err
	}
	e := c.Endpoints
	for name, u := range map[string]string{"api": e.API, "work": e.Work, "open": e.Open, "login": e.Login, "mp": e.MP, "pay": e.Pay, "script": e.Script} {
		if err := checkBaseURL("endpoints."+name, u); err != nil {
			return err
		}
	}
	if c.ResidentApps < 0 {
		return errors.New("gateway: config: resident_apps: want 1 or more, or 0 for the default")
	}
	if c.AuditDays < 0 || c.AuditDays > maxAuditDays {
		return fmt.Errorf("gateway: config: audit_days: want 1 to %d, or 0 for the default", maxAuditDays)
	}
	if c.KeepRate < 0 || c.KeepRate > maxKeepRate {
		return fmt.Errorf("gateway: config: keep_rate: want 1 to %d, or 0 for the default", maxKeepRate)
	}
	if err := c.checkKeys(); err != nil {
		return err
	}
	for name, a := range c.Apps {
		if a.Kind == wechat.Authorized {
			return fmt.Errorf("gateway: config: apps.%s.kind: must not be authorized here: such an app is registered when its account authorizes the platform, or by PUT /apps/{name}", name)
		}
	}
	if err := c.checkApps(); err != nil {
		return err
	}
	if err := c.checkPay(); err != nil {
		return fmt.Errorf("gateway: config: %w", err)
	}
	if _, err := c.proxies(); err != nil {
		return err
	}
	if err := c.Compat.check(); err != nil {
		return fmt.Errorf("gateway: config: compat.%w", err)
	}
	_, err = c.verifyFiles()
	return err
}

// checkKeys checks the caller keys.
func (c Config) checkKeys() error {
	if len(c.Keys) == 0 {
		return errors.New("gateway: config: keys: want at least one caller key")
	}
	seen := make(map[[sha256.Size]byte]int, len(c.Keys))
	for i, k := range c.Keys {
		if err := k.check(c.Apps); err != nil {
			return fmt.Errorf("gateway: config: keys[%d].%w", i, err)
		}
		d, _ := parseKey(k.Key) // check has parsed it
		if j, ok := seen[d]; ok {
			return fmt.Errorf("gateway: config: keys[%d].key: %q and %q (keys[%d]) have the same key: want one for each caller", i, k.Name, c.Keys[j].Name, j)
		}
		seen[d] = i
	}
	return nil
}

// checkApps checks the apps.
func (c Config) checkApps() error {
	ids := make(map[string]string, len(c.Apps))
	for name, a := range c.Apps {
		if err := checkAppName(name); err != nil {
			return fmt.Errorf("gateway: config: apps: %w", err)
		}
		if err := a.check(); err != nil {
			return fmt.Errorf("gateway: config: apps.%s.%w", name, err)
		}
		if other, taken := ids[a.id(name)]; taken {
			return fmt.Errorf("gateway: config: apps.%s.id: app %q has the same id: want one for each app; the default is its name", max(name, other), min(name, other))
		}
		ids[a.id(name)] = name
		if err := checkBaseURL("apps."+name+".public_url", a.PublicURL); err != nil {
			return err
		}
		if cmp.Or(a.PublicURL, c.PublicURL) == "" && a.accountKind() != wechat.Mini && len(a.Hosts) > 0 {
			return fmt.Errorf("gateway: config: public_url: must be set for logins that return to apps.%s.hosts", name)
		}
	}
	return nil
}

// verifyFiles returns the verification files of all apps.
func (c Config) verifyFiles() (oauth.VerifyFiles, error) {
	all := make(oauth.VerifyFiles)
	for name, a := range c.Apps {
		if err := addVerifyFiles(all, name, a.VerifyFiles); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// addVerifyFiles adds the files of an app to all.
func addVerifyFiles(all oauth.VerifyFiles, app string, files map[string]string) error {
	for name, content := range files {
		if len(oauth.VerifyFiles{name: content}.Routes()) == 0 {
			return fmt.Errorf("gateway: config: apps.%s.verify_files: invalid name %q: want one such as MP_verify_abc.txt", app, name)
		}
		if other, ok := all[name]; ok && other != content {
			return fmt.Errorf("gateway: config: apps.%s.verify_files: another app has %s with other content", app, name)
		}
		all[name] = content
	}
	return nil
}

func checkBaseURL(name, s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("gateway: config: %s: want a base URL such as https://wx.example.com", name)
	}
	return nil
}

// checkAppName returns an error for a name that nothing can get: it cannot be part of a route, or could be mistaken for an appid or
// for another name.
func checkAppName(name string) error {
	if err := checkRouteName(name); err != nil {
		return err
	}
	if err := field.CheckVisible(name); err != nil {
		return fmt.Errorf("invalid name %q: %w", name, err)
	}
	return nil
}

// checkRouteName returns an error for a name that no app has, even one that was registered by an earlier release.
func checkRouteName(name string) error {
	switch {
	case name == "" || len(name) > 64 || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\?#%") || name == "." || name == "..":
		return fmt.Errorf("invalid name %q: want 1 to 64 bytes of UTF-8 without / \\ ? # %%", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("invalid name %q: want one without control characters", name)
	case looksLikeAppID(name):
		return fmt.Errorf("invalid name %q: want one that does not look like an appid", name)
	}
	return nil
}

// checkID returns an error for an id that is set, and that no app can get.
func checkID(id string) error {
	if id != "" && checkAppName(id) != nil {
		return errors.New("id: want 1 to 64 bytes of UTF-8 without / \\ ? # % and invisible characters, and not like an appid")
	}
	return nil
}

func looksLikeAppID(s string) bool {
	return (strings.HasPrefix(s, "wx") || strings.HasPrefix(s, "ww")) && len(s) == 18
}

// check returns an error for a key of the configuration that cannot be served.
func (k Key) check(apps map[string]App) error {
	if err := k.checkSettings(); err != nil {
		return err
	}
	if err := field.CheckVisible(k.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if _, err := parseKey(k.Key); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	for i, name := range k.Apps {
		if _, ok := apps[name]; !ok && name != "*" && !isPlatform(name) {
			return fmt.Errorf("apps[%d]: unknown app: want a name under apps, or *; for an app that is registered, register a key, too", i)
		}
	}
	return nil
}

// checkSettings returns an error for settings that no key can have, wherever it is configured.
func (k Key) checkSettings() error {
	if err := checkBlanks("", reflect.ValueOf(k)); err != nil {
		return err
	}
	switch {
	case k.Name == "":
		return errors.New("name: must be set, for the log")
	case len(k.Apps) == 0:
		return errors.New(`apps: must name the apps this caller may use, or "*"`)
	case len(k.Scopes) == 0:
		return errors.New(`scopes: must name what this caller may do, or "*"`)
	case k.Rate < 0 || k.Rate > maxRate:
		return fmt.Errorf("rate: want 1 to %d requests a second, or 0 for no limit", maxRate)
	}
	for i, s := range k.Scopes {
		if s != "*" && !slices.Contains(scopes, s) {
			return fmt.Errorf("scopes[%d]: unknown scope: want %s or *", i, strings.Join(scopes, ", "))
		}
	}
	if _, err := parseAddresses(k.Addresses); err != nil {
		return err
	}
	return k.checkPay()
}

// platformPrefix begins an entry of a key's apps that is for the apps of a platform.
const platformPrefix = "platform:"

// isPlatform reports whether an entry of a key's apps is for the apps of a platform.
func isPlatform(name string) bool {
	platform, ok := strings.CutPrefix(name, platformPrefix)
	return ok && checkAppName(platform) == nil
}

const maxSecret = 1024 // bytes of an app's secret

func (a App) check() error {
	if err := checkBlanks("", reflect.ValueOf(a)); err != nil {
		return err
	}
	switch {
	case checkID(a.ID) != nil:
		return checkID(a.ID)
	case a.AppID == "":
		return errors.New("app_id: must be set")
	case a.Kind != "" && !slices.Contains(kinds, a.Kind):
		return errors.New("kind: want official, mini, website, work, platform or authorized")
	case a.Secret == "" && a.Kind != wechat.Authorized:
		return errors.New("secret: must be set")
	case a.TokenMode != "" && a.TokenMode != "stable" && a.TokenMode != "classic":
		return errors.New("token_mode: want stable or classic")
	case a.Kind == wechat.Work && a.TokenMode != "":
		return errors.New("token_mode: must be unset for WeCom")
	case a.Kind == wechat.Website && (a.TokenMode != "" || a.Keep):
		return errors.New("kind: a website has no token: leave out token_mode and keep")
	case a.Kind == wechat.Work && a.AgentID == 0 && len(a.Hosts) > 0:
		return errors.New("agent_id: must be set for logins by WeCom's QR code, as hosts is set")
	case a.Cards && a.accountKind() != wechat.Official:
		return fmt.Errorf("cards: must be unset for kind %s: want kind official", a.accountKind())
	case a.WCodeTemplateID != "" && a.accountKind() != wechat.Official:
		return fmt.Errorf("wcode_template_id: must be unset for kind %s: want kind official", a.accountKind())
	case len(a.Secret) > maxSecret || len(a.NextSecret) > maxSecret || len(a.PreviousSecret) > maxSecret:
		return fmt.Errorf("secret: is longer than %d bytes, as next_secret or previous_secret may be", maxSecret)
	case a.SignKey == "" && a.PreviousSignKey != "":
		return errors.New("previous_sign_key: needs sign_key")
	case a.Allow != nil && len(a.Allow) == 0:
		return errors.New("allow: is empty: list routes, or leave it out to allow all")
	}
	if err := a.checkPlatform(); err != nil {
		return err
	}
	if err := a.checkTickets(); err != nil {
		return err
	}
	for i, route := range a.Allow {
		if !strings.HasPrefix(route, "/") {
			return fmt.Errorf("allow[%d]: must begin with /", i)
		}
		if strings.ContainsFunc(route, unicode.IsControl) {
			return fmt.Errorf("allow[%d]: has a control character", i)
		}
	}
	for i, host := range a.Hosts {
		if err := hosts.CheckEntry(host); err != nil {
			return fmt.Errorf("hosts[%d]: %w", i, err)
		}
	}
	return cmp.Or(a.OpenPay.check(a), a.Message.check(a))
}

// checkTickets returns an error for tickets that the app's kind does not have, and for tickets without keep.
func (a App) checkTickets() error {
	var types []string
	switch a.accountKind() {
	case wechat.Official:
		types = []string{ticket.JSAPI, ticket.WxCard}
	case wechat.Work:
		types = []string{ticket.JSAPI, ticket.AgentConfig}
	}
	for _, typ := range a.Tickets {
		switch {
		case len(types) == 0:
			return fmt.Errorf("tickets: must be unset for kind %s", a.accountKind())
		case !slices.Contains(types, typ):
			return fmt.Errorf("tickets: invalid type %q: want %s", typ, strings.Join(types, " or "))
		case typ == ticket.AgentConfig && a.AgentID == 0:
			return errors.New("agent_id: must be set for tickets of type agent_config")
		}
	}
	if len(a.Tickets) > 0 && !a.Keep {
		return errors.New("tickets: needs keep: true")
	}
	return nil
}
