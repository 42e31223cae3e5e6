package message

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/wetoken/wetoken/internal/field"
	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/internal/relay"
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

	Mini bool // the app is a mini program, whose users WeChat shows no passive reply

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

	// Forward are backends that messages are sent on to: see Target. Copies wait in Records, by default Store, which
	// must last if a restart is to lose none, and are delivered by Keep; or else in Outbox, which many Receivers share
	// and which calls Deliver. SignKey signs what backends are sent, and PreviousSignKey too while it is being changed:
	// without it a backend cannot tell a message from a forged one, nor Keep a copy. Late replies are sent with API.
	Forward                  []Target
	Records                  store.Store
	Outbox                   Outbox // default one of this Receiver's own
	SignKey, PreviousSignKey string
	API                      *wechat.Client
	HTTP                     *http.Client // the way to backends; default one that all share. Redirects are not followed

	// ForwardSignature has backends of every Form given the signature of WeChat, for those that verify it as in plain
	// mode. It covers no body: whoever has it can send any to an app in plain mode, for ten minutes. Default FormRaw alone.
	ForwardSignature bool

	// Hosts and AllowPrivate bound the targets that requests may name: see Calls.
	Hosts        []string // as host or host:port; default none
	AllowPrivate bool     // they may have private addresses

	Log  *slog.Logger // default slog.Default()
	Rand io.Reader    // default crypto/rand
}

// New returns a Receiver, or an error that names the field of c that is wrong.
func New(c Config) (*Receiver, error) {
	in := &Receiver{mode: c.Mode, mini: c.Mini, receiveIDs: slices.Clone(c.ReceiveIDs), anyID: c.AnyReceiveID, log: c.Log, rand: c.Rand, large: make(chan struct{}, largeMax)}
	if c.AppID == "" {
		return nil, errors.New("message: Config.AppID is empty: set the appid, for WeCom the corp id")
	}
	if c.Token == "" {
		return nil, errors.New("message: Config.Token is empty: set the Token of WeChat's console")
	}
	for _, f := range []struct{ name, value string }{
		{"AppID", c.AppID}, {"Token", c.Token}, {"PreviousToken", c.PreviousToken},
		{"EncodingAESKey", c.EncodingAESKey}, {"PreviousAESKey", c.PreviousAESKey},
		{"SignKey", c.SignKey}, {"PreviousSignKey", c.PreviousSignKey},
	} {
		if err := field.CheckBlanks(f.value); err != nil {
			return nil, fmt.Errorf("message: Config.%s %w", f.name, err)
		}
	}
	in.tokens = append(in.tokens, c.Token)
	if c.PreviousToken != "" {
		in.tokens = append(in.tokens, c.PreviousToken)
	}
	for _, k := range []struct{ field, value string }{
		{"EncodingAESKey", c.EncodingAESKey}, {"PreviousAESKey", c.PreviousAESKey},
	} {
		if k.value == "" {
			continue
		}
		key, err := parseKey(k.value)
		if err != nil {
			return nil, fmt.Errorf("message: Config.%s is not an EncodingAESKey: %w", k.field, err)
		}
		in.keys = append(in.keys, key)
	}
	switch in.mode {
	case "":
		in.mode = Plain
		if len(in.keys) > 0 {
			in.mode = Secure
		}
	case Plain, Compatible, Secure:
	default:
		return nil, fmt.Errorf("message: Config.Mode is %q: want plain, compatible or secure", in.mode)
	}
	if c.EncodingAESKey == "" && (in.mode != Plain || c.PreviousAESKey != "") {
		return nil, errors.New("message: Config.EncodingAESKey is empty: set it, or Mode to plain and PreviousAESKey to nothing")
	}
	if len(in.receiveIDs) == 0 {
		in.receiveIDs = []string{c.AppID}
	}
	if in.log == nil {
		in.log = slog.Default()
	}
	if in.rand == nil {
		in.rand = rand.Reader
	}
	return in, in.forward(c)
}

// forward takes over the part of c that is about backends, and about other processes.
func (in *Receiver) forward(c Config) error {
	in.appID, in.api, in.store = c.AppID, c.API, c.Store
	in.forwardSignature = c.ForwardSignature
	in.hosts, in.allowPrivate = slices.Clone(c.Hosts), c.AllowPrivate
	in.name = cmp.Or(c.Name, c.AppID)
	in.prefix = "message/" + in.name + "/"
	in.sender = &relay.Sender{Key: c.SignKey, PreviousKey: c.PreviousSignKey, HTTP: c.HTTP}
	if c.Records == nil {
		c.Records = c.Store
	}
	if in.store == nil {
		in.store = new(store.Memory)
	}
	longest := copyTime
	for i, t := range c.Forward {
		target, err := t.ready(in.sender, in.api)
		if err != nil {
			return fmt.Errorf("message: Config.Forward[%d]: %w", i, err)
		}
		if !t.Answer {
			if c.Records == nil && c.Outbox == nil {
				return fmt.Errorf("message: Config.Forward[%d] is a copy, and Config.Records and Store are nil: copies need a store that lasts", i)
			}
			longest = max(longest, target.Timeout)
		}
		in.targets = append(in.targets, target)
	}
	if in.outbox = c.Outbox; in.outbox == nil {
		in.own = &outbox.Outbox{
			Store: c.Records, Prefix: in.prefix + "copy/", Send: in.Deliver, Timeout: longest,
			Keys:   func(string) ([]string, error) { return []string{c.SignKey, c.PreviousSignKey}, nil },
			Report: func(ctx context.Context, err error) { in.log.WarnContext(ctx, "message: copies", "error", err) },
		}
		in.outbox = in.own
	}
	return nil
}
