package message

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/internal/relay"
)

// storeCopy stores a copy of a message for b. Storing the copy again while it waits does nothing.
func (f *forwarder) storeCopy(ctx context.Context, job forwardJob, b *backend) error {
	request, err := f.buildRequest(b, job)
	if err != nil {
		return err
	}
	err = f.outbox.Add(ctx, outbox.Item{
		App:         f.name,
		ID:          request.id + "/" + string(b.Form),
		Target:      request.url,
		Query:       request.query,
		ContentType: request.contentType,
		Body:        request.body,
	})
	if err != nil {
		return fmt.Errorf("message: store a copy: %w", err)
	}
	return nil
}

// Deliver sends a copy from the Outbox of [Forwarding] to its backend. The backend accepts it with any 2xx status. The
// outbox has authenticated the copy with one of SignKeys. Without SignKeys no copy is authenticated, and a copy is sent
// only to a backend in the configuration.
func (in *Receiver) Deliver(ctx context.Context, copy outbox.Item) error {
	return in.forward.deliverCopy(ctx, copy)
}

func (f *forwarder) deliverCopy(ctx context.Context, copy outbox.Item) error {
	i := slices.IndexFunc(f.backends, func(b backend) bool { return !b.Answer && b.URL == copy.Target })
	timeout := defaultCopyTimeout
	if i >= 0 {
		timeout = f.backends[i].Timeout
	} else if f.sender.Key == "" && f.sender.PreviousKey == "" {
		return fmt.Errorf("message: deliver a copy: %w: its target is not configured, and without a sign_key it could be forged", outbox.ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	id, _, _ := strings.Cut(copy.ID, "/")
	_, err := f.sender.Deliver(ctx, id, withQuery(copy.Target, copy.Query), copy.ContentType, copy.Body)
	if relay.Replied(err) {
		return outbox.Replied(err)
	}
	return err
}

// Run does background work until ctx ends, and returns the cause of ctx; it does not listen. It delivers the copies in
// Records, also those of earlier processes, at least once and in any order. After a failure a copy is tried again,
// after one second at first and up to ten minutes later. A copy that is a day old is given up, with a warning in the
// log, if its backend still fails. Call Run once in each process. Without copies, or with an Outbox, it only waits.
//
// Copies carry an HMAC under each of SignKeys, so that another program with access to Records cannot make a Receiver
// send anything. A copy that no key authenticates is dropped, with a warning in the log. To change the key, keep the
// old key as the second one for a day. Copies that wait when the first key is set are dropped.
func (in *Receiver) Run(ctx context.Context) error { return in.forward.run(ctx) }

func (f *forwarder) run(ctx context.Context) error {
	copies := slices.ContainsFunc(f.backends, func(b backend) bool { return !b.Answer })
	if own := f.ownOutbox; own != nil && own.Store != nil && (copies || own.Waiting(ctx)) {
		return own.Run(ctx)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
