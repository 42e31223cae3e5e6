package message

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Mode is how WeChat's console says messages are sent (消息加解密方式).
type Mode string

const (
	Plain      Mode = "plain"      // 明文模式: readable, and signed without the body
	Compatible Mode = "compatible" // 兼容模式: both; the encrypted part is the one believed, and must be there
	Secure     Mode = "secure"     // 安全模式: encrypted; anything else is refused. WeCom knows no other
)

// Config is what a Receiver needs to know; most of it is on the page of WeChat's console where the callback URL is set.
type Config struct {
	AppID          string // the appid; WeCom's corp id
	Token          string
	EncodingAESKey string // 43 characters; may be empty in plain mode

	Mode Mode // default Secure with an EncodingAESKey, else Plain

	// Kind is that of the app: an official account (公众号), a mini program (小程序), whose users WeChat shows no passive
	// reply, or WeCom (企业微信), whose messages are recognized whatever Kind says. Default wechat.Official. A
	// wechat.Website gets no messages.
	Kind wechat.Kind

	// The values before the present ones, while they are being changed: messages that were sent with them, and repeats
	// of those, are still accepted and answered. Default none.
	PreviousToken  string
	PreviousAESKey string

	// ReceiveIDs are the ids that an encrypted message may be for. Default AppID alone. An app that belongs to an open
	// platform has the platform's appid here, a WeCom suite the suite's id and the provider's corp id, and a WeCom app
	// whose messages name nobody, or a smart robot of WeCom, "". AnyReceiveID accepts all: a WeCom suite is sent
	// messages for each corp that installed it, with that corp's id.
	ReceiveIDs   []string
	AnyReceiveID bool

	// Store is what the processes that serve this app share, so that a message is handled once. Default one of this
	// process. Name tells what is stored here from that of others, default AppID: where several Receivers share an
	// AppID, as the applications of a corp do, each needs its own.
	Store store.Store
	Name  string

	Forward Forwarding // where messages are sent on to; default nowhere

	Log  *slog.Logger // default slog.Default()
	Rand io.Reader    // default crypto/rand

	redacted
}

// ConfigError is why New did not accept a Config.
type ConfigError struct {
	Field  string // of Config, such as Token or Forward.Backends[0].URL
	Reason string // the rest of a sentence that begins with the field. It names no other field, and holds no secret
}

// Error names the field and says what is wrong with it.
func (e *ConfigError) Error() string { return "message: Config." + e.Field + " " + e.Reason }

// within returns e as the error of a struct that contains that of e.
func (e *ConfigError) within(outer string) *ConfigError {
	return &ConfigError{outer + "." + e.Field, e.Reason}
}

// New returns a Receiver. Its error is a *ConfigError.
func New(c Config) (*Receiver, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	keys, err := newKeyring(c)
	if err != nil {
		return nil, err
	}
	c = c.withDefaults()
	forward, err := newForwarder(c, keys)
	if err != nil {
		return nil, err
	}
	return &Receiver{mode: c.Mode, mini: c.Kind == wechat.Mini, tokens: c.tokens(), keys: keys, log: c.Log, rand: c.Rand,
		prefix: c.prefix(), store: c.Store, forward: forward, large: make(chan struct{}, largeMax)}, nil
}

// check returns a ConfigError for a field that is wrong in itself.
func (c Config) check() error {
	if c.AppID == "" {
		return &ConfigError{"AppID", "is empty: set the appid, for WeCom the corp id"}
	}
	if c.Token == "" {
		return &ConfigError{"Token", "is empty: set the Token of WeChat's console"}
	}
	for _, f := range []struct{ name, value string }{
		{"AppID", c.AppID}, {"Token", c.Token}, {"PreviousToken", c.PreviousToken},
		{"EncodingAESKey", c.EncodingAESKey}, {"PreviousAESKey", c.PreviousAESKey},
	} {
		if err := field.CheckBlanks(f.value); err != nil {
			return &ConfigError{f.name, err.Error()}
		}
	}
	for i, key := range c.Forward.SignKeys {
		if err := field.CheckBlanks(key); err != nil {
			return &ConfigError{fmt.Sprintf("Forward.SignKeys[%d]", i), err.Error()}
		}
	}
	if err := field.CheckOneOf(cmp.Or(c.Kind, wechat.Official), wechat.Official, wechat.Mini, wechat.Work); err != nil {
		return &ConfigError{"Kind", err.Error()}
	}
	switch c.Mode {
	case "", Plain, Compatible, Secure:
	default:
		return &ConfigError{"Mode", fmt.Sprintf("is %q: want plain, compatible or secure", string(c.Mode))}
	}
	if c.EncodingAESKey == "" && (c.Mode == Compatible || c.Mode == Secure || c.PreviousAESKey != "") {
		return &ConfigError{"EncodingAESKey", "is empty: it can be left out in plain mode alone, and without a previous one"}
	}
	return nil
}

// withDefaults returns c with its defaults.
func (c Config) withDefaults() Config {
	if c.Mode == "" {
		c.Mode = Plain
		if c.EncodingAESKey != "" {
			c.Mode = Secure
		}
	}
	c.Name = cmp.Or(c.Name, c.AppID)
	if c.Forward.Records == nil {
		c.Forward.Records = c.Store
	}
	if c.Store == nil {
		c.Store = new(store.Memory)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}

// tokens are those that callbacks may be signed with.
func (c Config) tokens() []string {
	if c.PreviousToken == "" {
		return []string{c.Token}
	}
	return []string{c.Token, c.PreviousToken}
}

// prefix is that of all keys in the stores.
func (c Config) prefix() string { return "message/" + c.Name + "/" }
