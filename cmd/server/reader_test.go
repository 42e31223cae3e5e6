package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tally is what readers met with. It may be used by many goroutines.
type tally struct {
	mu     sync.Mutex
	took   []time.Duration
	tokens map[string]int // how often each was handed out
	errs   []string
	dead   []string // tokens that WeChat refused, with the circumstances
}

// read reads a token once, and uses it where use is set.
func (y *tally) read(ctx context.Context, c *cluster, i int, app string, use bool) {
	start := time.Now()
	token, err := c.token(ctx, i, app)
	took, code := time.Since(start), 0
	if err == nil && use {
		code, err = c.wx.use(token)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	y.took = append(y.took, took)
	if y.tokens == nil {
		y.tokens = map[string]int{}
	}
	switch {
	case err != nil:
		y.errs = append(y.errs, fmt.Sprintf("%s server %d, app %s, after %s: %v", start.Format("05.000"), i, app, took.Round(time.Millisecond), err))
	case code != 0:
		y.dead = append(y.dead, fmt.Sprintf("%s server %d, app %s, after %s: %d for %s", start.Format("05.000"), i, app, took.Round(time.Millisecond), code, token))
	default:
		y.tokens[token]++
	}
}

// pace reads an app from the servers until stop is called, each about every so often, and uses the tokens.
func (c *cluster) pace(t *testing.T, app string, every time.Duration) (y *tally, stop func()) {
	y = new(tally)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for _, i := range c.alive() {
		readers.Go(func() {
			for wait := rand.N(every); ; wait = every/2 + rand.N(every) {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
					return
				}
				y.read(ctx, c, i, app, true)
			}
		})
	}
	stop = func() { cancel(); readers.Wait() }
	t.Cleanup(stop)
	return y, stop
}

// calm says that all reads were answered with tokens that WeChat takes.
func (y *tally) calm(t *testing.T) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	require.Empty(t, y.dead)
	require.Empty(t, y.errs)
	require.NotEmpty(t, y.took)
}

// reads counts the reads.
func (y *tally) reads() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.took)
}

// slowest is the longest that a read took.
func (y *tally) slowest() time.Duration {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.Max(y.took)
}

// prompt says that no reader waited. On a machine that is busy with other tests one in fifty may seem to.
func (y *tally) prompt(t *testing.T) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	slow := 0
	for _, took := range y.took {
		if took > patience {
			slow++
		}
	}
	require.LessOrEqual(t, slow, len(y.took)/50, "of %d readers with a good copy so many waited", len(y.took))
}

// String tells how many reads there were and how long they took.
func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	took := slices.Sorted(slices.Values(y.took))
	at := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d reads, median %s, 99%% %s, slowest %s", len(took), at(0.5), at(0.99), at(1))
}
