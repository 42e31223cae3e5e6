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

// lossyConn is a connection that, while armed, loses the answers of the server.
type lossyConn struct {
	net.Conn
	armed *atomic.Bool
	then  func() // called once the answer is lost
	lose  atomic.Bool
}

func (l *lossyConn) Write(p []byte) (int, error) {
	if l.armed.CompareAndSwap(true, false) {
		l.lose.Store(true)
	}
	return l.Conn.Write(p)
}

func (l *lossyConn) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err == nil && l.lose.Load() {
		l.Close()
		l.then()
		return 0, io.EOF
	}
	return n, err
}

// withLossyConns returns s with connections that, while armed, lose the answers of the server, and then call then.
func withLossyConns(t *testing.T, s *redisstore.Store, retries int, armed *atomic.Bool, then func()) *redisstore.Store {
	o := *s.Client.(*redis.Client).Options()
	o.MaxRetries = retries
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &lossyConn{Conn: conn, armed: armed, then: then}, err
	}
	s = &redisstore.Store{Client: redis.NewClient(&o)}
	t.Cleanup(func() { s.Client.Close() })
	require.NoError(t, s.Client.Ping(t.Context()).Err()) // opens a connection
	return s
}

func TestSwapWhoseAnswerIsLostIsAnErrorAndNotFalse(t *testing.T) {
	var armed atomic.Bool
	s := withLossyConns(t, open(t, "redis://"+startMiniredis(t).Addr()), 3, &armed, func() {}) // a second SET would find the key present
	steps := [][2][]byte{{nil, []byte("v")}, {[]byte("v"), []byte("w")}, {[]byte("w"), nil}}
	for _, step := range steps { // the server caches the scripts
		swapped, err := s.Swap(t.Context(), "k", step[0], step[1], time.Hour)
		require.NoError(t, err)
		require.True(t, swapped)
	}
	for _, step := range steps {
		_, _, err := s.Get(t.Context(), "k") // opens a connection
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

func TestSetWhoseAnswerIsLostDoesNotUndoLaterChanges(t *testing.T) {
	m := startMiniredis(t)
	other := open(t, "redis://"+m.Addr())
	var armed, swapped atomic.Bool
	s := withLossyConns(t, other, 3, &armed, func() {
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

func TestDeleteWhoseAnswerIsLostDoesNotUndoLaterChanges(t *testing.T) {
	m := startMiniredis(t)
	other := open(t, "redis://"+m.Addr())
	require.NoError(t, other.Set(t.Context(), "lease", []byte("v"), time.Hour))
	var armed, taken atomic.Bool
	s := withLossyConns(t, other, 3, &armed, func() {
		_, ok, err := store.TryLease(t.Context(), other, "lease", time.Hour)
		taken.Store(ok && err == nil)
	})
	armed.Store(true)
	require.Error(t, s.Delete(t.Context(), "lease"))
	require.True(t, taken.Load(), "the server did it")
	_, again, err := store.TryLease(t.Context(), other, "lease", time.Hour)
	require.NoError(t, err)
	require.False(t, again, "it is held")
}

func TestReadWhoseAnswerIsLostIsRepeated(t *testing.T) {
	m := startMiniredis(t)
	require.NoError(t, m.Set("k", "v"))
	var armed atomic.Bool
	s := withLossyConns(t, open(t, "redis://"+m.Addr()), 1, &armed, func() {})
	armed.Store(true)
	value, ok, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "v", string(value))
	require.False(t, armed.Load())
}
