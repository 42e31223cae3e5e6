package outbox_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/store"
)

var errDown = errors.New("down")

// target takes what is sent, or not, and keeps count.
type target struct {
	mu    sync.Mutex
	down  map[string]bool          // by target
	poor  map[string]bool          // by id: items that are never taken
	times map[string][]time.Time   // by id
	taken map[string]int           // by id
	hang  map[string]chan struct{} // by target
	now   map[string]int           // by id: under way
	most  int                      // at a time, of one item
	all   int                      // under way
	peak  int                      // of that
}

func (x *target) send(ctx context.Context, item outbox.Item) error {
	x.mu.Lock()
	if x.times == nil {
		x.times, x.taken, x.now = make(map[string][]time.Time), make(map[string]int), make(map[string]int)
	}
	x.times[item.ID] = append(x.times[item.ID], time.Now())
	x.now[item.ID]++
	x.all++
	x.most, x.peak = max(x.most, x.now[item.ID]), max(x.peak, x.all)
	hang, down := x.hang[item.Target], x.down[item.Target] || x.poor[item.ID]
	x.mu.Unlock()
	var err error
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if down {
		err = errDown
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now[item.ID]--
	x.all--
	if err == nil {
		x.taken[item.ID]++
	}
	return err
}

func (x *target) set(name string, down bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.down = map[string]bool{name: down}
}

func (x *target) count(id string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.taken[id]
}

// tried is when an item was tried.
func (x *target) tried(id string) []time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.times[id])
}

func (x *target) underWay() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all
}

func (x *target) atMost() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.peak
}

func (x *target) total() (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.taken {
		n += c
	}
	return n
}

// reports collects what an Outbox reports.
type reports struct {
	mu   sync.Mutex
	list []string
}

func (r *reports) add(_ context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, err.Error())
}

func (r *reports) of(word string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, s := range r.list {
		if strings.Contains(s, word) {
			n++
		}
	}
	return n
}

// keep runs Keep until the returned function is called.
func keep(t *testing.T, o *outbox.Outbox) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Keep(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func add(t *testing.T, o *outbox.Outbox, id, to string) {
	t.Helper()
	require.NoError(t, o.Add(t.Context(), outbox.Item{ID: id, Target: to, ContentType: "text/xml", Body: []byte("<xml>" + id + "</xml>")}))
}

func keysOf(t *testing.T, s store.Store) (list []string) {
	for key, err := range s.Keys(t.Context(), "") {
		require.NoError(t, err)
		list = append(list, key)
	}
	return list
}

// dying is a store that one process sees. Once dead, nothing it does has an effect.
type dying struct {
	store.Store
	dead atomic.Bool
}

var errDead = errors.New("dead")

func (d *dying) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if d.dead.Load() {
		return false, errDead
	}
	return d.Store.Swap(ctx, key, old, new, ttl)
}

func (d *dying) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if d.dead.Load() {
		return nil, false, errDead
	}
	return d.Store.Get(ctx, key)
}

func (d *dying) Delete(ctx context.Context, key string) error {
	if d.dead.Load() {
		return errDead
	}
	return d.Store.Delete(ctx, key)
}

func (d *dying) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if d.dead.Load() {
		return func(yield func(string, error) bool) { yield("", errDead) }
	}
	return d.Store.Keys(ctx, prefix)
}
