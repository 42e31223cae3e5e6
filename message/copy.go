package message

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/outbox"
)

// copy stores a copy of a message for t. The same message stored again while its copy waits is one copy.
func (f *forwarder) copy(ctx context.Context, o outgoing, t *backend) error {
	q, err := f.question(t, o)
	if err != nil {
		return err
	}
	err = f.outbox.Add(ctx, outbox.Item{
		App:         f.name,
		ID:          q.id + "/" + string(t.Form),
		Target:      q.url,
		Query:       q.query,
		ContentType: q.contentType,
		Body:        q.body,
	})
	if err != nil {
		return fmt.Errorf("message: store a copy: %w", err)
	}
	return nil
}

// Deliver sends a copy that the Outbox of [Forwarding] has kept to its backend, which takes it with any 2xx. The outbox
// has authenticated it under one of SignKeys. Without any nothing can be authenticated, and only a backend that is
// configured now is sent to.
func (in *Receiver) Deliver(ctx context.Context, copy outbox.Item) error {
	return in.forward.deliver(ctx, copy)
}

func (f *forwarder) deliver(ctx context.Context, copy outbox.Item) error {
	i := slices.IndexFunc(f.backends, func(t backend) bool { return !t.Answer && t.URL == copy.Target })
	timeout := copyTime
	if i >= 0 {
		timeout = f.backends[i].Timeout
	} else if f.sender.Key == "" && f.sender.PreviousKey == "" {
		return fmt.Errorf("message: deliver a copy: %w: without a sign_key copies go to backends that are configured, and this one is not", outbox.ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	id, _, _ := strings.Cut(copy.ID, "/")
	_, err := f.sender.Deliver(ctx, id, address(copy.Target, copy.Query), copy.ContentType, copy.Body)
	return err
}

// Keep delivers the copies that Forwarding asks for, those of earlier processes too, until ctx ends, whose cause it
// returns. A copy is delivered at least once: it waits for a backend that is down, with tries from one second up to ten
// minutes apart, and is given up, with a warning in the log, when it is a day old and its backend still fails. Copies
// arrive in any order. One Keep runs in each process; without a Backend for copies, and none waiting from before, or with
// an Outbox, it does nothing.
//
// Copies carry an HMAC under each of SignKeys, so that no other program with access to Records can have anything sent. A
// copy that none of them authenticates is dropped, with a warning in the log. To change the key, keep the old one as the
// second for a day. Copies that wait when the first key is set are dropped.
func (in *Receiver) Keep(ctx context.Context) error { return in.forward.keep(ctx) }

func (f *forwarder) keep(ctx context.Context) error {
	copies := slices.ContainsFunc(f.backends, func(t backend) bool { return !t.Answer })
	if own := f.own; own != nil && own.Store != nil && (copies || own.Waiting(ctx)) {
		return own.Keep(ctx)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
