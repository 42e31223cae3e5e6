package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// check returns an error that names an invalid value by its path.
func (c *Config) check() error {
	w := &c.OpenPlatform.WeChat
	for _, part := range []struct {
		name  string
		s     Switch
		check func() error
	}{
		{"pay", w.Pay.Switch, w.Pay.check},
		{"mini-app", w.MiniApp.Switch, w.MiniApp.check},
		{"official-account", w.OfficialAccount.Switch, w.OfficialAccount.check},
	} {
		path := "open-platform.wechat." + part.name
		if part.s.Active != nil && part.s.Activate != nil {
			return fmt.Errorf("%s: active and activate are both set: want one", path)
		}
		if !part.s.On() {
			continue
		}
		if err := part.check(); err != nil {
			return fmt.Errorf("%s.%w", path, err)
		}
	}
	switch {
	case !w.MiniApp.On() && !w.OfficialAccount.On():
		return errors.New("open-platform.wechat: neither mini-app nor official-account is active")
	case w.MiniApp.AppKey != "" && w.MiniApp.AppKey == w.OfficialAccount.AppID:
		return errors.New("open-platform.wechat: mini-app and official-account have the same appid")
	}
	return c.checkMiniapp()
}

func (c *Config) checkMiniapp() error {
	m := c.Miniapp
	if m.URL != "" {
		u, err := url.Parse(m.URL)
		if err != nil || !isWeb(u) || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return errors.New("miniapp.url: want a URL without a path, such as https://shop.example.com")
		}
	}
	if m.SealKeys == "" {
		return errors.New("miniapp.seal-keys is not set: want a key as of openssl rand -base64 32")
	}
	if c.Simulated() {
		if m.Simulator != "" {
			if u, err := url.Parse(m.Simulator); err != nil || !isWeb(u) || u.Path != "" {
				return errors.New("miniapp.simulator: want the URL of a wechattest program, such as http://127.0.0.1:8099")
			}
		}
		return nil
	}
	switch {
	case m.Simulator != "":
		return errors.New("miniapp.simulator is set, but pay.produce is not false")
	case m.URL == "":
		return errors.New("miniapp.url is not set: want the public URL of this program")
	}
	return nil
}

func (p *Pay) check() error {
	switch {
	case p.Produce == nil:
		return errors.New("produce is not set: want true, or false to simulate WeChat")
	case p.MchID == "":
		return errors.New("mchid is not set")
	case !*p.Produce:
		return nil
	}
	for _, f := range []struct{ name, value string }{
		{"certificate-path", p.CertificatePath}, {"certificate-name", p.CertificateName}, {"key-file-path", p.KeyFilePath}, {"api-v3-secretkey", p.APIv3SecretKey},
	} {
		if f.value == "" {
			return fmt.Errorf("%s is not set", f.name)
		}
	}
	return nil
}

func (m *MiniApp) check() error {
	switch {
	case m.AppKey == "":
		return errors.New("app-key is not set: want the appid of the mini program")
	case m.AppSecret == "":
		return errors.New("app-secret is not set")
	}
	if err := checkWord("grant-type", m.GrantType, "authorization_code"); err != nil {
		return err
	}
	_, err := m.API()
	return err
}

func (o *OfficialAccount) check() error {
	switch {
	case o.AppID == "":
		return errors.New("app-id is not set")
	case o.AppSecret == "":
		return errors.New("app-secret is not set")
	case o.ConfigToken == "" && o.ConfigAESKey != "":
		return errors.New("config-aes-key is set without config-token")
	}
	a := o.Authorize
	for _, f := range []struct{ name, value, want string }{
		{"grant-type", o.GrantType, "client_credential"},
		{"authorize.response-type", a.ResponseType, "code"},
		{"authorize.grant-type", a.GrantType, "authorization_code"},
	} {
		if err := checkWord(f.name, f.value, f.want); err != nil {
			return err
		}
	}
	if a.Scope != "" && a.Scope != "snsapi_base" && a.Scope != "snsapi_userinfo" {
		return fmt.Errorf("authorize.scope is %.40q: want snsapi_base or snsapi_userinfo", a.Scope)
	}
	if _, err := o.Open(); err != nil {
		return err
	}
	_, err := o.API()
	return err
}

// checkWord checks a value of the old program that has one meaning only.
func checkWord(name, value, want string) error {
	if value != "" && value != want {
		return fmt.Errorf("%s is %.40q: want %s", name, value, want)
	}
	return nil
}

// API returns the base URL of WeChat's API, or "" for the default.
func (m *MiniApp) API() (string, error) {
	return baseOf([][3]string{{"authorize-url", m.AuthorizeURL, "/sns/jscode2session"}})
}

// API returns the base URL of WeChat's API, or "" for the default.
func (o *OfficialAccount) API() (string, error) {
	a := o.Authorize
	return baseOf([][3]string{
		{"authorize.access-token-url", a.AccessTokenURL, "/sns/oauth2/access_token"},
		{"authorize.access-token-refresh-url", a.AccessTokenRefreshURL, "/sns/oauth2/refresh_token"},
		{"authorize.userinfo-url", a.UserinfoURL, "/sns/userinfo"},
		{"access-token-url", o.AccessTokenURL, "/cgi-bin/token"},
	})
}

// Open returns the base URL of WeChat's login pages, or "" for the default.
func (o *OfficialAccount) Open() (string, error) {
	return baseOf([][3]string{{"authorize.authorize-url", o.Authorize.AuthorizeURL, "/connect/oauth2/authorize"}})
}

// baseOf returns what URLs have before their paths. Each entry has the name, the URL and the path that WeChat gives it.
func baseOf(urls [][3]string) (base string, err error) {
	for _, e := range urls {
		name, address, path := e[0], e[1], e[2]
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || !isWeb(u) || u.Path != path || u.RawQuery != "" {
			return "", fmt.Errorf("%s: want a URL that ends in %s", name, path)
		}
		own := u.Scheme + "://" + u.Host
		if base != "" && base != own {
			return "", fmt.Errorf("%s has another host than the URLs before it", name)
		}
		base = own
	}
	return base, nil
}

// isWeb reports whether u is https, or http on this machine.
func isWeb(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return u.Host != "" && u.User == nil && u.Fragment == "" && (u.Scheme == "https" || u.Scheme == "http" && local)
}
