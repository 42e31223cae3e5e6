package renew_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/internal/renew/internal/old"
	"github.com/wetoken/wetoken/wechat"
)

var (
	cmpSeeds = flag.Int("cmp.seeds", 500, "how many seeds TestEnginesAgree runs")
	cmpFirst = flag.Uint64("cmp.first", 1, "the first seed of TestEnginesAgree")
	cmpStep  = flag.Int("cmp.step", 1, "the distance of the seeds of TestEnginesAgree")
	cmpOld   = flag.Bool("cmp.old", false, "compares the old engine with itself")
)

// engine is the Copy of either package.
type engine interface {
	Get(context.Context) (wechat.Credential, error)
	Renew(ctx context.Context, refused string) (wechat.Credential, error)
	Keep(context.Context) error
	Refresh(context.Context) (time.Time, error)
	Retry(context.Context) error
}

func (s *simulation) engine(k *renew.Keeper) engine {
	if !s.old {
		return k.Copy()
	}
	o := &old.Keeper{Store: k.Store, Key: k.Key, Fetch: k.Fetch, Force: k.Force, Alone: k.Alone, Ahead: k.Ahead, Supersedes: k.Supersedes, Report: k.Report, Jitter: k.Jitter}
	return o.Copy()
}

// withCaller names the caller for the engine at hand.
func (s *simulation) withCaller(ctx context.Context, name string) context.Context {
	if s.old {
		return old.WithCaller(ctx, name)
	}
	return renew.WithCaller(ctx, name)
}

// trace records one event of a process, apart from those of other kinds.
func (s *simulation) trace(kind string, p *process, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := fmt.Sprintf("%d ", time.Since(s.start))
	s.traces[p.name+" "+kind] = append(s.traces[p.name+" "+kind], at+fmt.Sprintf(format, args...))
}

func (d *disk) op(ctx context.Context, format string, args ...any) {
	deadline, _ := ctx.Deadline()
	d.s.trace("ops", d.p, "%s, until %s", fmt.Sprintf(format, args...), deadline.Sub(d.s.start))
}

// haunt changes the store just before an operation, as another release or a person could.
func (d *disk) haunt() {
	if !d.s.wide || d.s.seed%8 != 7 || d.rng.IntN(40) > 0 {
		return
	}
	ctx, key := context.Background(), "token/app"
	raw, ok, _ := d.Store.Get(ctx, key)
	now := time.Now().UnixMilli()
	switch d.rng.IntN(8) {
	case 0, 1:
		d.Store.Delete(ctx, key)
	case 2:
		flush(ctx, d.Store)
	case 3:
		d.Store.Delete(ctx, key+"/lease")
	case 4:
		d.Store.Delete(ctx, key+"/unanswered")
	case 5:
		if ok {
			d.Store.Set(ctx, key, []byte(strings.Replace(string(raw), `"gen":`, `"brief":true,"gen":`, 1)), time.Minute)
		}
	case 6:
		d.Store.Set(ctx, key, fmt.Appendf(nil, `{"value":%q,"expires":%d,"life":%d,"gen":%d}`, d.s.wx.held(), now+int64(d.rng.IntN(900000)), 20*60000, now+int64(d.rng.IntN(3000))-1500), time.Minute)
	case 7:
		d.Store.Set(ctx, key, fmt.Appendf(nil, `{"value":"other%d","expires":%d,"life":%d,"gen":%d,"brief":%t}`, d.rng.IntN(3), now+int64(d.rng.IntN(900000)), 20*60000, now+int64(d.rng.IntN(3000))-1500, d.rng.IntN(2) == 0), time.Minute)
	}
}

var mark = regexp.MustCompile(`^[A-Z2-7]{26}$`)

func mask(value []byte) string {
	if value == nil {
		return "nil"
	}
	if mark.Match(value) {
		return "MARK"
	}
	return string(value)
}

// drawWide draws more troubles than those of TestSimulation.
func (s *simulation) drawWide(seed uint64) {
	if !s.wide {
		return
	}
	rng := rand.New(rand.NewPCG(seed, 77))
	hard := seed%4 == 3
	n := rng.IntN(5)
	if hard {
		n = 4 + rng.IntN(8)
	}
	for range n {
		at := s.start.Add(time.Duration(rng.Int64N(int64(s.wx.life + s.wx.life/4))))
		if rng.IntN(2) == 0 {
			at = s.start.Add(s.wx.life - overlap + time.Duration(rng.Int64N(int64(80*time.Second))))
		}
		if hard {
			at = s.start.Add(time.Duration(rng.Int64N(int64(30 * time.Second))))
			if rng.IntN(3) > 0 {
				at = s.start.Add(s.wx.life - overlap + time.Duration(rng.Int64N(int64(2*time.Minute))))
			}
		}
		long := time.Second + time.Duration(rng.Int64N(int64(2*time.Minute)))
		s.events = append(s.events, at)
		switch what := []string{"dial", "denied", "garbage", "write", "hang", "store down", "flush", "store full", "store full", "store slow", "kill", "refuse", "late"}[rng.IntN(13)]; what {
		case "dial", "denied", "hang", "late":
			s.wx.troubles = append(s.wx.troubles, trouble{at, at.Add(long), []float64{0.3, 0.6, 1}[rng.IntN(3)], what})
		case "store down", "store full", "store slow":
			s.outages = append(s.outages, outage{at, at.Add(long / 4), strings.TrimPrefix(what, "store ")})
		case "kill":
			i, seed, stream, down := rng.IntN(3), rng.Uint64(), rng.Uint64N(1000), long/8
			s.after(at, func() { s.kill(i) })
			s.after(at.Add(down), func() { s.revive(i, seed, stream) })
		case "refuse":
			i := rng.IntN(3)
			s.after(at, func() { s.mistake(i) })
			s.after(at.Add(3*time.Second), func() { s.mistake(i) })
		case "flush":
			s.after(at, func() { flush(s.ctx, s.disk) })
		case "garbage":
			n := rng.IntN(4)
			s.after(at, func() {
				text := []string{`{`, `{"value":"x"}`, `{"value":"x","expires":99999999999999,"life":7200000,"gen":1}`, `{"value":"","expires":0,"life":0,"gen":99999999999999,"asked":true}`}[n]
				s.disk.Set(s.ctx, "token/app", []byte(text), time.Duration(n)*time.Minute)
			})
		case "write": // a live value with a gen around now, perhaps asked or brief
			n, more := rng.Int64N(int64(20*time.Minute)), []string{``, `,"asked":true`, `,"brief":true`, `,"asked":true,"brief":true`}[rng.IntN(4)]
			gen := rng.Int64N(20000) - 10000
			s.after(at, func() {
				value := s.wx.held()
				text := fmt.Sprintf(`{"value":%q,"expires":%d,"life":%d,"gen":%d%s}`, value, time.Now().UnixMilli()+n/1e6, 20*60000, time.Now().UnixMilli()+gen, more)
				s.disk.Set(s.ctx, "token/app", []byte(text), time.Duration(n))
			})
		}
	}
}

