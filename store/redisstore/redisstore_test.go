package redisstore_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/needed"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/redisstore"
	"github.com/wetoken/wetoken/store/storetest"
)

// startMiniredis starts a Redis in this process with the machine's clock.
func startMiniredis(t testing.TB) *miniredis.Miniredis {
	t.Helper()
	m := miniredis.NewMiniRedis()
	require.NoError(t, m.Start())
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				m.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
		m.Close()
	})
	return m
}

// open opens url, and closes the store when t ends.
func open(t testing.TB, url string) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { s.Client.Close() })
	return s
}

// withPrefix returns url with a prefix for t, which has characters of patterns.
func withPrefix(t testing.TB, url string) *redisstore.Store {
	t.Helper()
	s := open(t, url)
	s.Prefix = `wetoken-test[*?\]-` + rand.Text() + ":"
	t.Cleanup(func() {
		for key, err := range s.Keys(context.Background(), "") {
			if err != nil {
				return
			}
			_ = s.Delete(context.Background(), key)
		}
	})
	return s
}

// redisAddress returns the address of the machine's Redis.
func redisAddress(t testing.TB) string {
	t.Helper()
	return needed.Address(t, "WETOKEN_TEST_REDIS", "127.0.0.1:6379", func(address string) error {
		s, err := redisstore.Open("redis://" + address)
		if err != nil {
			return err
		}
		defer s.Client.Close()
		return s.Client.Ping(t.Context()).Err()
	})
}

func TestMiniredisIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, "redis://"+startMiniredis(t).Addr()) })
}

func TestRedisIsAStore(t *testing.T) {
	address := redisAddress(t)
	storetest.Run(t, func(t *testing.T) store.Store { return withPrefix(t, "redis://"+address) })
}

// commandCounter counts the commands that a client sends, and the round trips.
type commandCounter struct{ commands, trips atomic.Int32 }

func (c *commandCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commandCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		c.trips.Add(1)
		return next(ctx, cmd)
	}
}

func (c *commandCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int32(len(cmds)))
		c.trips.Add(1)
		return next(ctx, cmds)
	}
}

func TestEachMethodIsOneCommand(t *testing.T) {
	m := startMiniredis(t)
	s := open(t, "redis://"+m.Addr())
	swaps := []func() (bool, error){
		func() (bool, error) { return s.Swap(t.Context(), "k", nil, []byte("v"), time.Hour) },
		func() (bool, error) { return s.Swap(t.Context(), "k", []byte("v"), []byte("v"), -1) },
		func() (bool, error) { return s.Swap(t.Context(), "k", []byte("v"), nil, 0) },
		func() (bool, error) { return s.Swap(t.Context(), "k", nil, nil, 0) },
	}
	for _, swap := range swaps { // the server caches the scripts
		_, err := swap()
		require.NoError(t, err)
	}
	sent := new(commandCounter)
	s.Client.AddHook(sent)
	one := func(what string) {
		t.Helper()
		require.EqualValues(t, 1, sent.commands.Swap(0), what)
		require.EqualValues(t, 1, sent.trips.Swap(0), what)
	}
	before := m.CommandCount()
	require.NoError(t, s.Set(t.Context(), "g", []byte("v"), time.Hour))
	one("Set")
	_, _, err := s.Get(t.Context(), "g")
	require.NoError(t, err)
	one("Get")
	require.NoError(t, s.Delete(t.Context(), "g"))
	one("Delete")
	require.Equal(t, 3, m.CommandCount()-before, "and the server saw no others")
	for i, swap := range swaps {
		swapped, err := swap()
		require.NoError(t, err)
		require.True(t, swapped)
		one(fmt.Sprint("Swap ", i))
	}
}

func TestScriptsAreSentAgainToARestartedServer(t *testing.T) {
	m := startMiniredis(t)
	s := open(t, "redis://"+m.Addr())
	for range 2 {
		require.NoError(t, s.Set(t.Context(), "k", []byte("v"), 0))
		for _, new := range [][]byte{[]byte("v"), nil} {
			swapped, err := s.Swap(t.Context(), "k", []byte("v"), new, 0)
			require.NoError(t, err)
			require.True(t, swapped)
		}
		require.NoError(t, s.Client.ScriptFlush(t.Context()).Err())
	}
}

