package message

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/internal/relay"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Forwarding is how messages are sent on to backends. A Receiver without any needs none of it.
type Forwarding struct {
	Backends []Backend

	// SignKeys sign what backends are sent, and the copies that wait for them: the present key, and while it is being
	// changed the one before. Empty ones are skipped. Without a key a backend cannot tell a message from a forged one, nor
	// Keep a copy.
	SignKeys []string

	// Copies wait in Records, by default Config.Store, which must last if a restart is to lose none, and are delivered
	// by Keep; or else in Outbox, the one of package gateway, which many Receivers share and which calls Deliver.
	Records store.Store
	Outbox  interface {
		Add(ctx context.Context, copy outbox.Item) error
	}

	API  *wechat.Client // sends late replies; needed for a Backend that is Late
	HTTP *http.Client   // the way to backends; default one that all share. Redirects are not followed

	// Signature has backends of every Form given the signature of WeChat, for those that verify it as in plain mode. It
	// covers no body: a program that has it can send any to an app in plain mode, for ten minutes. Default FormRaw alone.
	Signature bool

	// Hosts and AllowPrivate bound the backends that requests may name: see Calls.
	Hosts        []string // as host or host:port; default none
	AllowPrivate bool     // they may have private addresses

	redacted
}

// keeper keeps copies until their backends have taken them.
type keeper interface {
	Add(ctx context.Context, copy outbox.Item) error
}

// maxSignKeys is how many keys a Forwarding may have.
const maxSignKeys = 2

// forwarder sends messages on to backends, and finds the reply among their answers. It is safe for concurrent use.
type forwarder struct {
	appID, name  string
	keys         keyring // of backends that encrypt their replies
	log          *slog.Logger
	backends     []backend
	sender       *relay.Sender
	outbox       keeper
	own          *outbox.Outbox // the same, if it is this forwarder's own
	api          *wechat.Client
	signature    bool
	hosts        []string
	allowPrivate bool
}

// newForwarder returns the forwarder of a Config that is complete but for Forward.
func newForwarder(c Config, keys keyring) (*forwarder, error) {
	f := &forwarder{appID: c.AppID, name: c.Name, keys: keys, log: c.Log, outbox: c.Forward.Outbox, api: c.Forward.API,
		signature: c.Forward.Signature, hosts: slices.Clone(c.Forward.Hosts), allowPrivate: c.Forward.AllowPrivate}
	var err error
	if f.sender, err = newSender(c.Forward); err != nil {
		return nil, err
	}
	longest := copyTime
	for i, b := range c.Forward.Backends {
		ready, err := b.ready(f.sender)
		switch {
		case err != nil:
			return nil, err.within(fmt.Sprintf("Forward.Backends[%d]", i))
		case b.Late && f.api == nil:
			return nil, &ConfigError{"Forward.API", "is not set: late replies are sent with it"}
		case !b.Answer && c.Forward.Records == nil && f.outbox == nil:
			return nil, &ConfigError{"Forward.Records", "is not set: copies need a store that lasts"}
		case !b.Answer:
			longest = max(longest, ready.Timeout)
		}
		f.backends = append(f.backends, ready)
	}
	if f.outbox == nil {
		f.own = &outbox.Outbox{
			Store: c.Forward.Records, Prefix: c.prefix() + "copy/", Send: f.deliver, Timeout: longest,
			Keys:   func(string) ([]string, error) { return []string{f.sender.Key, f.sender.PreviousKey}, nil },
			Report: func(ctx context.Context, err error) { f.log.WarnContext(ctx, "message: copies", "error", err) },
		}
		f.outbox = f.own
	}
	return f, nil
}

// newSender returns the way to backends that are configured.
func newSender(c Forwarding) (*relay.Sender, error) {
	keys := slices.DeleteFunc(slices.Clone(c.SignKeys), func(key string) bool { return key == "" })
	if len(keys) > maxSignKeys {
		return nil, &ConfigError{"Forward.SignKeys", fmt.Sprintf("has more than %d keys: want the present one and the one before", maxSignKeys)}
	}
	keys = append(keys, "", "")
	return &relay.Sender{Key: keys[0], PreviousKey: keys[1], HTTP: c.HTTP}, nil
}

// answer is a reply and how it may travel.
type answer struct {
	reply Reply
	late  bool // as a customer service message, if need be
}

// outgoing is a message on its way to the backends.
type outgoing struct {
	m      *Message
	id     string    // the same for all requests about m and its repeats, and for no other message of any app
	named  []backend // by the request
	stored chan<- struct{}
}

// forward gives a message to the backends it is for and to the handlers of this process, and returns the first reply in
// their order, which begins with the handlers. Copies are stored before anything else is done, as the rest may be done
// again; then stored is closed.
func (f *forwarder) forward(ctx context.Context, o outgoing, handle HandlerFunc) (answer, error) {
	var asked []backend
	for _, b := range slices.Concat(f.backends, o.named) {
		switch {
		case !b.When(o.m):
		case b.Answer:
			asked = append(asked, b)
		default:
			if err := f.copy(ctx, o, &b); err != nil {
				return answer{}, err
			}
		}
	}
	close(o.stored)
	call := time.NewTimer(lastCall)
	defer call.Stop()
	news := make(chan step, 2*len(asked))
	for i := range asked {
		q, err := f.question(&asked[i], o)
		if err != nil {
			return answer{}, err
		}
		go f.ask(context.WithoutCancel(ctx), o.m, &asked[i], i, q, news)
	}
	own, err := handle(ctx, o.m)
	if err != nil || own != nil || len(asked) == 0 {
		return answer{reply: fit(ctx, f.log, o.m, own, "handler")}, err
	}
	return collect(call.C, asked, news)
}

// step is how far the asking of one backend has come.
type step struct {
	i     int
	state state
	reply Reply
	err   error
}

type state int

const (
	asking state = iota
	again        // it failed and is asked once more
	over
)

// collect waits for the first reply in the order of asked. After the last call the order no longer matters, and only
// those whose reply may be late are waited for.
func collect(call <-chan time.Time, asked []backend, news <-chan step) (answer, error) {
	steps := make([]step, len(asked))
	late := false
	for {
		left, failed := 0, 0
		for i, s := range steps {
			switch {
			case s.state == over && s.reply != nil:
				return answer{s.reply, asked[i].Late}, nil
			case s.state == over && s.err != nil:
				failed++
			case s.state != over && (!late || asked[i].Late):
				left++
			}
			if s.state == asking && !late {
				break // its reply, if it has one, comes before those of the others
			}
		}
		switch {
		case left > 0:
		case failed == len(steps):
			return answer{}, fmt.Errorf("message: none of the backends took it: %w", steps[0].err)
		default:
			return answer{}, nil
		}
		select {
		case s := <-news:
			steps[s.i] = s
		case <-call:
			late = true
		}
	}
}
