package renew

import (
	"context"
	"log/slog"
	"time"
)

// maxFlight is the longest time that one Load may take.
const maxFlight = 30 * time.Second

// flight is one Load in progress. Its result may be read once done is closed.
type flight struct {
	refused string
	idle    bool // the copy was not read for a while
	done    chan struct{}
	kept    *Kept
	err     error
}

// start returns the flight in progress, or starts one, and the snapshot that is held meanwhile. While nothing usable is
// held and the last flight has just failed, it returns that failure.
func (c *Copy) start(ctx context.Context, refused string) (*flight, *snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, now := c.held.Load(), time.Now()
	if c.flight != nil {
		return c.flight, h, nil
	}
	if refused == "" && now.Before(c.failed.until) && (h == nil || !h.usable(now, "")) {
		return nil, nil, c.failed.err
	}
	f := &flight{refused: refused, idle: h != nil && now.Sub(h.readAfter) > idleAfter, done: make(chan struct{})}
	c.flight = f
	go c.run(context.WithoutCancel(ctx), f, h)
	return f, h, nil
}

// startRetry starts a flight that begins without the last failure, or returns the one in progress and started == false.
func (c *Copy) startRetry(ctx context.Context) (f *flight, started bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil {
		return c.flight, false
	}
	f = &flight{done: make(chan struct{})}
	c.flight, c.failed = f, failure{}
	go c.run(context.WithoutCancel(ctx), f, c.held.Load())
	return f, true
}

// retryKey marks the context of a load that Retry started.
type retryKey struct{}

// isRetry reports whether ctx is the context of a load that Retry started.
func isRetry(ctx context.Context) bool { return ctx.Value(retryKey{}) != nil }

// run calls Load and holds its result.
func (c *Copy) run(ctx context.Context, f *flight, h *snapshot) {
	ctx, cancel := context.WithTimeout(ctx, maxFlight)
	defer cancel()
	var held *Kept
	if h != nil {
		held = &h.Kept
	}
	f.kept, f.err = c.Load(ctx, held, f.refused)
	c.mu.Lock()
	now := time.Now()
	switch {
	case f.kept != nil:
		c.held.Store(h.next(f.kept, now, f.err != nil && !isCached(f.err)))
	case f.refused == "":
		c.held.Store(nil)
		c.failed = failure{f.err, now.Add(failureTTL)}
	}
	c.flight = nil
	c.mu.Unlock()
	close(f.done)
	if f.err != nil {
		c.report(ctx, f.err)
	}
}

// next returns the snapshot of k that follows h.
func (h *snapshot) next(k *Kept, now time.Time, sourceDown bool) *snapshot {
	n := &snapshot{Kept: *k, readAfter: now.Add(readEvery), waitAfter: k.WaitAfter.Unix(), sourceDown: sourceDown}
	switch {
	case h == nil:
	case h.Value == k.Value:
		n.past = h.past
	default:
		n.past = [2]string{h.Value, h.past[0]}
	}
	return n
}

// report reports a failure, a repeated one at most once a minute.
func (c *Copy) report(ctx context.Context, err error) {
	c.mu.Lock()
	now := time.Now()
	last := c.lastReported
	repeated := isCached(err) || last.err != nil && last.err.Error() == err.Error() && now.Before(last.until)
	if !repeated {
		c.lastReported = failure{err, now.Add(time.Minute)}
	}
	c.mu.Unlock()
	if repeated {
		return
	}
	if c.OnError != nil {
		c.OnError(ctx, err)
		return
	}
	slog.WarnContext(ctx, "wetoken: keeping a credential", "error", err)
}

// wait waits for the end of the flight, or of ctx.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waitBriefly waits for the flight for as long as a reader with a good copy may be delayed.
func (f *flight) waitBriefly(ctx context.Context) {
	timer := time.NewTimer(idleWait)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// finished reports whether the flight has ended.
func (f *flight) finished() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
