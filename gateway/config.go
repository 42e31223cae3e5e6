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
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechat"
)

// Config is what a gateway serves. It is the shape of the server's configuration file.
type Config struct {
	PublicURL string `json:"public_url"` // base URL that WeChat and browsers see; logins need it

	// URLs of the shared, disposable store and of the durable one, by default the same. cmd/server opens them: New takes
	// only stores that are passed, and refuses a URL without one.
	Store   string `json:"store"`
	Records string `json:"records"`

	Endpoints      Endpoints `json:"endpoints"`
	TrustedProxies []string  `json:"trusted_proxies"` // whose X-Forwarded-For is believed, such as 10.0.0.0/8; default none. See [Gateway.Shared]
	Keys           []Key     `json:"keys"`            // callers of the private side

	// Apps are keyed by the name in their routes: /app/{name}/…. Logins, copies of messages and the answers that callbacks
	// were given are kept under an app's ID: an app that is renamed keeps them where its ID is the name it had.
	Apps map[string]App `json:"apps"`
}

// Endpoints are WeChat's base URLs. Each is WeChat's own by default.
type Endpoints struct {
	API   string `json:"api"`   // api.weixin.qq.com
	Work  string `json:"work"`  // qyapi.weixin.qq.com
	Open  string `json:"open"`  // open.weixin.qq.com, where browsers log in
	Login string `json:"login"` // login.work.weixin.qq.com, WeCom's QR code
}

// Key is a caller of the private side, known by a secret.
type Key struct {
	Name   string   `json:"name" blanks:"kept"`
	Key    string   `json:"key"`    // at least 16 characters, or sha256: and the hex digest of such a key
	Apps   []string `json:"apps"`   // names of apps; "*" is all
	Scopes []string `json:"scopes"` // token, renew, ticket, login, admin; "*" is all of them but admin
}

// App is one WeChat app.
type App struct {
	ID        string      `json:"id"`                 // names what the stores keep for this app; default its key under apps. See [Config.Apps]
	Name      string      `json:"name" blanks:"kept"` // for people
	AppID     string      `json:"app_id"`             // the corp id of WeCom
	Secret    string      `json:"secret"`
	Kind      wechat.Kind `json:"kind"`       // default official
	AgentID   int         `json:"agent_id"`   // WeCom, where the secret is an application's; hosts need it
	TokenMode string      `json:"token_mode"` // stable (default) or classic
	Keep      bool        `json:"keep"`       // renew ahead on a timer, read or not
	Tickets   []string    `json:"tickets"`    // tickets that keep renews too: jsapi, wx_card, agent_config
	ExpiresAt time.Time   `json:"expires_at"` // the registration ends; default never
	Allow     []string    `json:"allow"`      // routes this app may be used through, such as /token; / is all of them, as is the default

	Hosts           []string          `json:"hosts"`                      // where logins may return to, whose pages may be signed, where requests may point
	VerifyFiles     map[string]string `json:"verify_files" blanks:"kept"` // served at the root of the public side: MP_verify_….txt, WW_verify_….txt
	Cards           bool              `json:"cards"`                      // official account: anybody may have cards signed for its pages, by their id; see jssdk.Handler
	SignKey         string            `json:"sign_key"`                   // signs what backends are sent
	PreviousSignKey string            `json:"previous_sign_key"`
	Message         *Message          `json:"message"` // default: no callbacks

	ReceiveIDs       ReceiveIDs `json:"receive_ids"`       // further ids that encrypted messages may be for, or any
	ForwardSignature bool       `json:"forward_signature"` // backends of every form are given the signature of WeChat
}

var kinds = []wechat.Kind{wechat.Official, wechat.Mini, wechat.Website, wechat.Work}

// scopes are what a caller may be allowed to do. Each guards a route.
var scopes = []string{"token", "renew", "ticket", "login", "admin"}

// Check finds what keeps c from being served, and names its key. It shows no values: any may be a secret.
func (c Config) Check() error {
	if err := cmp.Or(checkBlanks("store", reflect.ValueOf(c.Store)), checkBlanks("records", reflect.ValueOf(c.Records))); err != nil {
		return fmt.Errorf("gateway: config: %w", err)
	}
	if err := checkURL("public_url", c.PublicURL); err != nil {
		return err
	}
	e := c.Endpoints
	for name, u := range map[string]string{"api": e.API, "work": e.Work, "open": e.Open, "login": e.Login} {
		if err := checkURL("endpoints."+name, u); err != nil {
			return err
		}
	}
	if len(c.Keys) == 0 {
		return errors.New("gateway: config: keys: at least one caller key is needed, or nobody could use the private side")
	}
	seen := make(map[[sha256.Size]byte]int, len(c.Keys))
	for i, k := range c.Keys {
		if err := k.check(c.Apps); err != nil {
			return fmt.Errorf("gateway: config: keys[%d].%w", i, err)
		}
		d, _ := digest(k.Key) // which check has found to be one
		if j, ok := seen[d]; ok {
			return fmt.Errorf("gateway: config: keys[%d].key: %q and %q (keys[%d]) have the same key: each caller needs its own", i, k.Name, c.Keys[j].Name, j)
		}
		seen[d] = i
	}
	ids := make(map[string]string, len(c.Apps))
	for name, a := range c.Apps {
		if err := checkAppName(name); err != nil {
			return fmt.Errorf("gateway: config: apps: %w", err)
		}
		if err := a.check(); err != nil {
			return fmt.Errorf("gateway: config: apps.%s.%w", name, err)
		}
		if other, taken := ids[a.id(name)]; taken {
			return fmt.Errorf("gateway: config: apps.%s.id: app %q has the same: each app needs its own, and a name is the default", max(name, other), min(name, other))
		}
		ids[a.id(name)] = name
		if c.PublicURL == "" && a.Kind != wechat.Mini && len(a.Hosts) > 0 {
			return fmt.Errorf("gateway: config: public_url: must be set, or no login could return to apps.%s.hosts", name)
		}
	}
	if _, err := c.proxies(); err != nil {
		return err
	}
	_, err := c.verifyFiles()
	return err
}