func (u *upstream) held() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range []*issued{u.classic.current, u.stable.current} {
		if c != nil {
			return c.value
		}
	}
	return "none"
}

// runWide uses what TestSimulation does not.
func (s *simulation) runWide() {
	if !s.wide {
		return
	}
	for i := range s.all {
		rng := rand.New(rand.NewPCG(s.rng.Uint64(), 19))
		values := rand.New(rand.NewPCG(s.rng.Uint64(), 29))
		s.done.Go(func() {
			for time.Now().Before(s.end) {
				time.Sleep(time.Duration(rng.Int64N(int64(2 * time.Minute))))
				p := s.process(i)
				if p.killed() {
					continue
				}
				ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond+time.Duration(rng.Int64N(int64(30*time.Second))))
				switch rng.IntN(6) {
				case 0, 1:
					due, err := p.copy.Refresh(ctx)
					s.trace("wide", p, "refresh %s %v", due.Sub(s.start), err)
				case 2:
					s.trace("wide", p, "retry %v", p.copy.Retry(ctx))
				case 3:
					c, err := p.copy.Get(ctx)
					s.trace("wide", p, "get %s %v", c.Value, err)
				case 4:
					if rng.IntN(3) == 0 {
						s.trace("wide", p, "keep %v", p.copy.Keep(ctx))
					}
				case 5:
					c, err := p.copy.Get(ctx)
					if err != nil || values.IntN(3) > 0 {
						cancel()
						continue
					}
					for range 1 + values.IntN(3) {
						n, err := p.copy.Renew(s.withCaller(ctx, fmt.Sprint("caller", values.IntN(2))), c.Value)
						s.trace("wide", p, "renew %s: %s %v", c.Value, n.Value, err)
						if values.IntN(2) == 0 && err == nil {
							c = n
						}
					}
				}
				cancel()
			}
		})
	}
}

// TestEnginesAgree runs each seed with both engines, and compares every store operation, call, report and result, with
// its instant.
func TestEnginesAgree(t *testing.T) {
	const shards = 2
	for shard := range shards {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			bad := 0
			events, loose := 0, 0
			for n := shard; n < *cmpSeeds && bad < 5; n += shards {
				seed := *cmpFirst + uint64(n**cmpStep)
				wide := seed%2 == 1
				run := func(old bool) (traces map[string][]string) {
					synctest.Test(t, func(t *testing.T) {
						s := newSimulationOf(t, seed, old || *cmpOld, wide)
						s.run()
						traces = s.traces
					})
					return traces
				}
				was, is := run(true), run(false)
				diff := compareTraces(was, is)
				if diff != "" { // two goroutines acted at one instant: either order is right
					loose++
					olds := []map[string][]string{was}
					for range 60 {
						olds = append(olds, run(true))
					}
					for range 10 {
						n := run(false)
						found := false
						for _, o := range olds {
							found = found || compareTraces(o, n) == ""
						}
						if !found {
							bad++
							t.Errorf("seed %d: %s", seed, compareTraces(was, n))
							break
						}
					}
				}
				if n%100 < shards {
					fmt.Printf("%d seeds, %d events, %d with several orders\n", n, events, loose)
				}
				for _, tr := range was {
					events += len(tr)
				}
			}
			t.Logf("%d events, %d seeds with several orders", events, loose)
		})
	}
}

func compareTraces(a, b map[string][]string) string {
	for name := range b {
		if a[name] == nil {
			return name + " is new"
		}
	}
	first, diff := int64(1<<62), ""
	for name, was := range a {
		is := b[name]
		for i := range max(len(was), len(is)) {
			var w, n string
			if i < len(was) {
				w = was[i]
			}
			if i < len(is) {
				n = is[i]
			}
			if w != n {
				before := ""
				for j := max(0, i-6); j < i; j++ {
					before += "\n   " + was[j]
				}
				at := min(instant(w), instant(n))
				if at < first {
					first, diff = at, fmt.Sprintf("%s: event %d:%s\nold %s\nnew %s", name, i, before, w, n)
				}
				break
			}
		}
	}
	return diff
}

func instant(event string) int64 {
	at, _, _ := strings.Cut(event, " ")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return 1 << 61
	}
	return n
}
