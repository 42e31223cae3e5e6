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

// target accepts or rejects items, and counts them.
type target struct {
	mu    sync.Mutex
	down  map[string]bool          // by target
	bad   map[string]bool          // by id: items that always fail
	times map[string][]time.Time   // by id
	ok    map[string]int           // by id: accepted
	hang  map[string]chan struct{} // by target
	now   map[string]int           // by id: in progress
	most  int                      // of one item at a time
	all   int                      // in progress
	peak  int                      // most of all
}

func (x *target) send(ctx context.Context, item outbox.Item) error {
	x.mu.Lock()
	if x.times == nil {
		x.times, x.ok, x.now = make(map[string][]time.Time), make(map[string]int), make(map[string]int)
	}
	x.times[item.ID] = append(x.times[item.ID], time.Now())
	x.now[item.ID]++
	x.all++
	x.most, x.peak = max(x.most, x.now[item.ID]), max(x.peak, x.all)
	hang, down := x.hang[item.Target], x.down[item.Target] || x.bad[item.ID]
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
		x.ok[item.ID]++
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
	return x.ok[id]
}

// tried returns the times at which an item was sent.
func (x *target) tried(id string) []time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.times[id])
}

func (x *target) inProgress() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all
}

func (x *target) maxInProgress() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.peak
}

func (x *target) total() (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.ok {
		n += c
	}
	return n
}

// reports collects the errors that an Outbox reports.
type reports struct {
	mu   sync.Mutex
	list []string
}

func (r *reports) add(_ context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, err.Error())
}

func (r *reports) count(word string) int {
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

// runOutbox runs an outbox until stop is called.
func runOutbox(t *testing.T, o *outbox.Outbox) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
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

// failingStore is a store that fails once dead is set.
type failingStore struct {
	store.Store
	dead atomic.Bool
}

var errStore = errors.New("store failed")

func (d *failingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if d.dead.Load() {
		return false, errStore
	}
	return d.Store.Swap(ctx, key, old, new, ttl)
}

func (d *failingStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if d.dead.Load() {
		return nil, false, errStore
	}
	return d.Store.Get(ctx, key)
}

func (d *failingStore) Delete(ctx context.Context, key string) error {
	if d.dead.Load() {
		return errStore
	}
	return d.Store.Delete(ctx, key)
}

func (d *failingStore) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if d.dead.Load() {
		return func(yield func(string, error) bool) { yield("", errStore) }
	}
	return d.Store.Keys(ctx, prefix)
}
