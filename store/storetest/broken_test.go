package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/storetest"
)

// bugs are small mistakes of a store, each with the sentence that must find it.
var bugs = map[string]string{
	"get hands out its own bytes":            "the value that Get returned belongs to the caller",
	"set keeps the caller's bytes":           "Set and Swap keep no reference to the value",
	"empty is absent":                        "an empty value is not an absent one",
	"nul ends a value":                       "Get returns what Set wrote, byte for byte",
	"values end at 60000 bytes":              "Get returns what Set wrote, byte for byte",
	"set only adds":                          "Set replaces the value",
	"delete of an absent key fails":          "Delete removes one key, and an absent one without error",
	"delete takes a pattern":                 "keys are compared byte by byte",
	"keys without case":                      "keys are compared byte by byte",
	"keys without blanks after":              "keys are compared byte by byte",
	"an error is a miss":                     "a ctx that is done is an error and never a miss",
	"ctx is not looked at":                   "a ctx that is done is an error and never a miss",
	"nothing expires":                        "a value lives for its ttl and no longer",
	"all expires":                            "a ttl of 0 keeps the value",
	"lives are too short":                    "a value lives for its ttl and no longer",
	"a part of a millisecond is none":        "a ttl below a millisecond is not for ever",
	"milliseconds have 32 bits":              "a ttl may be years",
	"a ttl below 0 is for ever":              "a ttl below 0 is an error of Set",
	"set keeps the old life":                 "Set replaces the life",
	"swap keeps the old life":                "Swap replaces the life",
	"swap with a ttl below 0 is for ever":    "Swap with a ttl below 0 keeps the remaining life",
	"the expired are in the way":             "an expired key is absent to every method",
	"keys lists the expired":                 "an expired key is absent to every method",
	"two take the place of an expired":       "one of many concurrent swaps replaces an expired value",
	"swap is two steps":                      "one of many concurrent swaps succeeds",
	"swap to delete is two steps":            "one of many concurrent deletes by Swap succeeds",
	"swap forgets steps":                     "no step is lost between swaps",
	"swap takes any old":                     "Swap replaces the old value and no other",
	"swap compares without case":             "Swap compares values byte by byte",
	"swap takes nil for anything":            "a nil old requires that the key be absent",
	"swap writes nil":                        "a nil new deletes the key",
	"swap takes an empty old for nil":        "an empty old is a value, and so is an empty new",
	"swap of nil for nil is always true":     "nil for nil reports whether the key is absent",
	"swap counts changes":                    "swapping a value for the same one counts",
	"keys takes a pattern":                   "Keys yields each key that begins with prefix",
	"keys takes any case":                    "Keys yields each key that begins with prefix",
	"keys yields some twice":                 "Keys yields each key once, however many there are",
	"keys stops at 500":                      "Keys yields each key once, however many there are",
	"keys lists the deleted":                 "Keys leaves out what was deleted",
	"keys keeps a connection when left":      "a loop over Keys may end early",
	"keys skips when the loop deletes":       "a loop over Keys may use the store",
	"keys can be gone through once":          "a sequence of Keys may be used again",
	"swap deletes whatever is there":         "an expired lease goes to the next holder and is not released by the last",
	"an absent key may be swapped by two":    "one of many concurrent TryLease calls succeeds",
	"swapping for the same keeps the life":   "an extended lease lasts longer",
	"keys of other letters are the same":     "keys are compared byte by byte",
	"keys gives an error and goes on":        "a ctx that is done is an error and never a miss",
	"a writer tears what others are reading": "all methods are safe for concurrent use",
	"a miss is an error":                     "an absent key is no error",
	"swap deletes in words only":             "a lease has one holder until it is released",
}

// TestEachBugIsFound runs the sentence for each bug against a store with the bug, in a separate process, since the test
// must fail there.
func TestEachBugIsFound(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	var all sync.WaitGroup
	places := make(chan struct{}, 6) // most of them wait for values to expire
	for bug, sentence := range bugs {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			run := fmt.Sprintf("^TestBrokenStore$/^%s$/^store$/^%s$", regexp.QuoteMeta(bug), regexp.QuoteMeta(sentence))
			cmd := exec.CommandContext(t.Context(), self, "-test.v", "-test.timeout=60s", "-test.run="+run)
			cmd.Env = append(os.Environ(), "STORETEST_BROKEN=1")
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !bytes.Contains(out, []byte("--- FAIL: TestBrokenStore/")) {
				t.Errorf("%q does not catch a store where %s: %v\n%s", sentence, bug, err, out)
			}
		})
	}
	all.Wait()
}

