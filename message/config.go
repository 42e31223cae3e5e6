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

// Mode is the encryption of messages that is set in WeChat's console (消息加解密方式).
type Mode string

const (
	Plain      Mode = "plain"      // 明文模式: not encrypted; the signature does not cover the body
	Compatible Mode = "compatible" // 兼容模式: both; the encrypted part is required, and is the one used
	Secure     Mode = "secure"     // 安全模式: encrypted; the only mode of WeCom
)

// Config configures a Receiver. Most values are on the page in WeChat's console where the callback URL is set.
type Config struct {
	AppID          string // the appid; WeCom's corp id
	Token          string
	EncodingAESKey string // 43 characters; may be empty in plain mode

	Mode Mode // default Secure with an EncodingAESKey, otherwise Plain

	// Kind is the kind of the app: wechat.Official, wechat.Mini, to whose users WeChat shows no passive replies, or
	// wechat.Work. Messages of WeCom are recognized with any Kind. Default wechat.Official. A wechat.Website receives no
	// messages.
	Kind wechat.Kind

	// PreviousToken and PreviousAESKey are the values before a change. Messages with them are still accepted and answered.
	// Default none.
	PreviousToken  string
	PreviousAESKey string

	// ReceiveIDs are the ids to which an encrypted message may be addressed. Default AppID alone. Set the platform's appid
	// for an app of an open platform, the suite's id and the provider's corp id for a WeCom suite, and "" for a smart robot
	// or an application of WeCom whose messages have no id. AnyReceiveID accepts all ids: a WeCom suite receives messages
	// for each corp that installed it, with the id of that corp.
	ReceiveIDs   []string
	AnyReceiveID bool

	// Store is shared by the processes that serve this app, so that a message is handled once. Default a store in memory.
	// Name is a part of the keys in it, default AppID. Receivers with the same AppID, such as the applications of a corp,
	// need different names.
	Store store.Store
	Name  string

	Forward Forwarding // backends for messages; default none

	Log  *slog.Logger // default slog.Default()
	Rand io.Reader    // default crypto/rand

	redacted
}

// ConfigError is the error of New for an invalid Config.
type ConfigError struct {
	// Field is the name of the field in Config, such as Token or Forward.Backends[0].URL.
	Field string

	// Reason completes a sentence that begins with Field. It names no other field and contains no secret.
	Reason string
}

// Error returns the field and the reason.
func (e *ConfigError) Error() string { return "message: Config." + e.Field + " " + e.Reason }

// inField returns e with its field in an outer field.
func (e *ConfigError) inField(outer string) *ConfigError {
	return &ConfigError{outer + "." + e.Field, e.Reason}
}

// New returns a Receiver. The error is a *ConfigError.
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
	return &Receiver{mode: c.Mode, mini: c.Kind == wechat.Mini, tokens: c.allTokens(), keys: keys, log: c.Log, rand: c.Rand,
		prefix: c.keyPrefix(), store: c.Store, forward: forward, largeBodies: make(chan struct{}, maxLargeBodies)}, nil
}

// check returns a *ConfigError for an invalid field.
func (c Config) check() error {
	if c.AppID == "" {
		return &ConfigError{"AppID", "is empty: want the appid, for WeCom the corp id"}
	}
	if c.Token == "" {
		return &ConfigError{"Token", "is empty: want the Token in WeChat's console"}
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
		return &ConfigError{"EncodingAESKey", "is empty: want a key, except in plain mode without a previous key"}
	}
	return nil
}

// withDefaults returns c with default values.
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

// allTokens returns the current and the previous token.
func (c Config) allTokens() []string {
	if c.PreviousToken == "" {
		return []string{c.Token}
	}
	return []string{c.Token, c.PreviousToken}
}

// keyPrefix returns the prefix of all keys in the stores.
func (c Config) keyPrefix() string { return "message/" + c.Name + "/" }
