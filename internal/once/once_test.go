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

func work(s store.Store) *once.Work { return &once.Work{Store: s, Key: key, Life: 25 * time.Minute} }

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

// mortal is a store that a process may be cut off from.
type mortal struct {
	store.Store
	dead atomic.Bool
}

var errDead = errors.New("dead")

func (m *mortal) Get(ctx context.Context, key string) ([]byte, bool, error) {
	if m.dead.Load() {
		return nil, false, errDead
	}
	return m.Store.Get(ctx, key)
}

func (m *mortal) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if m.dead.Load() {
		return false, errDead
	}
	return m.Store.Swap(ctx, key, old, new, ttl)
}

func TestOneProcessClaimsAndTheOthersReadItsOutcome(t *testing.T) {
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

func TestAClaimLastsWhileItIsKeptAndLapsesThreeSecondsLater(t *testing.T) {
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
	})
}

func TestAClaimReturnsToAStoreThatWasDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &mortal{Store: new(store.Memory)}
		s.dead.Store(true)
		w := work(s)
		claimed, err := w.Claim(t.Context())
		require.ErrorIs(t, err, errDead)
		require.False(t, claimed)
		_, err = w.Read(t.Context())
		require.ErrorIs(t, err, errDead)
		defer w.KeepClaim(t.Context())()
		<-time.After(time.Minute)
		s.dead.Store(false)
		<-time.After(2 * time.Second)
		require.Equal(t, once.Running, read(t, s).State)
		require.NoError(t, s.Delete(t.Context(), key))
		require.NoError(t, w.Save(t.Context(), once.Record{State: once.Waiting, Text: "hi"}))
		require.Equal(t, once.Record{State: once.Waiting, Text: "hi"}, read(t, s), "an emptied store is told too")
	})
}

func TestWorkThatFailedCanBeClaimedAgain(t *testing.T) {
	s := new(store.Memory)
	w := work(s)
	_, err := w.Claim(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.Save(t.Context(), once.Record{}))
	claimed, err := work(s).Claim(t.Context())
	require.NoError(t, err)
	require.True(t, claimed)
}

func TestAnOutcomeThatWaitsIsTakenOnce(t *testing.T) {
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

// The values are pinned, as processes of several releases share a store. Whole files are in message/testdata/records.
func TestRecordsKeepTheirForm(t *testing.T) {
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

func TestARecordOfALaterReleaseIsLeftAlone(t *testing.T) {
	for _, later := range []string{"done2:x", "failed:x", "run", "", "\x00"} {
		s := new(store.Memory)
		require.NoError(t, s.Set(t.Context(), key, []byte(later), time.Hour))
		require.Equal(t, once.Record{State: once.Running}, read(t, s), "%q", later)
		w := work(s)
		claimed, err := w.Claim(t.Context())
		require.NoError(t, err)
		require.False(t, claimed)
		require.NoError(t, w.Save(t.Context(), once.Record{State: once.Done}))
		require.Equal(t, later, value(t, s))
	}
}

// hanging is a store that never answers.
type hanging struct{ store.Store }

func (hanging) Get(ctx context.Context, _ string) ([]byte, bool, error) {
	<-ctx.Done()
	return nil, false, ctx.Err()
}

func (hanging) Swap(ctx context.Context, _ string, _, _ []byte, _ time.Duration) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func TestAStoreThatHangsIsGivenUpAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, begun := work(hanging{}), time.Now()
		_, err := w.Claim(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = w.Read(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Error(t, w.Save(t.Context(), once.Record{State: once.Done}))
		require.Equal(t, 3*time.Second, time.Since(begun))
	})
}
