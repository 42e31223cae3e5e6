package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/token"
)

// Config is what a gateway serves. It is the shape of the server's configuration file.
type Config struct {
	PublicURL string         `json:"public_url"` // base URL that WeChat and browsers see
	Store     string         `json:"store"`      // URL of the shared, disposable store
	Records   string         `json:"records"`    // URL of the durable store; default Store
	Endpoints Endpoints      `json:"endpoints"`
	Keys      []Key          `json:"keys"` // callers of the private side
	Apps      map[string]App `json:"apps"` // by the name in the routes: /app/{name}/…
}

// Endpoints are WeChat's base URLs. Each is WeChat's own by default.
type Endpoints struct {
	API  string `json:"api"`  // api.weixin.qq.com
	Work string `json:"work"` // qyapi.weixin.qq.com
}

// Key is a caller of the private side, known by a secret.
type Key struct {
	Name   string   `json:"name"`
	Key    string   `json:"key"`    // at least 16 characters, or sha256: and the hex digest of such a key
	Apps   []string `json:"apps"`   // names of apps; "*" is all
	Scopes []string `json:"scopes"` // token, renew, ticket, …; "*" is all
}

// App is one WeChat app.
type App struct {
	Name      string    `json:"name"`   // for people
	AppID     string    `json:"app_id"` // the corp id of WeCom
	Secret    string    `json:"secret"`
	Kind      Kind      `json:"kind"`       // default official
	AgentID   int       `json:"agent_id"`   // WeCom, where the secret is an application's
	TokenMode string    `json:"token_mode"` // stable (default) or classic
	Keep      bool      `json:"keep"`       // renew ahead on a timer, read or not
	ExpiresAt time.Time `json:"expires_at"` // the registration ends; default never
	Allow     []string  `json:"allow"`      // routes this app may be used through, such as /token; default all
}

// Kind is what an app is to WeChat.
type Kind string

// The kinds there are.
const (
	Official Kind = "official" // official account (公众号)
	Mini     Kind = "mini"     // mini program (小程序)
	Work     Kind = "work"     // WeCom (企业微信)
)

// Scopes are what a caller may be allowed to do.
var scopes = []string{"token", "renew", "ticket", "api", "login", "pay", "refund", "message", "metrics", "admin"}

// ParseConfig reads a configuration from JSON. A key that is not one of Config's is an error, as is a second document.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("gateway: config: %w", plain(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("gateway: config: there is more after the end")
	}
	return c, nil
}

// plain says what encoding/json found in the words of someone who wrote YAML.
func plain(err error) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return fmt.Errorf("%s: want %s, not a %s (text of digits needs quotes)", t.Field, t.Type, t.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("unknown key %s", name)
	}
	return err
}

// Check finds what keeps c from being served, and names its key.
func (c Config) Check() error {
	if err := checkURL("public_url", c.PublicURL); err != nil {
		return err
	}
	for name, u := range map[string]string{"endpoints.api": c.Endpoints.API, "endpoints.work": c.Endpoints.Work} {
		if err := checkURL(name, u); err != nil {
			return err
		}
	}
	if len(c.Keys) == 0 {
		return errors.New("gateway: config: keys: at least one caller key is needed, or nobody could use the private side")
	}
	for i, k := range c.Keys {
		if err := k.check(c.Apps); err != nil {
			return fmt.Errorf("gateway: config: keys[%d].%w", i, err)
		}
	}
	for name, a := range c.Apps {
		if err := checkAppName(name); err != nil {
			return fmt.Errorf("gateway: config: apps: %w", err)
		}
		if err := a.check(); err != nil {
			return fmt.Errorf("gateway: config: apps.%s.%w", name, err)
		}
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
	for _, name := range k.Apps {
		if _, ok := apps[name]; !ok && name != "*" {
			return fmt.Errorf("apps: there is no app %q", name)
		}
	}
	for _, s := range k.Scopes {
		if s != "*" && !has(scopes, s) {
			return fmt.Errorf("scopes: there is no scope %q; there are %s and *", s, strings.Join(scopes, ", "))
		}
	}
	return nil
}

func (a App) check() error {
	switch {
	case a.AppID == "":
		return errors.New("app_id: must be set")
	case a.Secret == "":
		return errors.New("secret: must be set")
	case a.Kind != "" && a.Kind != Official && a.Kind != Mini && a.Kind != Work:
		return fmt.Errorf("kind: there is no kind %q; there are official, mini and work", string(a.Kind))
	case a.TokenMode != "" && a.TokenMode != "stable" && a.TokenMode != "classic":
		return fmt.Errorf("token_mode: want stable or classic, not %q", a.TokenMode)
	case a.Kind == Work && a.TokenMode != "":
		return errors.New("token_mode: WeCom has one mode only")
	}
	for _, route := range a.Allow {
		if !strings.HasPrefix(route, "/") {
			return fmt.Errorf("allow: %q must begin with /", route)
		}
	}
	return nil
}

func (a App) tokenMode() token.Mode {
	switch {
	case a.Kind == Work:
		return token.Work
	case a.TokenMode == "classic":
		return token.Classic
	}
	return token.Stable
}