func TestTheBrokenStoreIsAStoreWithoutABug(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return new(broken) })
}

// TestBrokenStore fails when TestEachBugIsFound runs it.
func TestBrokenStore(t *testing.T) {
	if os.Getenv("STORETEST_BROKEN") == "" {
		return
	}
	for bug := range bugs {
		t.Run(bug, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) store.Store { return &broken{bug: bug} })
		})
	}
}

// broken is a store with one bug, or none.
type broken struct {
	bug  string
	left atomic.Int32 // loops over Keys that ended early

	mu sync.Mutex
	m  map[string]*entry
}

type entry struct {
	value []byte
	until time.Time // zero: for ever
}

func (b *broken) is(bug string) bool {
	if b.bug != "" && bugs[b.bug] == "" {
		panic("no such bug: " + b.bug)
	}
	if bugs[bug] == "" {
		panic("no such bug: " + bug)
	}
	return b.bug == bug
}

func (b *broken) name(key string) string {
	switch {
	case b.is("keys without case"):
		return strings.ToLower(key)
	case b.is("keys without blanks after"):
		return strings.TrimRight(key, " ")
	case b.is("keys of other letters are the same"):
		return strings.ReplaceAll(key, "ß", "ss")
	}
	return key
}

func (b *broken) look(key string) *entry {
	e := b.m[b.name(key)]
	if e == nil || !e.until.IsZero() && !time.Now().Before(e.until) && !b.is("nothing expires") {
		return nil
	}
	return e
}

func (b *broken) put(key string, value []byte, ttl time.Duration) {
	e := &entry{value: bytes.Clone(value)}
	if b.is("set keeps the caller's bytes") {
		e.value = value
	}
	if e.value == nil {
		e.value = []byte{}
	}
	if before, _, found := bytes.Cut(e.value, []byte{0}); found && b.is("nul ends a value") {
		e.value = before
	}
	if len(e.value) > 60000 && b.is("values end at 60000 bytes") {
		e.value = e.value[:60000]
	}
	if b.is("a part of a millisecond is none") {
		ttl = ttl.Truncate(time.Millisecond)
	}
	if b.is("milliseconds have 32 bits") {
		ttl = time.Duration(int32(ttl.Milliseconds())) * time.Millisecond
		if ttl < 0 {
			ttl = 1
		}
	}
	if b.is("lives are too short") {
		ttl /= 2
	}
	if b.is("all expires") && ttl == 0 {
		ttl = 200 * time.Millisecond
	}
	if ttl > 0 {
		e.until = time.Now().Add(ttl)
	}
	if b.m == nil {
		b.m = map[string]*entry{}
	}
	b.m[b.name(key)] = e
}

// pause lets other goroutines run between two steps that a good store does as one.
func (b *broken) pause() {
	b.mu.Unlock()
	<-time.After(20 * time.Millisecond)
	b.mu.Lock()
}

func (b *broken) done(ctx context.Context) error {
	if b.is("ctx is not looked at") {
		return nil
	}
	return ctx.Err()
}

func (b *broken) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := b.done(ctx); err != nil {
		if b.is("an error is a miss") {
			return nil, false, nil
		}
		return nil, false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.look(key)
	switch {
	case e == nil && b.is("a miss is an error"):
		return nil, false, errors.New("absent")
	case e == nil || len(e.value) == 0 && b.is("empty is absent"):
		return nil, false, nil
	case b.is("get hands out its own bytes"):
		return e.value, true, nil
	}
	return bytes.Clone(e.value), true, nil
}

func (b *broken) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := b.done(ctx); err != nil {
		return err
	}
	if ttl < 0 && !b.is("a ttl below 0 is for ever") {
		return errors.New("a ttl below 0")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.look(key)
	if e != nil && b.is("set only adds") {
		return nil
	}
	if b.is("a writer tears what others are reading") {
		b.put(key, value[len(value)/2:], ttl)
		b.pause()
	}
	b.put(key, value, ttl)
	if e != nil && b.is("set keeps the old life") {
		b.m[b.name(key)].until = e.until
	}
	return nil
}

