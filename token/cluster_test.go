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

	"github.com/wetoken/wetoken/internal/testform"
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
	late         int      // tokens that ended while they were handed out
	dead         []string // tokens that were handed out and WeChat would refuse
}

// readThrough reads all managers densely from the moment that WeChat has a next token to give until the last one has
// ended. The readers are warm when the token comes due, and one of them renews it behind the others.
func (w *world) readThrough(t *testing.T, all []*token.Manager, got *tally) {
	var wg sync.WaitGroup
	end := w.last().Expires
	pass(time.Until(end) - 5*time.Minute)
	for i, m := range all {
		wg.Go(func() {
			for time.Now().Before(end.Add(10 * time.Second)) {
				c, err := m.Token(t.Context())
				code := w.wx.Check(c.Value)
				got.mu.Lock()
				switch got.reads++; {
				case err != nil:
					got.fails++
				case code == 42001 && w.mode == work && time.Since(w.ended(c.Value)) < split:
					got.late++ // WeCom has no next one before this one has ended
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

// last is the token that WeChat made last, which all managers come to hold.
func (w *world) last() wechattest.Token {
	all := w.wx.Tokens(appID)
	return all[len(all)-1]
}

// split is how late the last reader of a store may be with a token that ends: the record in it lives for as long as the
// token had left when the store was asked to write it.
const split = 50 * time.Millisecond

// ended is the instant at which a token ends.
func (w *world) ended(value string) (end time.Time) {
	for _, k := range w.wx.Tokens(appID) {
		if k.Value == value {
			end = k.Expires
		}
	}
	return end
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
	for name, mode := range map[string]way{"stable": stable, "classic": classic} {
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

// ordeal has WeChat fail in every other round of expiry, by turns in all ways there are, with stores that are late and
// fail now and then. It tells how many replies were lost, each with a token.
func (w *world) ordeal(t *testing.T, rounds int, failures float64, got *tally) (lost int) {
	w.wx.Add(wechattest.App{ID: appID, Secret: secret, Life: life, TokenQuota: -1})
	faults := []wechattest.Fault{
		{Cut: true}, {Cut: true, AfterWork: true}, {Code: -1}, {Hang: true, AfterWork: true},
		{Delay: 4 * time.Second, AfterWork: true}, {Body: "{", AfterWork: true},
	}
	if !testform.Full() {
		rounds /= 10
	}
	all := w.cluster(200*time.Millisecond, failures)
	get(t, w.manager())
	for i := range rounds {
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
	return lost
}

// made counts the tokens that came from a path.
func (w *world) made(path string) (n int) {
	for _, k := range w.wx.Tokens(appID) {
		if k.Path == path {
			n++
		}
	}
	return n
}

func TestEightProcessesWithoutAWordFromWeChatHoldNoDeadClassicToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, got := newWorld(classic), &tally{seen: map[string]bool{}}
		lost := w.ordeal(t, rounds/2, 0, got)
		t.Logf("%d reads; %d tokens made, and %d of them lost", got.reads, w.made(oldPath), lost)
		require.Empty(t, got.dead)
		require.Zero(t, got.fails)
		require.Positive(t, lost)
		require.InDelta(t, len(got.seen)+lost, w.made(oldPath)+w.made(stablePath), 1, "a fetch for each expiry, and one more where the reply was lost")
		require.Less(t, w.made(stablePath), lost/5, "only where the current token ends before the lost fetch can be forgotten")
	})
}

func TestEightProcessesUnderFaultsHoldNoDeadClassicToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, got := newWorld(classic), &tally{seen: map[string]bool{}}
		lost := w.ordeal(t, rounds, 0.04, got)
		made := w.made(oldPath)
		t.Logf("%d reads, %d failed; %d tokens made by %s, of which %d replies were lost; %d tokens of %s for processes whose store failed",
			got.reads, got.fails, made, oldPath, lost, w.made(stablePath), stablePath)
		require.Empty(t, got.dead)
		require.Less(t, got.fails, got.reads/2000)
		require.LessOrEqual(t, made, len(got.seen)+lost+1)
	})
}
