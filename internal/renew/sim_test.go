package renew_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

var (
	simSeeds  = flag.Int("sim.seeds", 300, "how many seeds TestSimulation runs")
	simFaults = flag.Int("sim.faults", 10, "after how many faulty seeds TestSimulation ends")
	simFirst  = flag.Uint64("sim.first", 1, "the first seed of TestSimulation; with -sim.seeds=1 -v its whole story is printed")
)

// TestSimulation runs clusters of three processes, with clocks up to 30 s apart, through the troubles of a WeChat and of
// a store, drawn from a seed: see [simulation.draw].
func TestSimulation(t *testing.T) {
	const shards = 4
	var failed atomic.Int64
	for shard := range shards {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for n := shard; n < *simSeeds && failed.Load() < int64(*simFaults); n += shards {
				seed := *simFirst + uint64(n)
				var s *simulation
				var faults []string
				synctest.Test(t, func(t *testing.T) {
					s = newSimulation(t, seed)
					s.run()
					faults = s.verify()
				})
				if len(faults) > 0 {
					failed.Add(1)
					t.Errorf("seed %d, %s: %s", seed, s.wx.mode, strings.Join(faults, "\n"))
				}
				if *simSeeds == 1 {
					t.Log(strings.Join(s.story, "\n"))
				}
			}
		})
	}
}

// simulation is a cluster, the faults it meets, and a log of its actions.
type simulation struct {
	t       *testing.T
	ctx     context.Context
	rng     *rand.Rand
	start   time.Time
	end     time.Time
	wx      *upstream
	disk    *store.Memory
	all     [3]*process
	events  []time.Time // something happens there: readers are dense around it
	outages []outage
	done    sync.WaitGroup

	mu         sync.Mutex
	faults     []string
	found      map[string]bool // kinds of faults
	story      []string
	replacedAt map[string]time.Time // when a refused value was first replaced
	renewed    int
	flushes    []time.Time
	spoiled    int
	kills      []time.Time
}

// process is one process of the cluster. A killed one is followed by another in its place.
type process struct {
	name string
	copy *renew.Copy
	skew time.Duration
	rng  *rand.Rand
	gone atomic.Bool
}

func (p *process) killed() bool { return p.gone.Load() }

var rngMu sync.Mutex

// spread draws from a source that several goroutines of one process share.
func (p *process) spread(rng *rand.Rand, d time.Duration) time.Duration {
	rngMu.Lock()
	defer rngMu.Unlock()
	return time.Duration(rng.Int64N(int64(d)))
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{t: t, rng: rand.New(rand.NewPCG(seed, 1)), start: time.Now(), disk: new(store.Memory), replacedAt: map[string]time.Time{}, found: map[string]bool{}}
	mode := []string{classicMode, classicMode, stableMode, workMode}[s.rng.IntN(4)]
	life := 20*time.Minute + time.Duration(s.rng.Int64N(int64(20*time.Minute)))
	s.wx = &upstream{mode: mode, life: life, made: map[string]*issued{}, calls: map[string]int{}, rng: rand.New(rand.NewPCG(seed, 2)), log: s.logf}
	for i := range s.wx.worked {
		s.wx.worked[i] = make(chan struct{}, 1)
	}
	s.end = s.start.Add(life + life/2)
	s.draw()
	for i := range s.all {
		s.all[i] = s.boot(fmt.Sprintf("P%d", i+1), time.Duration(s.rng.Int64N(int64(30*time.Second)))-15*time.Second, seed, uint64(3+i))
	}
	return s
}