func (b *broken) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := b.done(ctx); err != nil {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.look(key)
	match := e == nil && old == nil || e != nil && old != nil && bytes.Equal(e.value, old)
	switch {
	case old == nil && new == nil && b.is("swap of nil for nil is always true"),
		old == nil && b.is("swap takes nil for anything"),
		e != nil && old != nil && b.is("swap takes any old"),
		e != nil && old != nil && new == nil && b.is("swap deletes whatever is there"),
		e == nil && old != nil && len(old) == 0 && b.is("swap takes an empty old for nil"),
		e != nil && old != nil && bytes.EqualFold(e.value, old) && b.is("swap compares without case"):
		match = true
	case e == nil && old == nil && b.m[b.name(key)] != nil && b.is("the expired are in the way"):
		match = false
	case old != nil && bytes.Equal(old, new) && b.is("swap counts changes"):
		match = false
	}
	expired := b.m[b.name(key)] != nil && e == nil
	if expired && b.is("two take the place of an expired") ||
		e == nil && !expired && b.is("an absent key may be swapped by two") ||
		old != nil && new == nil && b.is("swap to delete is two steps") ||
		old != nil && new != nil && b.is("swap forgets steps") ||
		b.is("swap is two steps") {
		b.pause()
	}
	if !match {
		return false, nil
	}
	if new == nil && !b.is("swap writes nil") {
		if !b.is("swap deletes in words only") {
			delete(b.m, b.name(key))
		}
		return true, nil
	}
	b.put(key, new, max(ttl, 0))
	if e != nil && (ttl < 0 && !b.is("swap with a ttl below 0 is for ever") || b.is("swap keeps the old life") ||
		bytes.Equal(old, new) && b.is("swapping for the same keeps the life")) {
		b.m[b.name(key)].until = e.until
	}
	return true, nil
}

func (b *broken) Delete(ctx context.Context, key string) error {
	if err := b.done(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.look(key) == nil && b.is("delete of an absent key fails"):
		return errors.New("absent")
	case b.is("keys lists the deleted"):
		b.put("ghost/"+key, nil, 0)
	case b.is("delete takes a pattern"):
		for other := range b.m {
			if ok, _ := path.Match(key, other); ok {
				delete(b.m, other)
			}
		}
	}
	delete(b.m, b.name(key))
	return nil
}

func (b *broken) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	gone := false
	return func(yield func(string, error) bool) {
		if err := b.done(ctx); err != nil {
			if yield("", err) && b.is("keys gives an error and goes on") {
				yield("", err)
			}
			return
		}
		if b.left.Load() > 20 && b.is("keys keeps a connection when left") {
			yield("", errors.New("no connection is free"))
			return
		}
		if gone && b.is("keys can be gone through once") {
			return
		}
		gone = true
		b.mu.Lock()
		var all []string
		for key := range b.m {
			match := strings.HasPrefix(key, prefix)
			switch {
			case b.is("keys takes a pattern"):
				match, _ = path.Match(prefix+"*", key)
			case b.is("keys takes any case"):
				match = strings.HasPrefix(strings.ToLower(key), strings.ToLower(prefix))
			case b.is("keys lists the deleted"):
				match = strings.HasPrefix(strings.TrimPrefix(key, "ghost/"), prefix)
			}
			if match && (b.look(key) != nil || b.is("keys lists the expired")) {
				all = append(all, key)
			}
		}
		size := len(b.m)
		b.mu.Unlock()
		if len(all) > 500 && b.is("keys stops at 500") {
			all = all[:500]
		}
		if len(all) > 500 && b.is("keys yields some twice") {
			all = append(all, all[0])
		}
		for _, key := range all {
			b.mu.Lock()
			skip := len(b.m) < size && b.is("keys skips when the loop deletes")
			b.mu.Unlock()
			if skip {
				size--
				continue
			}
			if !yield(key, nil) {
				b.left.Add(1)
				return
			}
		}
	}
}
