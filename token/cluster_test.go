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

// machineStore is the store as one machine sees it: slow, with failures before or after the effect, and with a clock
// that is off, which shifts the instants in values.
type machineStore struct {
	store.Store
	skew     time.Duration
	delay    time.Duration // upper bound
	failures float64       // share of failed calls, half of them after the effect
	down     *atomic.Bool
}

var errInjected = errors.New("injected")

func (m *machineStore) before() error {
	if m.delay > 0 {
		waitFor(rand.N(m.delay))
	}
	if m.down != nil && m.down.Load() || rand.Float64() < m.failures/2 {
		return errInjected
	}
	return nil
}

func (m *machineStore) after() error {
	if rand.Float64() < m.failures/2 {
		return errInjected
	}
	return nil
}

func (m *machineStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := m.before(); err != nil {
		return nil, false, err
	}
	value, ok, err := m.Store.Get(ctx, key)
	if err == nil {
		err = m.after()
	}
	return shift(value, m.skew), ok, err
}

func (m *machineStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := m.before(); err != nil {
		return false, err
	}
	swapped, err := m.Store.Swap(ctx, key, shift(old, -m.skew), shift(new, -m.skew), ttl)
	if err == nil {
		err = m.after()
	}
	return swapped, err
}

func (m *machineStore) Keys(context.Context, string) iter.Seq2[string, error] { return nil }

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

// cluster returns eight managers whose clocks differ by up to half a minute.
func (w *world) cluster(delay time.Duration, failures float64) []*token.Manager {
	all := make([]*token.Manager, 8)
	for i := range all {
		all[i] = w.manager()
		all[i].Store = &machineStore{Store: w.store, delay: delay, failures: failures, skew: time.Duration(i-4) * 7 * time.Second}
	}
	return all
}

const (
	life   = 20 * time.Minute // WeChat's overlap is then as long as for a token of two hours
	rounds = 1000
)

// readStats counts the results of the reads of a cluster.
type readStats struct {
	mu           sync.Mutex
	seen         map[string]bool // tokens that were returned
	reads, fails int
	late         int      // tokens that expired while they were returned
	dead         []string // tokens that were returned and that WeChat would refuse
}

// readThrough reads all managers often, from the time at which WeChat can issue the next token until the last token has
// ended. The readers are warm when the token is due, and one of them renews it in the background.
func (w *world) readThrough(t *testing.T, all []*token.Manager, got *readStats) {
	var wg sync.WaitGroup
	end := w.lastToken().Expires
	waitFor(time.Until(end) - 5*time.Minute)
	for i, m := range all {
		wg.Go(func() {
			for time.Now().Before(end.Add(10 * time.Second)) {
				c, err := m.Token(t.Context())
				code := w.wx.Check(c.Value)
				got.mu.Lock()
				switch got.reads++; {
				case err != nil:
					got.fails++
				case code == 42001 && w.mode == work && time.Since(w.endOf(c.Value)) < maxLateness:
					got.late++ // WeCom has no next token before this one has ended
				case code != 0:
					got.dead = append(got.dead, w.describeDead(i, c.Value, code))
				default:
					got.seen[c.Value] = true
				}
				got.mu.Unlock()
				waitFor(time.Second + rand.N(2*time.Second))
			}
		})
	}
	wg.Wait()
}

// lastToken returns the token that WeChat issued last, which all managers come to hold.
func (w *world) lastToken() wechattest.Token {
	all := w.wx.Tokens(appID)
	return all[len(all)-1]
}

// maxLateness is how late the last reader of a store may be with a token that ends: the record lives for as long as the
// token had left when the store was asked to write it.
const maxLateness = 50 * time.Millisecond

// endOf returns the time at which a token ends.
func (w *world) endOf(value string) (end time.Time) {
	for _, k := range w.wx.Tokens(appID) {
		if k.Value == value {
			end = k.Expires
		}
	}
	return end
}

// describeDead describes a dead token and the tokens issued around it.
func (w *world) describeDead(process int, value string, code int) string {
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
	for name, mode := range map[string]method{"stable": stable, "classic": classic} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(mode)
				w.wx.Add(wechattest.App{ID: appID, Secret: secret, Life: life, TokenQuota: -1})
				all, got := w.cluster(15*time.Millisecond, 0), &readStats{seen: map[string]bool{}}
				get(t, all[0])
				for range 50 {
					w.readThrough(t, all, got)
				}
				require.Empty(t, got.dead)
				require.Zero(t, got.fails)
				require.Equal(t, w.wx.Calls(w.fetchPath()), len(got.seen))
				require.Len(t, w.wx.Tokens(appID), len(got.seen))
			})
		})
	}
}

// runFaults has WeChat fail in every other round, in all kinds of ways, with stores that are slow and sometimes fail.
// It returns the number of lost answers that had a token.
func (w *world) runFaults(t *testing.T, rounds int, failures float64, got *readStats) (lost int) {
	w.wx.Add(wechattest.App{ID: appID, Secret: secret, Life: life, TokenQuota: -1})
	faults := []wechattest.Fault{
		{Cut: true}, {Cut: true, AfterWork: true}, {Code: -1}, {Hang: true, AfterWork: true},
		{Delay: 4 * time.Second, AfterWork: true}, {Body: "{", AfterWork: true},
	}
	switch {
	case testform.Long():
	case testform.Full():
		rounds /= 4
	default:
		rounds /= 10
	}
	all := w.cluster(200*time.Millisecond, failures)
	get(t, w.manager())
	for i := range rounds {
		if i%2 == 1 {
			f := faults[i/2%len(faults)]
			f.Path, f.Times = oldPath, 1
			w.wx.AddFault(f)
			if f.AfterWork && f.Delay == 0 {
				lost++
			}
		}
		w.readThrough(t, all, got)
		w.wx.ClearFaults()
	}
	return lost
}

// countTokens counts the tokens that a path issued.
func (w *world) countTokens(path string) (n int) {
	for _, k := range w.wx.Tokens(appID) {
		if k.Path == path {
			n++
		}
	}
	return n
}

func TestEightProcessesHoldNoDeadClassicTokenAfterLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, got := newWorld(classic), &readStats{seen: map[string]bool{}}
		lost := w.runFaults(t, rounds/2, 0, got)
		t.Logf("%d reads; %d tokens made, and %d of them lost; %d of %s", got.reads, w.countTokens(oldPath), lost, w.countTokens(stablePath), stablePath)
		require.Empty(t, got.dead)
		require.Zero(t, got.fails)
		require.Positive(t, lost)
		require.InDelta(t, len(got.seen)+lost, w.countTokens(oldPath)+w.countTokens(stablePath), 1, "a fetch for each expiry, and one more where the reply was lost")
		require.LessOrEqual(t, w.countTokens(stablePath), 3+lost/5, "only where the current token ends before the lost fetch can be forgotten")
	})
}

func TestEightProcessesUnderFaultsHoldNoDeadClassicToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, got := newWorld(classic), &readStats{seen: map[string]bool{}}
		lost := w.runFaults(t, rounds, 0.04, got)
		made := w.countTokens(oldPath)
		t.Logf("%d reads, %d failed; %d tokens made by %s, of which %d replies were lost; %d tokens of %s for processes whose store failed",
			got.reads, got.fails, made, oldPath, lost, w.countTokens(stablePath), stablePath)
		require.Empty(t, got.dead)
		require.Less(t, got.fails, got.reads/2000)
		require.LessOrEqual(t, made, len(got.seen)+lost+1)
	})
}
