package journal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/journal"
	"github.com/wetoken/wetoken/store"
)

// advance waits, which takes no time inside a synctest bubble.
func advance(d time.Duration) { <-time.After(d) }

// watchedStore counts calls. While lose is set, its writes are made, and their answers are lost.
type watchedStore struct {
	store.Memory
	gets, swaps, lists atomic.Int64
	lose               atomic.Bool
}

func (s *watchedStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	s.gets.Add(1)
	return s.Memory.Get(ctx, key)
}

func (s *watchedStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	s.swaps.Add(1)
	swapped, err := s.Memory.Swap(ctx, key, old, new, ttl)
	if s.lose.Load() {
		return false, errors.New("the answer is lost")
	}
	return swapped, err
}

func (s *watchedStore) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	s.lists.Add(1)
	return s.Memory.Keys(ctx, prefix)
}

func newJournal(s store.Store) *journal.Journal {
	return &journal.Journal{Store: s, Prefix: "audit", Keep: 10 * 24 * time.Hour}
}

func add(t *testing.T, j *journal.Journal, text string) {
	t.Helper()
	data, err := json.Marshal(text)
	require.NoError(t, err)
	done, err := j.Append(t.Context(), data)
	require.NoError(t, err)
	<-done
}

func all(journal.Entry) bool { return true }

// readAll reads all pages of limit entries.
func readAll(t *testing.T, j *journal.Journal, limit int, match func(journal.Entry) bool) (list []string) {
	t.Helper()
	last := time.Now().Add(time.Hour)
	for before := (journal.Position{}); ; {
		page, next, unreadable, err := j.Page(t.Context(), before, time.Time{}, limit, match)
		require.NoError(t, err)
		require.Zero(t, unreadable.Records)
		for _, e := range page {
			require.False(t, e.At.After(last), "in order")
			last = e.At
			var text string
			require.NoError(t, json.Unmarshal(e.Data, &text))
			list = append(list, text)
		}
		again, err := journal.ParsePosition(next.String())
		require.NoError(t, err)
		require.Equal(t, next, again)
		if before = next; before == (journal.Position{}) {
			return list
		}
	}
}

// The form of the records stays readable for later releases.
func TestTheFormOfTheRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		j := newJournal(s)
		add(t, j, "a")
		add(t, j, "b")
		var stream, process string
		for key, err := range s.Keys(t.Context(), "") {
			require.NoError(t, err)
			value, _, err := s.Get(t.Context(), key)
			require.NoError(t, err)
			if key == "audit/2000-01-01" {
				stream = strings.TrimSuffix(strings.TrimPrefix(string(value), `{"streams":["`), `"]}`)
				continue
			}
			process, _, _ = strings.Cut(strings.TrimPrefix(string(value), `{"entries":[{"at":946684800000,"by":"`), `"`)
			require.Len(t, process, 16)
			entry := `{"at":946684800000,"by":"` + process + `","data":`
			require.Equal(t, `{"entries":[`+entry+`"a"},`+entry+`"b"}]}`, string(value))
		}
		_, ok, err := s.Get(t.Context(), "audit/2000-01-01/"+stream+"/0")
		require.NoError(t, err)
		require.True(t, ok)

		old := new(store.Memory)
		require.NoError(t, old.Set(t.Context(), "audit/2000-01-01", []byte(`{"streams":["aaaaaaaaaaaaaaaa"]}`), 0))
		require.NoError(t, old.Set(t.Context(), "audit/2000-01-01/aaaaaaaaaaaaaaaa/0", []byte(`{"entries":[{"at":946684800000,"by":"p","data":"a"},{"at":946684800000,"by":"p","data":"b"}]}`), 0))
		require.Equal(t, []string{"b", "a"}, readAll(t, newJournal(old), 10, all))
	})
}

func TestManyProcessesLoseNoEntry(t *testing.T) {
	s := new(watchedStore)
	var writers sync.WaitGroup
	var want []string
	for p := range 8 {
		j := newJournal(s)
		for i := range 200 {
			want = append(want, fmt.Sprint(p, "-", i))
		}
		for part := range 4 { // goroutines of the process
			writers.Go(func() {
				for i := range 50 {
					add(t, j, fmt.Sprint(p, "-", part*50+i))
				}
			})
		}
	}
	writers.Wait()
	require.LessOrEqual(t, s.swaps.Load(), int64(8*200+8*8), "at most one write for each")
	for _, limit := range []int{1000, 7} {
		got := readAll(t, newJournal(s), limit, all)
		slices.Sort(got)
		slices.Sort(want)
		require.Equal(t, want, got)
	}
	require.Zero(t, s.lists.Load(), "no scan of the keys")
}

func TestAPageOfManyEntriesReadsFewRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(watchedStore)
		writers := []*journal.Journal{newJournal(s), newJournal(s)}
		for n := range 20_000 { // 157 records of each
			add(t, writers[n%2], fmt.Sprint(n))
			advance(time.Second)
		}
		j := newJournal(s)
		s.gets.Store(0)
		page, next, _, err := j.Page(t.Context(), journal.Position{}, time.Time{}, 100, all)
		require.NoError(t, err)
		require.Len(t, page, 100)
		require.LessOrEqual(t, s.gets.Load(), int64(2*2*8+2+4))
		s.gets.Store(0)
		for range 3 {
			_, next, _, err = j.Page(t.Context(), next, time.Time{}, 100, all)
			require.NoError(t, err)
		}
		require.LessOrEqual(t, s.gets.Load(), int64(3*(2*2*8+2+4)))

		// One call does limited work, even if nothing matches, and the next one goes on from there.
		for range 100 {
			advance(24 * time.Hour)
		}
		long := &journal.Journal{Store: s, Prefix: "audit", Keep: 2000 * 24 * time.Hour}
		s.gets.Store(0)
		page, next, _, err = long.Page(t.Context(), journal.Position{}, time.Time{}, 100, all)
		require.NoError(t, err)
		require.Empty(t, page)
		require.NotZero(t, next)
		require.LessOrEqual(t, s.gets.Load(), int64(1001))
		require.Empty(t, readAll(t, long, 100, all), "they have expired")
	})
}

func TestAWriteWhoseAnswerIsLostIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(watchedStore)
		j := newJournal(s)
		var failed atomic.Int64
		j.OnError = func(context.Context, error) { failed.Add(1) }
		s.lose.Store(true)
		for n := range 5 {
			add(t, j, fmt.Sprint(n))
			synctest.Wait()
		}
		require.NotZero(t, failed.Load())
		require.False(t, j.Flush(t.Context()))
		s.lose.Store(false)
		require.True(t, j.Flush(t.Context()))
		add(t, j, "5")
		s.lose.Store(true)
		add(t, j, "6")
		s.lose.Store(false)
		add(t, j, "7")
		synctest.Wait()
		require.Equal(t, []string{"7", "6", "5", "4", "3", "2", "1", "0"}, readAll(t, j, 3, all))
	})
}

func TestTheRecordsOfADayExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(watchedStore)
		j := newJournal(s)
		for n := range 24 * 20 {
			for range 4 { // several records a day
				add(t, j, fmt.Sprint(n))
			}
			advance(time.Hour)
		}
		got := readAll(t, j, 1000, all) // it is midnight
		require.Len(t, got, 4*24*10, "the last 10 days")
		require.Equal(t, fmt.Sprint(24*20-1), got[0])
		require.Equal(t, fmt.Sprint(24*10), got[len(got)-1])
		page, next, _, err := j.Page(t.Context(), journal.Position{}, time.Now().Add(-25*time.Hour), 1000, all)
		require.NoError(t, err)
		require.Zero(t, next)
		require.Len(t, page, 4*25)
		require.Len(t, readAll(t, j, 10, func(e journal.Entry) bool { return string(e.Data) == `"300"` }), 4)
	})
}

func TestAnEntryIsBounded(t *testing.T) {
	j := newJournal(new(store.Memory))
	for _, data := range []string{"", "{", `"` + strings.Repeat("x", journal.MaxEntry) + `"`} {
		_, err := j.Append(t.Context(), json.RawMessage(data))
		require.ErrorContains(t, err, "journal: invalid entry")
	}
	for range 10 {
		add(t, j, strings.Repeat("x", 16000))
	}
	require.Len(t, readAll(t, j, 3, all), 10)
}

func FuzzParsePosition(f *testing.F) {
	f.Add("946684800000-abcdefghijklmnop-1-2")
	f.Add("1--0-0")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := journal.ParsePosition(text)
		if err != nil {
			return
		}
		again, err := journal.ParsePosition(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
		_, _, _, err = newJournal(new(store.Memory)).Page(t.Context(), p, time.Time{}, 1, all)
		require.NoError(t, err)
	})
}

// FuzzRecords reads records that somebody else has written.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"streams":["aaaaaaaaaaaaaaaa"]}`), []byte(`{"entries":[{"at":946684800000,"data":"a"}]}`))
	f.Add([]byte(`{"streams":["../x"]}`), []byte(`{"entries":[{"at":-1,"data":null}]}`))
	f.Fuzz(func(t *testing.T, day, chunk []byte) {
		s, today := new(store.Memory), "audit/"+time.Now().UTC().Format(time.DateOnly)
		require.NoError(t, s.Set(t.Context(), today, day, 0))
		for n := range 3 {
			require.NoError(t, s.Set(t.Context(), fmt.Sprint(today, "/aaaaaaaaaaaaaaaa/", n), chunk, 0))
		}
		j := newJournal(s)
		for before, pages := (journal.Position{}), 0; pages < 1000; pages++ {
			_, next, _, err := j.Page(t.Context(), before, time.Time{}, 10, all)
			require.NoError(t, err)
			if before = next; before == (journal.Position{}) {
				break
			}
			require.Less(t, pages, 999, "pages end")
		}
		add(t, j, "x")
		page, _, _, err := j.Page(t.Context(), journal.Position{}, time.Time{}, 1000, func(e journal.Entry) bool { return string(e.Data) == `"x"` })
		require.NoError(t, err)
		require.NotEmpty(t, page)
	})
}
