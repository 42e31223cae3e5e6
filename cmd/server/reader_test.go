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

// tally is the results of readers. It is safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	took   []time.Duration
	tokens map[string]int // how often each was handed out
	errs   []string
	dead   []string // tokens that WeChat refused, with the circumstances
}

// read reads a token once, and calls WeChat with it if use is set.
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

// startReaders reads an app from each server about once in a time until stop is called, and uses the tokens.
func (c *cluster) startReaders(t *testing.T, app string, every time.Duration) (y *tally, stop func()) {
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

// requireAllServed requires that all reads returned tokens that WeChat accepts.
func (y *tally) requireAllServed(t *testing.T) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	require.Empty(t, y.dead)
	require.Empty(t, y.errs)
	require.NotEmpty(t, y.took)
}

// requireFewDead is requireAllServed where one token in a hundred may have ended.
func (y *tally) requireFewDead(t *testing.T) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	require.LessOrEqual(t, 100*len(y.dead), len(y.took), "%v", y.dead)
	require.Empty(t, y.errs)
}

// reads returns the number of reads.
func (y *tally) reads() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.took)
}

// slowest returns the time of the slowest read.
func (y *tally) slowest() time.Duration {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.Max(y.took)
}

// requireNoWait requires that no reader waited. On a busy machine one in fifty may be slow.
func (y *tally) requireNoWait(t *testing.T) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	slow := 0
	for _, took := range y.took {
		if took > maxReadTime {
			slow++
		}
	}
	require.LessOrEqual(t, slow, len(y.took)/50, "of %d readers with a good copy so many waited", len(y.took))
}

// String returns the number of reads and their times.
func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	took := slices.Sorted(slices.Values(y.took))
	at := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("%d reads, median %s, 99%% %s, slowest %s", len(took), at(0.5), at(0.99), at(1))
}
