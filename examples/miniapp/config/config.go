// Package config reads the configuration of the old module wg-basic by its own names, and what this program needs beside it.
package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is a configuration. Keys may be written as in the old program's manual, with hyphens or in camel case.
type Config struct {
	redacted     `yaml:"-"`
	OpenPlatform struct {
		WeChat WeChat `yaml:"wechat"`
	} `yaml:"open-platform"`
	Miniapp Miniapp `yaml:"miniapp"`
}

// WeChat is the old tree open-platform.wechat.
type WeChat struct {
	redacted        `yaml:"-"`
	Pay             Pay             `yaml:"pay"`
	MiniApp         MiniApp         `yaml:"mini-app"`
	OfficialAccount OfficialAccount `yaml:"official-account"`
}

// Switch mounts a part. The old program had activate for the official account, and active for the others; each takes both.
type Switch struct {
	Active   *bool `yaml:"active"`
	Activate *bool `yaml:"activate"`
}

// On reports whether the part is mounted.
func (s Switch) On() bool { return s.Active != nil && *s.Active || s.Activate != nil && *s.Activate }

// Pay is a merchant of WeChat Pay, APIv3.
type Pay struct {
	redacted        `yaml:"-"`
	Switch          `yaml:",inline"`
	Produce         *bool  `yaml:"produce"` // false: WeChat is simulated
	MchID           string `yaml:"mchid"`
	CertificatePath string `yaml:"certificate-path"` // folder
	CertificateName string `yaml:"certificate-name"` // file in it, such as apiclient_cert.pem; it gives the serial number
	KeyFilePath     string `yaml:"key-file-path"`    // such as /etc/wechat/apiclient_key.pem
	APIv3SecretKey  string `yaml:"api-v3-secretkey"`

	// The old program did not have these: WeChat's public key (微信支付公钥), which new merchants need.
	PublicKeyID   string `yaml:"public-key-id"`
	PublicKeyPath string `yaml:"public-key-path"`
}

// MiniApp is a mini program.
type MiniApp struct {
	redacted     `yaml:"-"`
	Switch       `yaml:",inline"`
	AuthorizeURL string `yaml:"authorize-url"` // …/sns/jscode2session
	GrantType    string `yaml:"grant-type"`    // authorization_code
	AppKey       string `yaml:"app-key"`       // the appid
	AppSecret    string `yaml:"app-secret"`
}

// OfficialAccount is an official account.
type OfficialAccount struct {
	redacted       `yaml:"-"`
	Switch         `yaml:",inline"`
	Authorize      Authorize `yaml:"authorize"`
	AccessTokenURL string    `yaml:"access-token-url"` // …/cgi-bin/token
	AppID          string    `yaml:"app-id"`
	AppSecret      string    `yaml:"app-secret"`
	GrantType      string    `yaml:"grant-type"`   // client_credential
	ConfigToken    string    `yaml:"config-token"` // of callbacks (服务器配置); empty: no callbacks

	// The old program did not have these.
	ConfigAESKey string `yaml:"config-aes-key"` // EncodingAESKey; empty: plain mode
	Welcome      string `yaml:"welcome"`        // reply to a new follower
}

// Authorize is the login on pages inside WeChat.
type Authorize struct {
	AuthorizeURL          string `yaml:"authorize-url"`            // …/connect/oauth2/authorize
	AccessTokenURL        string `yaml:"access-token-url"`         // …/sns/oauth2/access_token
	AccessTokenRefreshURL string `yaml:"access-token-refresh-url"` // …/sns/oauth2/refresh_token
	UserinfoURL           string `yaml:"userinfo-url"`             // …/sns/userinfo
	ResponseType          string `yaml:"response-type"`            // code
	Scope                 string `yaml:"scope"`                    // snsapi_base or snsapi_userinfo
	State                 string `yaml:"state"`                    // ignored: each login has its own
	GrantType             string `yaml:"grant-type"`               // authorization_code
}

// Miniapp is what this program needs beside the old tree.
type Miniapp struct {
	redacted `yaml:"-"`

	URL      string `yaml:"url"`       // public URL of this program; default that of -addr, for a simulated WeChat only
	SealKeys string `yaml:"seal-keys"` // of session_keys and refresh tokens in the database: openssl rand -base64 32
	AdminKey string `yaml:"admin-key"` // of the routes below /admin; empty: there are none

	// Simulator is the URL of a wechattest program, for pay.produce: false. Default a simulation in this process.
	Simulator string `yaml:"simulator"`

	PaidTemplate struct { // subscribe message for a payment
		ID   string            `yaml:"id"`
		Page string            `yaml:"page"`
		Data map[string]string `yaml:"data"` // with {name}, {amount} and {number}
	} `yaml:"paid-template"`
}

// Simulated reports whether WeChat is simulated. Then logins are, too, since a payment needs a user of the same WeChat.
func (c *Config) Simulated() bool {
	produce := c.OpenPlatform.WeChat.Pay.Produce
	return produce != nil && !*produce
}

// redacted keeps the secrets of a struct out of printed text, logs and JSON.
type redacted struct{}

const placeholder = "(redacted)"

func (redacted) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, placeholder) }

func (redacted) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// Load reads a file. insecure reports whether other users of the machine can read secrets that are written in it.
func Load(file string) (c *Config, insecure bool, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, false, err
	}
	c, literal, err := parse(text, os.LookupEnv)
	if err != nil {
		return nil, false, fmt.Errorf("config: %s: %w", file, err)
	}
	info, err := os.Stat(file)
	return c, literal && err == nil && info.Mode().Perm()&0o044 != 0, nil
}

// Parse reads a configuration. ${NAME} in a value is replaced by a variable of env.
func Parse(text []byte, env func(string) (string, bool)) (*Config, error) {
	c, _, err := parse(text, env)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return c, nil
}

// parse reports in literal whether a secret is written in the text itself.
func parse(text []byte, env func(string) (string, bool)) (c *Config, literal bool, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, false, err
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, false, errors.New("want a mapping with open-platform and miniapp")
	}
	c = new(Config)
	r := reader{env: env}
	if err := r.check(doc.Content[0], c, ""); err != nil {
		return nil, false, err
	}
	if err := doc.Decode(c); err != nil { // which quotes values
		return nil, false, errors.New(quoted.ReplaceAllString(err.Error(), "a value"))
	}
	return c, r.literal, c.check()
}

var quoted = regexp.MustCompile("`[^`]*`")

var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces the references of a value.
func expand(value string, env func(string) (string, bool)) (string, error) {
	var missing []string
	value = reference.ReplaceAllStringFunc(value, func(ref string) string {
		name := ref[2 : len(ref)-1]
		text, ok := env(name)
		if !ok {
			missing = append(missing, name)
		}
		return text
	})
	if missing != nil {
		return "", fmt.Errorf("environment variable %s is not set", strings.Join(missing, ", "))
	}
	return value, nil
}
