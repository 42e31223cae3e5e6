package once_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/once"
	"github.com/wetoken/wetoken/store"
)

const key = "message/wx1/once/1"

func work(s store.Store) *once.Work { return &once.Work{Store: s, Key: key, TTL: 25 * time.Minute} }

// read returns the record that another process finds.
func read(t *testing.T, s store.Store) once.Record {
	record, err := work(s).Read(t.Context())
	require.NoError(t, err)
	return record
}

func value(t *testing.T, s store.Store) string {
	b, _, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	return string(b)
}

// failingStore is a store that fails once dead is set.
type failingStore struct {
	store.Store
	dead atomic.Bool
}

var errStore = errors.New("store failed")

func (f *failingStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if f.dead.Load() {
		return nil, false, errStore
	}
	return f.Store.Get(ctx, key)
}

func (f *failingStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if f.dead.Load() {
		return false, errStore
	}
	return f.Store.Swap(ctx, key, old, new, ttl)
}

func TestOneProcessClaimsAndOthersReadTheOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		require.Equal(t, once.Record{}, read(t, s))
		var claims atomic.Int32
		var owner atomic.Pointer[once.Work]
		for range 50 {
			go func() {
				w := work(s)
				if ok, err := w.Claim(t.Context()); err == nil && ok {
					claims.Add(1)
					owner.Store(w)
				}
			}()
		}
		synctest.Wait()
		require.EqualValues(t, 1, claims.Load())
		require.Equal(t, once.Running, read(t, s).State)
		require.NoError(t, owner.Load().Save(t.Context(), once.Record{State: once.Done, Text: "hi"}))
		require.Equal(t, once.Record{State: once.Done, Text: "hi"}, read(t, s))
		claimed, err := work(s).Claim(t.Context())
		require.NoError(t, err)
		require.False(t, claimed)
		<-time.After(25*time.Minute + time.Second)
		require.Equal(t, once.Absent, read(t, s).State)
	})
}

func TestClaimExpiresThreeSecondsAfterItIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store.Memory)
		w := work(s)
		claimed, err := w.Claim(t.Context())
		require.NoError(t, err)
		require.True(t, claimed)
		stop := w.KeepClaim(t.Context())
		<-time.After(time.Minute)
		stop()
		claimed, err = work(s).Claim(t.Context())
		require.NoError(t, err)
		require.False(t, claimed)
		<-time.After(3*time.Second + time.Millisecond)
		next := work(s)
		claimed, err = next.Claim(t.Context())
		require.NoError(t, err)
		require.True(t, claimed)
		require.NoError(t, w.Save(t.Context(), once.Record{State: once.Done, Text: "too late"}))
		require.Equal(t, once.Running, read(t, s).State, "the outcome of a lost claim replaces no other claim")
		first := once.Record{State: once.Done, Text: "first"}
		require.NoError(t, w.SaveFirst(t.Context(), first))
		require.Equal(t, first, read(t, s), "but for one that counts")
		for _, save := range []func(context.Context, once.Record) error{next.Save, next.SaveFirst} {
			require.NoError(t, save(t.Context(), once.Record{State: once.Done, Text: "second"}))
			require.Equal(t, first, read(t, s))
		}
	})
}

func TestSaveFirstReplacesAnOutcomeThatNobodyHasTaken(t *testing.T) {
	s := new(store.Memory)
	for _, want := range []once.Record{{State: once.Done, Text: "into an empty store"}, {State: once.Done, Text: "over a waiting one"}} {
		require.NoError(t, work(s).SaveFirst(t.Context(), want))
		require.Equal(t, want, read(t, s))
		require.NoError(t, s.Set(t.Context(), key, []byte("late:"), time.Hour))
	}
}

func TestClaimIsRecordedAgainAfterTheStoreFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &failingStore{Store: new(store.Memory)}
		s.dead.Store(true)
		w := work(s)
		claimed, err := w.Claim(t.Context())
		require.ErrorIs(t, err, errStore)
		require.False(t, claimed)
		_, err = w.Read(t.Context())
		require.ErrorIs(t, err, errStore)
		defer w.KeepClaim(t.Context())()
		<-time.After(time.Minute)
		s.dead.Store(false)
		<-time.After(2 * time.Second)
		require.Equal(t, once.Running, read(t, s).State)
		require.NoError(t, s.Delete(t.Context(), key))
		require.NoError(t, w.Save(t.Context(), once.Record{State: once.Waiting, Text: "hi"}))
		require.Equal(t, once.Record{State: once.Waiting, Text: "hi"}, read(t, s), "an emptied store has the outcome too")
	})
}

func TestFailedWorkCanBeClaimedAgain(t *testing.T) {
	s := new(store.Memory)
	w := work(s)
	_, err := w.Claim(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.Save(t.Context(), once.Record{}))
	claimed, err := work(s).Claim(t.Context())
	require.NoError(t, err)
	require.True(t, claimed)
}

func TestWaitingOutcomeIsTakenOnce(t *testing.T) {
	s := new(store.Memory)
	waiting, done := once.Record{State: once.Waiting, Text: "hi"}, once.Record{State: once.Done, Text: "hi"}
	require.NoError(t, work(s).Save(t.Context(), waiting))
	for _, want := range []bool{true, false} {
		taken, err := work(s).Replace(t.Context(), waiting, done)
		require.NoError(t, err)
		require.Equal(t, want, taken)
	}
	require.Equal(t, done, read(t, s))
}

// Processes of several releases share a store, so the values must not change. See message/testdata/records too.
func TestRecordFormatIsStable(t *testing.T) {
	for want, record := range map[string]once.Record{
		"late:a\nb": {State: once.Waiting, Text: "a\nb"}, "late:": {State: once.Waiting},
		"done:late:": {State: once.Done, Text: "late:"}, "done:": {State: once.Done},
	} {
		s := new(store.Memory)
		require.NoError(t, work(s).Save(t.Context(), record))
		require.Equal(t, want, value(t, s))
		require.Equal(t, record, read(t, s))
	}
	s := new(store.Memory)
	_, err := work(s).Claim(t.Context())
	require.NoError(t, err)
	require.Regexp(t, "^run:[A-Z2-7]{26}$", value(t, s))
	require.Equal(t, once.Record{State: once.Running, Text: value(t, s)[4:]}, read(t, s))
}

func TestRecordOfALaterReleaseIsKept(t *testing.T) {
	for _, later := range []string{"done2:x", "failed:x", "run", "", "\x00"} {
		s := new(store.Memory)
		require.NoError(t, s.Set(t.Context(), key, []byte(later), time.Hour))
		require.Equal(t, once.Record{State: once.Running}, read(t, s), "%q", later)
		w := work(s)
		claimed, err := w.Claim(t.Context())
		require.NoError(t, err)
		require.False(t, claimed)
		require.NoError(t, w.Save(t.Context(), once.Record{State: once.Done}))
		require.NoError(t, w.SaveFirst(t.Context(), once.Record{State: once.Done}))
		require.Equal(t, later, value(t, s))
	}
}

// hangingStore is a store whose calls never return.
type hangingStore struct{ store.Store }

func (hangingStore) Get(ctx context.Context, _ string) ([]byte, bool, error) {
	<-ctx.Done()
	return nil, false, ctx.Err()
}

func (hangingStore) Swap(ctx context.Context, _ string, _, _ []byte, _ time.Duration) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func TestStoreCallsTimeOutAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, begun := work(hangingStore{}), time.Now()
		_, err := w.Claim(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = w.Read(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Error(t, w.Save(t.Context(), once.Record{State: once.Done}))
		require.Equal(t, 3*time.Second, time.Since(begun))
	})
}
