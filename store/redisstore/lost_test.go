package redisstore_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/redisstore"
)

// lossy is a connection that loses the answer to what was sent while armed, once the server has given it.
type lossy struct {
	net.Conn
	armed *atomic.Bool
	then  func() // called once the answer is lost
	lose  atomic.Bool
}

func (l *lossy) Write(p []byte) (int, error) {
	if l.armed.CompareAndSwap(true, false) {
		l.lose.Store(true)
	}
	return l.Conn.Write(p)
}

func (l *lossy) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err == nil && l.lose.Load() {
		l.Close()
		l.then()
		return 0, io.EOF
	}
	return n, err
}

// losing is s with connections that lose the answer to what is sent while armed, and then call then.
func losing(t *testing.T, s *redisstore.Store, retries int, armed *atomic.Bool, then func()) *redisstore.Store {
	o := *s.Client.(*redis.Client).Options()
	o.MaxRetries = retries
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &lossy{Conn: conn, armed: armed, then: then}, err
	}
	s = &redisstore.Store{Client: redis.NewClient(&o)}
	t.Cleanup(func() { s.Client.Close() })
	require.NoError(t, s.Client.Ping(t.Context()).Err()) // a connection stands
	return s
}

func TestSwapWhoseAnswerIsLostIsAnErrorAndNotADenial(t *testing.T) {
	var armed atomic.Bool
	s := losing(t, open(t, "redis://"+mini(t).Addr()), 3, &armed, func() {}) // sent again, it would be told that the key is there
	steps := [][2][]byte{{nil, []byte("v")}, {[]byte("v"), []byte("w")}, {[]byte("w"), nil}}
	for _, step := range steps { // the server learns the scripts
		swapped, err := s.Swap(t.Context(), "k", step[0], step[1], time.Hour)
		require.NoError(t, err)
		require.True(t, swapped)
	}
	for _, step := range steps {
		_, _, err := s.Get(t.Context(), "k") // a connection stands
		require.NoError(t, err)
		armed.Store(true)
		_, err = s.Swap(t.Context(), "k", step[0], step[1], time.Hour)
		require.False(t, armed.Load())
		require.Error(t, err)
		value, _, err := s.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, string(step[1]), string(value), "the server did it")
	}
}

func TestSetWhoseAnswerIsLostDoesNotUndoWhatCameAfterIt(t *testing.T) {
	m := mini(t)
	other := open(t, "redis://"+m.Addr())
	var armed, swapped atomic.Bool
	s := losing(t, other, 3, &armed, func() {
		ok, err := other.Swap(t.Context(), "k", []byte("v"), []byte("w"), time.Hour)
		swapped.Store(ok && err == nil)
	})
	armed.Store(true)
	require.Error(t, s.Set(t.Context(), "k", []byte("v"), time.Hour))
	require.True(t, swapped.Load(), "the server did it")
	value, _, err := other.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "w", string(value))
}

func TestDeleteWhoseAnswerIsLostDoesNotUndoWhatCameAfterIt(t *testing.T) {
	m := mini(t)
	other := open(t, "redis://"+m.Addr())
	require.NoError(t, other.Set(t.Context(), "lease", []byte("v"), time.Hour))
	var armed, taken atomic.Bool
	s := losing(t, other, 3, &armed, func() {
		_, ok, err := store.Take(t.Context(), other, "lease", time.Hour)
		taken.Store(ok && err == nil)
	})
	armed.Store(true)
	require.Error(t, s.Delete(t.Context(), "lease"))
	require.True(t, taken.Load(), "the server did it")
	_, again, err := store.Take(t.Context(), other, "lease", time.Hour)
	require.NoError(t, err)
	require.False(t, again, "it is held")
}

func TestReadWhoseAnswerIsLostIsAskedForAgain(t *testing.T) {
	m := mini(t)
	require.NoError(t, m.Set("k", "v"))
	var armed atomic.Bool
	s := losing(t, open(t, "redis://"+m.Addr()), 1, &armed, func() {})
	armed.Store(true)
	value, ok, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "v", string(value))
	require.False(t, armed.Load())
}
