package renew_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/store"
)

// outage is how the shared store behaves while it lasts.
type outage struct {
	from, to time.Time
	how      string // "down", "slow" or "full": reads, but takes no writes
}

// disk is the shared store as one process sees it, by a clock that is off.
type disk struct {
	store.Store
	p       *process
	outages []outage
	skew    time.Duration
	rng     *rand.Rand
}

var (
	errDown = errors.New("connection refused")
	errFull = errors.New("OOM command not allowed")
	errDead = errors.New("the process is dead")
)

// pass waits for as long as the store takes, and returns why it fails.
func (d *disk) pass(ctx context.Context, write bool) error {
	how, now := "", time.Now()
	for _, o := range d.outages {
		if !now.Before(o.from) && now.Before(o.to) {
			how = o.how
		}
	}
	delay := 200*time.Microsecond + d.p.spread(d.rng, 5*time.Millisecond)
	if how == "slow" {
		delay = d.p.spread(d.rng, 1500*time.Millisecond)
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	switch {
	case d.p.killed():
		return errDead
	case how == "down":
		return errDown
	case how == "full" && write:
		return errFull
	}
	return nil
}

func (d *disk) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := d.pass(ctx, false); err != nil {
		return nil, false, err
	}
	value, ok, err := d.Store.Get(context.WithoutCancel(ctx), key)
	return shift(value, d.skew), ok, err
}

func (d *disk) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := d.pass(ctx, true); err != nil {
		return false, err
	}
	return d.Store.Swap(context.WithoutCancel(ctx), key, shift(old, -d.skew), shift(new, -d.skew), ttl)
}

func (d *disk) Delete(ctx context.Context, key string) error {
	if err := d.pass(ctx, true); err != nil {
		return err
	}
	return d.Store.Delete(context.WithoutCancel(ctx), key)
}

func (d *disk) Keys(context.Context, string) iter.Seq2[string, error] { panic("not used") }

var instants = regexp.MustCompile(`"(expires|gen|until|before)":\d+`)

// shift moves the instants in a record.
func shift(value []byte, d time.Duration) []byte {
	if value == nil || d == 0 {
		return value
	}
	return instants.ReplaceAllFunc(value, func(b []byte) []byte {
		name, ms, _ := strings.Cut(string(b), ":")
		n, _ := strconv.ParseInt(ms, 10, 64)
		if n == 0 {
			return b
		}
		return []byte(name + ":" + strconv.FormatInt(n+d.Milliseconds(), 10))
	})
}

// flush empties a store, as FLUSHALL does.
func flush(ctx context.Context, s store.Store) {
	for key := range s.Keys(ctx, "") {
		s.Delete(ctx, key)
	}
}