func TestLivesAreRoundedUpToMilliseconds(t *testing.T) {
	m := miniredis.RunT(t) // its clock does not advance
	s := open(t, "redis://"+m.Addr())
	for ttl, want := range map[time.Duration]time.Duration{
		1:                              time.Millisecond,
		time.Millisecond:               time.Millisecond,
		1500 * time.Microsecond:        2 * time.Millisecond,
		time.Second:                    time.Second,
		time.Hour + time.Nanosecond:    time.Hour + time.Millisecond,
		100 * 365 * 24 * time.Hour:     100 * 365 * 24 * time.Hour,
		0:                              0,
		90*time.Minute + 5*time.Second: 90*time.Minute + 5*time.Second,
	} {
		require.NoError(t, s.Set(t.Context(), "set", []byte("v"), ttl))
		require.Equal(t, want, m.TTL("set"))

		m.Del("add")
		_, err := s.Swap(t.Context(), "add", nil, []byte("v"), ttl)
		require.NoError(t, err)
		require.Equal(t, want, m.TTL("add"))

		_, err = s.Swap(t.Context(), "add", []byte("v"), []byte("w"), -1)
		require.NoError(t, err)
		require.Equal(t, want, m.TTL("add"))

		require.NoError(t, m.Set("swap", "v"))
		_, err = s.Swap(t.Context(), "swap", []byte("v"), []byte("w"), ttl)
		require.NoError(t, err)
		require.Equal(t, want, m.TTL("swap"))
	}
}

func TestErrorsShowNoPassword(t *testing.T) {
	m := startMiniredis(t)
	m.RequireUserAuth("user", "right")
	s := open(t, "redis://user:correct-horse@"+m.Addr())
	_, ok, err := s.Get(t.Context(), "k")
	require.ErrorContains(t, err, "redisstore: get: ")
	require.False(t, ok)
	require.NotContains(t, err.Error(), "horse")

	gone := open(t, "redis://user:correct-horse@127.0.0.1:1")
	_, err = gone.Swap(t.Context(), "k", nil, []byte("battery-staple"), 0)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "horse")
	require.NotContains(t, err.Error(), "staple")
}

func TestStoreNeedsAClient(t *testing.T) {
	s := new(redisstore.Store)
	_, _, err := s.Get(t.Context(), "k")
	require.ErrorContains(t, err, "Client is nil")
	for _, err := range s.Keys(t.Context(), "") {
		require.ErrorContains(t, err, "Client is nil")
	}
}

func TestKeyOfAnotherKindIsAnError(t *testing.T) {
	m := startMiniredis(t)
	_, err := m.Push("list", "v")
	require.NoError(t, err)
	s := open(t, "redis://"+m.Addr())
	_, ok, err := s.Get(t.Context(), "list")
	require.ErrorContains(t, err, "WRONGTYPE")
	require.False(t, ok)
	_, err = s.Swap(t.Context(), "list", []byte("v"), nil, 0)
	require.Error(t, err)
}

func TestKeysOfOthersAreLeftOut(t *testing.T) {
	m := startMiniredis(t)
	a, b := open(t, "redis://"+m.Addr()+"?prefix=a*"), open(t, "redis://"+m.Addr()+"?prefix=a%3F")
	require.NoError(t, a.Set(t.Context(), "1", nil, 0))
	require.NoError(t, b.Set(t.Context(), "2", nil, 0))
	require.ElementsMatch(t, []string{"a*1", "a?2"}, m.Keys())
	for key, err := range a.Keys(t.Context(), "") {
		require.NoError(t, err)
		require.Equal(t, "1", key)
	}
	_, ok, err := a.Get(t.Context(), "2")
	require.NoError(t, err)
	require.False(t, ok)
}

func TestRingKeepsKeysApart(t *testing.T) {
	addrs := map[string]string{}
	for i := range 3 {
		addrs[fmt.Sprint("server", i)] = startMiniredis(t).Addr()
	}
	s := &redisstore.Store{Client: redis.NewRing(&redis.RingOptions{Addrs: addrs})}
	defer s.Client.Close()
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprint("k/", i))
		swapped, err := s.Swap(t.Context(), want[i], nil, []byte("v"), time.Hour)
		require.NoError(t, err)
		require.True(t, swapped)
		swapped, err = s.Swap(t.Context(), want[i], []byte("v"), []byte("w"), time.Hour)
		require.NoError(t, err)
		require.True(t, swapped)
	}
	var got []string
	for key, err := range s.Keys(t.Context(), "k/") {
		require.NoError(t, err)
		got = append(got, key)
	}
	require.ElementsMatch(t, want, got)
}