// verifyFiles are those of all apps.
func (c Config) verifyFiles() (oauth.VerifyFiles, error) {
	all := make(oauth.VerifyFiles)
	for name, a := range c.Apps {
		if err := addVerifyFiles(all, name, a.VerifyFiles); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// addVerifyFiles adds the files of an app to those of all.
func addVerifyFiles(all oauth.VerifyFiles, app string, files map[string]string) error {
	for name, content := range files {
		if len(oauth.VerifyFiles{name: content}.Routes()) == 0 {
			return fmt.Errorf("gateway: config: apps.%s.verify_files: %q is no name such as MP_verify_abc.txt", app, name)
		}
		if other, ok := all[name]; ok && other != content {
			return fmt.Errorf("gateway: config: apps.%s.verify_files: another app has another %s", app, name)
		}
		all[name] = content
	}
	return nil
}

func checkURL(name, s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("gateway: config: %s: want a base URL such as https://wx.example.com", name)
	}
	return nil
}

// checkAppName refuses a name that no route could carry, or that could be taken for an appid.
func checkAppName(name string) error {
	switch {
	case name == "" || len(name) > 64 || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\?#%") || name == "." || name == "..":
		return fmt.Errorf("%q: a name is 1 to 64 bytes of UTF-8 without / \\ ? # %%", name)
	case looksLikeAppID(name):
		return fmt.Errorf("%q: a name must not look like an appid", name)
	}
	return nil
}

func looksLikeAppID(s string) bool {
	return (strings.HasPrefix(s, "wx") || strings.HasPrefix(s, "ww")) && len(s) == 18
}

func (k Key) check(apps map[string]App) error {
	if err := checkBlanks("", reflect.ValueOf(k)); err != nil {
		return err
	}
	switch {
	case k.Name == "":
		return errors.New("name: must be set, as it stands in the audit log")
	case len(k.Apps) == 0:
		return errors.New(`apps: must name the apps this caller may use, or "*"`)
	case len(k.Scopes) == 0:
		return errors.New(`scopes: must name what this caller may do, or "*"`)
	}
	if _, err := digest(k.Key); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	for i, name := range k.Apps {
		if _, ok := apps[name]; !ok && name != "*" {
			return fmt.Errorf("apps[%d]: there is no such app: want a name under apps, or *", i)
		}
	}
	for i, s := range k.Scopes {
		if s != "*" && !has(scopes, s) {
			return fmt.Errorf("scopes[%d]: there is no such scope: want %s or *", i, strings.Join(scopes, ", "))
		}
	}
	return nil
}

func (a App) check() error {
	if err := checkBlanks("", reflect.ValueOf(a)); err != nil {
		return err
	}
	switch {
	case a.ID != "" && checkAppName(a.ID) != nil:
		return errors.New("id: want 1 to 64 bytes of UTF-8 without / \\ ? # %, that do not look like an appid")
	case a.AppID == "":
		return errors.New("app_id: must be set")
	case a.Secret == "":
		return errors.New("secret: must be set")
	case a.Kind != "" && !slices.Contains(kinds, a.Kind):
		return errors.New("kind: want official, mini, website or work")
	case a.TokenMode != "" && a.TokenMode != "stable" && a.TokenMode != "classic":
		return errors.New("token_mode: want stable or classic")
	case a.Kind == wechat.Work && a.TokenMode != "":
		return errors.New("token_mode: WeCom has one mode only")
	case a.Kind == wechat.Website && (a.TokenMode != "" || a.Keep):
		return errors.New("kind: a website application has no token: leave out token_mode and keep")
	case a.Kind == wechat.Work && a.AgentID == 0 && len(a.Hosts) > 0:
		return errors.New("agent_id: must be set, or nobody could log in for hosts by WeCom's QR code")
	case a.Cards && a.Kind != "" && a.Kind != wechat.Official:
		return fmt.Errorf("cards: only an official account signs cards for pages, and this is kind %s", a.Kind)
	case a.SignKey == "" && a.PreviousSignKey != "":
		return errors.New("previous_sign_key: needs sign_key beside it")
	case a.Allow != nil && len(a.Allow) == 0:
		return errors.New("allow: is empty: list routes, or leave the key out to allow all of them")
	}
	if err := a.checkTickets(); err != nil {
		return err
	}
	for i, route := range a.Allow {
		if !strings.HasPrefix(route, "/") {
			return fmt.Errorf("allow[%d]: must begin with /", i)
		}
	}
	for i, host := range a.Hosts {
		if err := hosts.CheckEntry(host); err != nil {
			return fmt.Errorf("hosts[%d]: %w", i, err)
		}
	}
	return a.Message.check(a)
}

// id returns the id of an app that is registered under name.
func (a App) id(name string) string { return cmp.Or(a.ID, name) }
