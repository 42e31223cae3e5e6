package journal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/journal"
	"github.com/wetoken/wetoken/store"
)

// A process that is restarted again and again neither stops the journal nor makes its pages slow.
func TestManyProcessesOfADayShareStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(watchedStore)
		var want []string
		for n := range 700 {
			add(t, newJournal(s), fmt.Sprint(n))
			want = append(want, fmt.Sprint(n))
			advance(time.Second)
		}
		slices.Reverse(want)
		require.Equal(t, want, readAll(t, newJournal(s), 1000, all))
		s.gets.Store(0)
		page, _, _, err := newJournal(s).Page(t.Context(), journal.Position{}, time.Time{}, 1, all)
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.LessOrEqual(t, s.gets.Load(), int64(1+16*8))
	})
}

func TestProcessesThatShareAStreamLoseNoEntry(t *testing.T) {
	s := new(watchedStore)
	var writers sync.WaitGroup
	var want []string
	for p := range 24 {
		j := newJournal(s)
		for i := range 20 {
			want = append(want, fmt.Sprint(p, "-", i))
		}
		writers.Go(func() {
			for i := range 20 {
				add(t, j, fmt.Sprint(p, "-", i))
			}
			require.True(t, j.Flush(t.Context()))
		})
	}
	writers.Wait()
	got := readAll(t, newJournal(s), 7, all)
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}

// Two processes append equal entries to one stream, and each loses the answers to its writes.
func TestALostAnswerIsNotTakenForTheWriteOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(watchedStore)
		day := "audit/2000-01-01"
		require.NoError(t, s.Memory.Set(t.Context(), day, []byte(`{"streams":[`+streamNames(16)+`]}`), 0))
		var list []*journal.Journal
		for range 64 {
			list = append(list, newJournal(s))
		}
		for round := range 8 {
			for i, j := range list {
				s.lose.Store((i+round)%3 == 0)
				add(t, j, "same")
				synctest.Wait()
			}
		}
		s.lose.Store(false)
		for _, j := range list {
			require.True(t, j.Flush(t.Context()))
		}
		require.Len(t, readAll(t, newJournal(s), 100, all), 64*8)
	})
}

func streamNames(n int) (list string) {
	for i := range n {
		if i > 0 {
			list += ","
		}
		list += fmt.Sprintf("%q", "aaaaaaaaaaaaaaa"+string(rune('a'+i)))
	}
	return list
}

// Entries have the time of their own process, even if the clocks of others are ahead.
func TestAClockThatIsAheadDoesNotMoveTheEntriesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(watchedStore)
		day, ahead := "audit/2000-01-01", time.Now().Add(3*time.Hour)
		require.NoError(t, s.Memory.Set(t.Context(), day, []byte(`{"streams":[`+streamNames(16)+`]}`), 0))
		for i := range 16 {
			key := fmt.Sprint(day, "/aaaaaaaaaaaaaaa", string(rune('a'+i)), "/0")
			require.NoError(t, s.Memory.Set(t.Context(), key, fmt.Appendf(nil, `{"entries":[{"at":%d,"by":"other","data":"ahead"}]}`, ahead.UnixMilli()), 0))
		}
		j := newJournal(s)
		for range 100 {
			add(t, j, "now")
			advance(time.Second)
		}
		page, _, _, err := j.Page(t.Context(), journal.Position{}, time.Time{}, 1000, func(e journal.Entry) bool { return string(e.Data) == `"now"` })
		require.NoError(t, err)
		require.Len(t, page, 100)
		require.Equal(t, time.Now().Add(-time.Second), page[0].At.Local())
	})
}

func TestAnEmptiedStoreLosesOnlyWhatItHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(watchedStore)
		j := newJournal(s)
		for n := range 300 {
			if n == 100 || n == 192 { // 192 fills a record
				empty(t, s)
			}
			add(t, j, fmt.Sprint(n))
		}
		got := readAll(t, newJournal(s), 10, all)
		require.Len(t, got, 300-192)
		require.Equal(t, []string{"299", "192"}, []string{got[0], got[len(got)-1]})
	})
}

// A store is restarted, and comes back empty, between the steps of the first write of a day, and of the first one of a record.
func TestAStoreThatComesBackEmptyLosesNoLaterEntry(t *testing.T) {
	for _, before := range []int{0, 64} { // entries
		for steps := range 4 { // that succeed before the store is away
			synctest.Test(t, func(t *testing.T) {
				s := &restartedStore{Memory: new(store.Memory), left: 1 << 20}
				j := newJournal(s)
				for n := range before {
					add(t, j, fmt.Sprint("before-", n))
				}
				s.left = steps
				add(t, j, "first")
				synctest.Wait()
				s.left = 1 << 20
				empty(t, s.Memory)
				add(t, j, "second")
				synctest.Wait()
				got := readAll(t, newJournal(s), 10, all)
				require.Contains(t, got, "second", "%d entries, %d steps", before, steps)
			})
		}
	}
}

// A record is lost, and the store is away while the process looks for where to go on: its older entries are not taken for the new one.
func TestALostRecordLosesNoLaterEntry(t *testing.T) {
	for steps := range 8 {
		synctest.Test(t, func(t *testing.T) {
			s := &restartedStore{Memory: new(store.Memory), left: 1 << 20}
			j := newJournal(s)
			for n := range 70 {
				add(t, j, fmt.Sprint(n))
			}
			for key, err := range s.Keys(t.Context(), "audit/2000-01-01/") {
				require.NoError(t, err)
				if strings.HasSuffix(key, "/1") {
					require.NoError(t, s.Delete(t.Context(), key))
				}
			}
			s.left = steps
			add(t, j, "later")
			synctest.Wait()
			s.left = 1 << 20
			j.Flush(t.Context())
			require.Contains(t, readAll(t, newJournal(s), 10, all), "later", "%d steps", steps)
		})
	}
}

// restartedStore is away after a number of calls.
type restartedStore struct {
	*store.Memory
	left int
}

func (s *restartedStore) step() error {
	if s.left == 0 {
		return errors.New("connection refused")
	}
	s.left--
	return nil
}

func (s *restartedStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if err := s.step(); err != nil {
		return nil, false, err
	}
	return s.Memory.Get(ctx, key)
}

func (s *restartedStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if err := s.step(); err != nil {
		return false, err
	}
	return s.Memory.Swap(ctx, key, old, new, ttl)
}

func empty(t *testing.T, s store.Store) {
	t.Helper()
	var keys []string
	for key, err := range s.Keys(context.Background(), "") {
		require.NoError(t, err)
		keys = append(keys, key)
	}
	for _, key := range keys {
		require.NoError(t, s.Delete(t.Context(), key))
	}
}
