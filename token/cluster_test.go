package token_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechattest"
)

// machine is a store as one machine sees it: slow, failing now and then before or after the effect, and with a clock
// that is off, so that instants in values are too.
type machine struct {
	store.Store
	skew     time.Duration
	delay    time.Duration // at most
	failures float64       // how often a call fails, half of them after the effect
	down     *atomic.Bool
}

var errInjected = errors.New("injected")

func (m *machine) before() error {
	if m.delay > 0 {
		pass(rand.N(m.delay))
	}
	if m.down != nil && m.down.Load() || rand.Float64() < m.failures/2 {
		return errInjected
	}
	return nil
}

func (m *machine) after() error {
	if rand.Float64() < m.failures/2 {
		return errInjected
	}
	return nil
}

func (m *machine) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := m.before(); err != nil {
		return nil, false, err
	}
	value, ok, err := m.Store.Get(ctx, key)
	if err == nil {
		err = m.after()
	}
	return shift(value, m.skew), ok, err
}

func (m *machine) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := m.before(); err != nil {
		return false, err
	}
	swapped, err := m.Store.Swap(ctx, key, shift(old, -m.skew), shift(new, -m.skew), ttl)
	if err == nil {
		err = m.after()
	}
	return swapped, err
}

func (m *machine) Keys(context.Context, string) iter.Seq2[string, error] { return nil }

var instant = regexp.MustCompile(`"(expires|gen)":\d+`)

func shift(value []byte, d time.Duration) []byte {
	if value == nil {
		return nil
	}
	return instant.ReplaceAllFunc(value, func(b []byte) []byte {
		name, ms, _ := strings.Cut(string(b), ":")
		n, _ := strconv.ParseInt(ms, 10, 64)
		return []byte(name + ":" + strconv.FormatInt(n+d.Milliseconds(), 10))
	})
}

// cluster is eight processes with clocks up to half a minute apart.
func (w *world) cluster(delay time.Duration, failures float64) []*token.Manager {
	all := make([]*token.Manager, 8)
	for i := range all {
		all[i] = w.manager()
		all[i].Store = &machine{Store: w.store, delay: delay, failures: failures, skew: time.Duration(i-4) * 7 * time.Second}
	}
	return all
}

const (
	life   = 20 * time.Minute // WeChat's windows are as long as those of a token of two hours
	rounds = 1000
)

// tally is what the readers of a cluster met with.
type tally struct {
	mu           sync.Mutex
	seen         map[string]bool // tokens
	reads, fails int
	dead         []string // tokens that were handed out and WeChat would refuse
}

// readThrough reads all managers until the clock has gone on by life, densely once the token is due.
func (w *world) readThrough(t *testing.T, all []*token.Manager, got *tally) {
	var wg sync.WaitGroup
	pass(life - 5*time.Minute)
	for i, m := range all {
		wg.Go(func() {
			for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); {
				c, err := m.Token(t.Context())
				code := w.wx.Check(c.Value)
				got.mu.Lock()
				switch got.reads++; {
				case err != nil:
					got.fails++
				case code != 0:
					got.dead = append(got.dead, w.obituary(i, c.Value, code))
				default:
					got.seen[c.Value] = true
				}
				got.mu.Unlock()
				pass(time.Second + rand.N(2*time.Second))
			}
		})
	}
	wg.Wait()
}

// obituary tells of a dead token and of those made around it.
func (w *world) obituary(process int, value string, code int) string {
	text := fmt.Sprintf("process %d at %s: %d;", process, time.Now().Format(time.TimeOnly), code)
	all := w.wx.Tokens(appID)
	for i, k := range all {
		if k.Value == value {
			for _, k := range all[max(i-2, 0):min(i+3, len(all))] {
				text += fmt.Sprintf(" %s %s-%s %s (its own: %t);", k.Path, k.Issued.Format(time.TimeOnly), k.Expires.Format(time.TimeOnly), k.State, k.Value == value)
			}
		}
	}
	return text
}

func TestEightProcessesFetchOncePerExpiry(t *testing.T) {
	for name, mode := range map[string]token.Mode{"stable": token.Stable, "classic": token.Classic} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(mode)
				w.wx.Add(wechattest.App{ID: appID, Secret: secret, Life: life, TokenQuota: -1})
				all, got := w.cluster(15*time.Millisecond, 0), &tally{seen: map[string]bool{}}
				get(t, all[0])
				for range 50 {
					w.readThrough(t, all, got)
				}
				require.Empty(t, got.dead)
				require.Zero(t, got.fails)
				require.Equal(t, w.wx.Calls(w.path()), len(got.seen))
				require.Len(t, w.wx.Tokens(appID), len(got.seen))
			})
		})
	}
}

func TestEightProcessesUnderFaultsHoldNoDeadClassicToken(t *testing.T) {
	n := rounds
	if testing.Short() {
		n = rounds / 10
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(token.Classic)
		w.wx.Add(wechattest.App{ID: appID, Secret: secret, Life: life, TokenQuota: -1})
		all, got := w.cluster(200*time.Millisecond, 0.04), &tally{seen: map[string]bool{}}
		faults := []wechattest.Fault{
			{Cut: true}, {Cut: true, AfterWork: true}, {Code: -1}, {Hang: true, AfterWork: true},
			{Delay: 4 * time.Second, AfterWork: true}, {Body: "{", AfterWork: true},
		}
		lost := 0
		for i := range n {
			if i%2 == 1 {
				f := faults[i/2%len(faults)]
				f.Path, f.Times = oldPath, 1
				w.wx.Fail(f)
				if f.AfterWork && f.Delay == 0 {
					lost++
				}
			}
			w.readThrough(t, all, got)
			w.wx.Heal()
		}
		made := 0
		for _, k := range w.wx.Tokens(appID) {
			if k.Path == oldPath {
				made++
			}
		}
		t.Logf("%d rounds, %d reads, %d failed; %d tokens made by %s, of which %d replies were lost; %d tokens of %s for processes whose store failed",
			n, got.reads, got.fails, made, oldPath, lost, len(w.wx.Tokens(appID))-made, stablePath)
		require.Empty(t, got.dead)
		require.Less(t, got.fails, got.reads/500)
		require.LessOrEqual(t, made, n+lost+1)
	})
}
