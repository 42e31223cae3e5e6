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

// Forwarding configures how a Receiver forwards messages to backends. Its zero value forwards nothing.
type Forwarding struct {
	Backends []Backend

	// SignKeys sign the requests to backends and authenticate stored copies: the current key, and during a change the
	// previous key as the second. Empty keys are skipped. Without a key, backends cannot distinguish a message from a forged
	// one, and Run cannot distinguish a copy from a forged one.
	SignKeys []string

	// Copies are stored in Records and delivered by Run. Records must be persistent if copies must survive a restart.
	// Default Config.Store. If Outbox is set copies go there instead: several Receivers may share it, and it calls Deliver.
	// Package gateway has one.
	Records store.Store
	Outbox  interface {
		Add(ctx context.Context, copy outbox.Item) error
	}

	API  *wechat.Client // sends late replies; required for a Backend with Late
	HTTP *http.Client   // for requests to backends, without redirects; default a client that all Receivers share

	// Signature makes requests of every Form contain WeChat's signature, for backends that verify it as in plain mode. The
	// signature does not cover the body: for ten minutes a backend can send any message to an app in plain mode with it.
	// Default only requests of FormRaw contain it.
	Signature bool

	// Hosts and AllowPrivate limit the backends that requests may name: see Calls.
	Hosts        []string // host or host:port; default none
	AllowPrivate bool     // they may have private addresses

	redacted
}

// copyQueue stores copies until their backends have accepted them.
type copyQueue interface {
	Add(ctx context.Context, copy outbox.Item) error
}

// maxSignKeys is the most keys of a Forwarding.
const maxSignKeys = 2

// forwarder forwards messages to backends and chooses the reply. It is safe for concurrent use.
type forwarder struct {
	appID, name  string
	keys         keyring // decrypts replies that backends encrypt
	log          *slog.Logger
	backends     []backend
	sender       *relay.Sender
	outbox       copyQueue
	ownOutbox    *outbox.Outbox // outbox, if this forwarder made it
	api          *wechat.Client
	signature    bool
	hosts        []string
	allowPrivate bool
}

// newForwarder returns the forwarder of a Config whose other fields have been checked.
func newForwarder(c Config, keys keyring) (*forwarder, error) {
	f := &forwarder{appID: c.AppID, name: c.Name, keys: keys, log: c.Log, outbox: c.Forward.Outbox, api: c.Forward.API,
		signature: c.Forward.Signature, hosts: slices.Clone(c.Forward.Hosts), allowPrivate: c.Forward.AllowPrivate}
	var err error
	if f.sender, err = newSender(c.Forward); err != nil {
		return nil, err
	}
	longest := defaultCopyTimeout
	for i, b := range c.Forward.Backends {
		ready, err := b.prepare(f.sender)
		switch {
		case err != nil:
			return nil, err.inField(fmt.Sprintf("Forward.Backends[%d]", i))
		case b.Late && f.api == nil:
			return nil, &ConfigError{"Forward.API", "is not set: late replies are sent with it"}
		case !b.Answer && c.Forward.Records == nil && f.outbox == nil:
			return nil, &ConfigError{"Forward.Records", "is not set: want a persistent store for copies"}
		case !b.Answer:
			longest = max(longest, ready.Timeout)
		}
		f.backends = append(f.backends, ready)
	}
	if f.outbox == nil {
		f.ownOutbox = &outbox.Outbox{
			Store: c.Forward.Records, Prefix: c.keyPrefix() + "copy/", Send: f.deliverCopy, Timeout: longest,
			Keys:    func(string) ([]string, error) { return []string{f.sender.Key, f.sender.PreviousKey}, nil },
			OnError: func(ctx context.Context, err error) { f.log.WarnContext(ctx, "message: copies", "error", err) },
		}
		f.outbox = f.ownOutbox
	}
	return f, nil
}

// newSender returns the Sender for the configured backends.
func newSender(c Forwarding) (*relay.Sender, error) {
	keys := slices.DeleteFunc(slices.Clone(c.SignKeys), func(key string) bool { return key == "" })
	if len(keys) > maxSignKeys {
		return nil, &ConfigError{"Forward.SignKeys", fmt.Sprintf("has %d keys: want at most %d, the current and the previous one", len(keys), maxSignKeys)}
	}
	keys = append(keys, "", "")
	return &relay.Sender{Key: keys[0], PreviousKey: keys[1], HTTP: c.HTTP}, nil
}

// forwardJob is a message to be forwarded.
type forwardJob struct {
	message *Message
	id      string          // the delivery id: the same for all requests about one message, and for no other message
	extra   []backend       // the backends that the request names
	copied  chan<- struct{} // closed when the copies are stored
}

// chosenReply is a reply, and whether it may be sent late as a customer service message.
type chosenReply struct {
	reply Reply
	late  bool
}

// forward stores the copies of a message, posts it to the other backends, calls handle, and returns the first reply in
// order: the reply of handle, then those of the backends. Copies are stored first, as WeChat may send the message again
// if the rest fails.
func (f *forwarder) forward(ctx context.Context, job forwardJob, handle HandlerFunc) (chosenReply, error) {
	answering, err := f.storeCopies(ctx, job)
	if err != nil {
		return chosenReply{}, err
	}
	close(job.copied)
	deadline := time.NewTimer(replyTimeout)
	defer deadline.Stop()
	results := make(chan result, 2*len(answering))
	for i := range answering {
		request, err := f.buildRequest(&answering[i], job)
		if err != nil {
			return chosenReply{}, err
		}
		go f.postWithRetry(context.WithoutCancel(ctx), job.message, &answering[i], i, request, results)
	}
	own, err := handle(ctx, job.message)
	if err != nil || own != nil || len(answering) == 0 {
		return chosenReply{reply: cutReply(ctx, f.log, job.message, own, "handler")}, err
	}
	return firstReply(deadline.C, answering, results)
}

// storeCopies stores a copy for each backend that does not answer, and returns the backends that do.
func (f *forwarder) storeCopies(ctx context.Context, job forwardJob) (answering []backend, err error) {
	for _, b := range slices.Concat(f.backends, job.extra) {
		switch {
		case !b.When(job.message):
		case b.Answer:
			answering = append(answering, b)
		default:
			if err := f.storeCopy(ctx, job, &b); err != nil {
				return nil, err
			}
		}
	}
	return answering, nil
}

// result is the state of the request to one backend.
type result struct {
	i        int
	progress progress
	reply    Reply
	err      error
}

type progress int

const (
	waiting progress = iota
	retrying
	finished
)

// firstReply waits for the first reply in the order of backends. After the deadline it returns any reply that has
// arrived, and waits only for backends whose reply may be late.
func firstReply(deadline <-chan time.Time, backends []backend, results <-chan result) (chosenReply, error) {
	latest := make([]result, len(backends))
	late := false
	for {
		left, failed := 0, 0
		for i, r := range latest {
			switch {
			case r.progress == finished && r.reply != nil:
				return chosenReply{r.reply, backends[i].Late}, nil
			case r.progress == finished && r.err != nil:
				failed++
			case r.progress != finished && (!late || backends[i].Late):
				left++
			}
			if r.progress == waiting && !late {
				break // its reply comes before those of the following backends
			}
		}
		switch {
		case left > 0:
		case failed == len(latest):
			return chosenReply{}, fmt.Errorf("message: no backend accepted the message: %w", latest[0].err)
		default:
			return chosenReply{}, nil
		}
		select {
		case r := <-results:
			latest[r.i] = r
		case <-deadline:
			late = true
		}
	}
}
