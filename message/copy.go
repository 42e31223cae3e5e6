package message

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/outbox"
)

// copy stores a copy of m for t. The same message stored again while its copy waits is one copy.
func (in *Receiver) copy(ctx context.Context, m *Message, t *target) error {
	q, err := t.question(in.appID, m)
	if err != nil {
		return err
	}
	err = in.outbox.Add(ctx, outbox.Item{
		ID:          strings.TrimPrefix(in.onceKey(m), in.prefix) + "/" + string(t.Form),
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

// deliver brings a copy to its target, which takes it with any 2xx.
func (in *Receiver) deliver(ctx context.Context, item outbox.Item) error {
	timeout := copyTime
	for _, t := range in.targets {
		if !t.Answer && t.URL == item.Target {
			timeout = t.Timeout
			break
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := in.sender.Post(ctx, address(item.Target, item.Query), item.ContentType, item.Body)
	return err
}

// Keep delivers the copies that Config.Forward asks for, those of earlier processes too, until ctx ends, whose cause it
// returns. A copy is delivered at least once: it waits for a target that is down, with tries from one second up to ten
// minutes apart, and is given up, with a warning in the log, when it is a day old and its target still fails. Copies
// arrive in any order. One Keep runs in each process; without a Target for copies, and none waiting from before, it does
// nothing.
func (in *Receiver) Keep(ctx context.Context) error {
	copies := slices.ContainsFunc(in.targets, func(t target) bool { return !t.Answer })
	if copies || in.outbox.Store != nil && in.outbox.Waiting(ctx) {
		return in.outbox.Keep(ctx)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