// boot starts a process.
func (s *simulation) boot(name string, skew time.Duration, seed, stream uint64) *process {
	p := &process{name: name, skew: skew, rng: rand.New(rand.NewPCG(seed, stream))}
	k := &renew.Keeper{
		Store:   &disk{Store: s.disk, p: p, outages: s.outages, skew: skew, rng: rand.New(rand.NewPCG(seed, stream+100))},
		Key:     "token/app",
		OnError: func(_ context.Context, err error) { s.logf("%s: reports %v", name, err) },
	}
	jitter := rand.New(rand.NewPCG(seed, stream+200))
	k.Jitter = func() float64 { return float64(p.spread(jitter, 1<<30)) / (1 << 30) }
	call := func(endpoint string) func(context.Context) (wechat.Credential, error) {
		return func(ctx context.Context) (wechat.Credential, error) {
			if p.killed() {
				return wechat.Credential{}, errDead
			}
			c, err := s.wx.call(ctx, name, endpoint)
			if p.killed() {
				return wechat.Credential{}, errDead
			}
			return c, err
		}
	}
	switch s.wx.mode {
	case classicMode:
		k.Fetch, k.Alone, k.Overlaps, k.Supersedes = call("token"), call("stable_token"), true, true
	case stableMode:
		k.Fetch, k.Force, k.Overlaps = call("stable_token"), call("force"), true
	case workMode:
		k.Fetch = call("gettoken")
	}
	p.copy = k.Copy()
	return p
}

// draw draws the troubles: none, or some of them, around the cold start, the renewal, or anywhere.
func (s *simulation) draw() {
	renewal := s.start.Add(s.wx.life - overlap)
	if s.wx.mode == workMode {
		renewal = s.start.Add(s.wx.life)
	}
	for range s.rng.IntN(4) {
		var at time.Time
		switch s.rng.IntN(3) {
		case 0:
			at = s.start.Add(s.spread(20 * time.Second))
		case 1:
			at = renewal.Add(s.spread(80 * time.Second))
		default:
			at = s.start.Add(s.spread(s.wx.life + s.wx.life/4))
		}
		long := time.Second + s.spread([]time.Duration{10 * time.Second, 2 * time.Minute, 6 * time.Minute}[s.rng.IntN(3)])
		what := []string{"late", "late", "slow", "busy", "lost", "reply lost", "hang", "down", "store down", "store slow", "store full", "store full", "flush", "kill", "kill", "spoil", "spoil", "refuse", "refuse"}[s.rng.IntN(19)]
		s.events = append(s.events, at)
		switch what {
		case "late", "slow", "busy", "lost", "reply lost", "hang", "down":
			s.wx.troubles = append(s.wx.troubles, trouble{at, at.Add(long), []float64{0.3, 0.6, 1}[s.rng.IntN(3)], what})
			s.events = append(s.events, at.Add(long))
		case "store down", "store slow", "store full":
			s.outages = append(s.outages, outage{at, at.Add(long), strings.TrimPrefix(what, "store ")})
			s.events = append(s.events, at.Add(long))
		case "flush":
			s.after(at, func() {
				s.logf("store: flushed")
				s.mu.Lock()
				s.flushes = append(s.flushes, time.Now())
				s.mu.Unlock()
				flush(s.ctx, s.disk)
			})
		case "kill":
			i, seed, stream, down := s.rng.IntN(3), s.rng.Uint64(), s.rng.Uint64N(1000), s.spread(20*time.Second)
			s.after(at, func() { s.kill(i) })
			s.after(at.Add(down), func() { s.revive(i, seed, stream) })
		case "spoil":
			s.after(at, func() {
				s.mu.Lock()
				s.spoiled++
				s.mu.Unlock()
				s.wx.spoil()
			})
		case "refuse": // somebody says that a good value was refused, and soon again
			i := s.rng.IntN(3)
			for n := range 1 + s.rng.IntN(3) {
				s.after(at.Add(time.Duration(n)*s.spread(4*time.Second)), func() { s.mistake(i) })
			}
		}
		s.logf("drawn: %s at %s for %s", what, at.Sub(s.start), long)
	}
}

func (s *simulation) spread(d time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(d)))
}

// after does something at an instant of the run.
func (s *simulation) after(at time.Time, do func()) {
	s.done.Go(func() {
		select {
		case <-time.After(time.Until(at)):
			do()
		case <-s.t.Context().Done():
		}
	})
}

