package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/internal/relay"
)

const (
	relayTimeout      = 30 * time.Second // of one request to a backend
	syncRelayTimeout  = 4 * time.Second  // with notify_sync: WeChat waits 5 s
	relayInterval     = 30 * time.Second // between checks of the waiting reports
	relayWarnAge      = 5 * time.Minute  // an older waiting report is logged
	relayWarnInterval = 10 * time.Minute // between two such logs
)

// newRelays returns the outbox for the payment reports of all apps. Reports are retried without end. They have their own queue, so
// that copies of messages do not delay them.
func (g *Gateway) newRelays() *outbox.Outbox {
	return &outbox.Outbox{
		Store: g.records, Prefix: "relay/", Forever: true, Send: g.sendRelay, Keys: g.relayKeys, Timeout: relayTimeout,
		OnError: func(ctx context.Context, err error) {
			if !isReported(err) {
				g.log.WarnContext(ctx, "report of a payment", "error", err)
			}
		},
	}
}

func (g *Gateway) appWithPay(id string) (*app, error) {
	a, err := g.appByID(context.Background(), id)
	if err != nil {
		return nil, err
	}
	if a == nil || a.pay == nil {
		return nil, fmt.Errorf("gateway: no app %.64q with payments", id)
	}
	return a, nil
}

// relayKeys returns the keys that sign the reports of an app.
func (g *Gateway) relayKeys(id string) ([]string, error) {
	a, err := g.appWithPay(id)
	if err != nil {
		return nil, err
	}
	return []string{a.signKey, a.previousSignKey}, nil
}

// sendRelay sends a report to its backend.
func (g *Gateway) sendRelay(ctx context.Context, item outbox.Item) error {
	a, err := g.appWithPay(item.App)
	if err != nil {
		return err
	}
	if a.signKey == "" && item.Target != a.pay.config.NotifyTo {
		return fmt.Errorf("gateway: report a payment: %w: invalid target: want notify_to, because without a sign_key a report can be forged", outbox.ErrRefused)
	}
	return a.sendRelay(ctx, item)
}

func (a *app) sendRelay(ctx context.Context, item outbox.Item) error {
	s := relay.Sender{Headers: item.Headers, Key: a.signKey, PreviousKey: a.previousSignKey, HTTP: a.gateway.relayHTTP}
	target := item.Target
	if isLocalTarget(target) {
		target = "http://localhost" + target
		s.HTTP = &http.Client{Transport: relay.Local{Handler: a.gateway.onPublic()}}
	}
	response, err := s.Deliver(ctx, item.ID, target, item.ContentType, item.Body)
	switch {
	case err == nil:
		if err = checkAccepted(response); err != nil {
			return outbox.Replied(err)
		}
	case relay.Replied(err):
		return outbox.Replied(err)
	}
	return err
}

// relay sends a report to the backend of the order, or else to that of the app.
func (a *app) relay(ctx context.Context, id, target string, r report) error {
	p := a.pay.config
	target = cmp.Or(strings.TrimPrefix(target, flatPrefix), p.NotifyTo)
	if target == "" {
		a.gateway.log.DebugContext(ctx, "payment is not reported: notify_to is not set", "app", a.name, "delivery", id)
		return nil
	}
	item := outbox.Item{App: a.id, ID: id, Target: target, ContentType: "application/json", Body: r.body, Headers: r.headers}
	if !p.NotifySync {
		return a.gateway.relays.Add(ctx, item)
	}
	return a.relayNow(ctx, item)
}

// relayNow returns nil once the backend has accepted a report. A report that it does not accept at once is added to the outbox, so
// that it outlives WeChat's notifications; relayNow then returns an error until it was delivered, or a person has dropped it.
func (a *app) relayNow(ctx context.Context, item outbox.Item) error {
	relays := a.gateway.relays
	if waits, err := relays.Has(ctx, item); err != nil {
		return err
	} else if waits {
		return errors.New("gateway: the report waits in the outbox: its backend has not accepted it yet")
	}
	if ended, err := relays.TakeMark(ctx, item); err != nil || ended {
		return err
	}
	short, cancel := context.WithTimeout(ctx, syncRelayTimeout)
	defer cancel()
	failed := a.sendRelay(short, item)
	if failed == nil {
		return nil
	}
	item.Mark = true
	return errors.Join(failed, relays.Add(ctx, item))
}

// relayState is the last known state of the waiting reports.
type relayState struct {
	oldest atomic.Int64 // Unix seconds; 0 for none
	held   atomic.Int64 // number of reports that need RetryRelay
}

// deliverRelays delivers reports until ctx ends. It starts when an app takes payments.
func (g *Gateway) deliverRelays(ctx context.Context) {
	if !g.waitForPay(ctx) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.watchRelays(ctx)
	}()
	if err := g.relays.Run(ctx); !errors.Is(err, context.Cause(ctx)) {
		g.log.ErrorContext(ctx, "delivery of payment reports has ended", "error", err)
	}
	<-done
}

// watchRelays updates relayState and logs old reports until ctx ends.
func (g *Gateway) watchRelays(ctx context.Context) {
	tick := time.NewTicker(relayInterval)
	defer tick.Stop()
	var warned time.Time
	for {
		if b, err := g.relays.Backlog(ctx); err == nil {
			now, oldest := time.Now(), int64(0)
			if !b.Oldest.IsZero() {
				oldest = b.Oldest.Unix()
			}
			g.relayState.oldest.Store(oldest)
			g.relayState.held.Store(int64(b.Held))
			if oldest != 0 && now.Sub(b.Oldest) >= relayWarnAge && now.Sub(warned) >= relayWarnInterval {
				warned = now
				g.log.WarnContext(ctx, "reports of payments wait: run server outbox list", "count", b.Count, "held", b.Held, "oldest", now.Sub(b.Oldest).Round(time.Second))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Relay is a payment report that its backend has not accepted yet.
type Relay struct {
	Handle string // names it for RetryRelay and DropRelay
	ID     string // Wetoken-Delivery
	App    string // id
	Target string
	Added  time.Time
	Held   string // reason why it needs RetryRelay; empty if it is retried automatically
}

// Relays returns the waiting payment reports.
func (g *Gateway) Relays(ctx context.Context) ([]Relay, error) {
	var all []Relay
	for l, err := range g.relays.List(ctx) {
		if err != nil {
			return nil, err
		}
		r := Relay{Handle: l.Handle, ID: l.ID, App: l.App, Target: l.Target, Added: l.Added}
		if l.Held != nil {
			r.Held = l.Held.Error()
		}
		all = append(all, r)
	}
	return all, nil
}

// RetryRelay signs a report with the current sign_key of its app, and sends it now.
func (g *Gateway) RetryRelay(ctx context.Context, handle string) error {
	return g.relays.Retry(ctx, handle)
}

// DropRelay removes a report. Its backend never receives it.
func (g *Gateway) DropRelay(ctx context.Context, handle string) error {
	return g.relays.Drop(ctx, handle)
}