func (s *simulation) process(i int) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[i]
}

func (s *simulation) kill(i int) {
	p := s.process(i)
	s.logf("%s: killed", p.name)
	p.gone.Store(true)
	s.mu.Lock()
	s.kills = append(s.kills, time.Now())
	s.mu.Unlock()
}

func (s *simulation) revive(i int, seed, stream uint64) {
	old := s.process(i)
	p := s.boot(old.name+"'", old.skew, seed, stream)
	s.logf("%s: booted", p.name)
	s.mu.Lock()
	s.all[i] = p
	s.mu.Unlock()
}

func (s *simulation) run() {
	s.ctx = context.Background()
	for i := range s.all {
		rng := rand.New(rand.NewPCG(s.rng.Uint64(), 9))
		s.done.Go(func() {
			time.Sleep(time.Duration(rng.Int64N(int64(time.Second)))) // no two at one instant
			s.read(i, rng)
		})
	}
	s.done.Wait()
	time.Sleep(3 * time.Minute) // late calls land
}

// read reads one process until the end, densely around events.
func (s *simulation) read(i int, rng *rand.Rand) {
	for time.Now().Before(s.end) {
		if p := s.process(i); !p.killed() {
			s.readOnce(p)
		}
		pause := 500*time.Millisecond + time.Duration(rng.Int64N(int64(20*time.Second)))
		if s.eventful(time.Now(), pause) {
			pause = time.Duration(rng.Int64N(int64(800 * time.Millisecond)))
		}
		select {
		case <-time.After(pause):
		case <-s.wx.worked[i]:
		}
	}
}

func (s *simulation) eventful(now time.Time, soon time.Duration) bool {
	if now.Sub(s.wx.lastWork()) < 8*time.Second {
		return true
	}
	for _, e := range s.events {
		if since := now.Sub(e); since > -soon && since < 25*time.Second {
			return true
		}
	}
	return false
}

func (s *simulation) readOnce(p *process) {
	asked := time.Now()
	c, err := p.copy.Get(s.ctx)
	switch {
	case p.killed():
	case err != nil:
		s.judgeError(p, "Get", asked, err)
	case s.wx.find(c.Value).dead(time.Now()):
		s.judgeDead(p, asked, c)
		s.renew(p, c.Value)
	case c.Expires.After(s.wx.find(c.Value).expires.Add(1100 * time.Millisecond)): // its end is no later than WeChat's
		s.fault("%s: %s is said to live %s longer than it does", p.name, c.Value, c.Expires.Sub(s.wx.find(c.Value).expires))
	}
}

// renew tells a process that a value was refused.
func (s *simulation) renew(p *process, value string) {
	asked := time.Now()
	s.mu.Lock()
	s.renewed++ // also where the process is killed in the middle: its call may take effect
	s.mu.Unlock()
	c, err := p.copy.Renew(s.ctx, value)
	if p.killed() {
		return
	}
	s.logf("%s: Renew(%s) is %s, %v", p.name, value, c.Value, err)
	s.mu.Lock()
	if err == nil && s.replacedAt[value].IsZero() {
		s.replacedAt[value] = time.Now()
	}
	s.mu.Unlock()
	if err != nil {
		s.judgeError(p, "Renew", asked, err)
	}
}

// mistake reports the value that a process holds as refused.
func (s *simulation) mistake(i int) {
	p := s.process(i)
	if p.killed() {
		return
	}
	if c, err := p.copy.Get(s.ctx); err == nil && !p.killed() {
		s.logf("%s: a caller says that %s was refused", p.name, c.Value)
		s.renew(p, c.Value)
	}
}

func TestJitterReplays(t *testing.T) {
	var stories [2][]string
	for n := range stories {
		synctest.Test(t, func(t *testing.T) {
			s := newSimulation(t, 1)
			s.run()
			stories[n] = s.story
		})
	}
	require.Equal(t, stories[0], stories[1])
}
