// Package redisstore implements [store.Store] with Redis 5 or later: one server, a sentinel set, a cluster or a ring.
//
//	s, err := redisstore.Open("redis://:password@127.0.0.1:6379/0")
//	if err != nil {
//		return err
//	}
//	defer s.Client.Close()
//	tokens := &token.Manager{AppID: id, Secret: secret, Store: s}
//
// Use it for values that are shared and may be lost: Redis answers before a replica or the disk has a value, so a
// failover may restore an old value or give a lease to two holders. Tokens tolerate that. Values that must not be lost
// belong in store/sqlstore.
package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wetoken/wetoken/store"
)

// Store is a [store.Store] in Redis. Each method but Keys is one command and one round trip for one key, so that it
// works on a cluster. It is safe for concurrent use.
//
// A command that changes a value is sent once, whatever the client's MaxRetries. After a lost answer, a second try
// could undo a later change of another process, or report failure for the first. After an error it is therefore unknown
// whether the change was made.
type Store struct {
	// Client is any go-redis client. It should have ContextTimeoutEnabled: otherwise a call to a server that hangs
	// lasts until the client's own ReadTimeout. Reads must go to masters: ReadOnly, RouteByLatency and RouteRandomly
	// return old values. Open makes a suitable client.
	Client redis.UniversalClient

	// Prefix is put before every key in Redis, such as "wetoken:". Default: none.
	Prefix string

	// Timeout is the time for one command, repetitions included. Default: 1.5 seconds.
	Timeout time.Duration
}

var _ store.Store = (*Store)(nil)

// Get sends GET.
func (s *Store) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	ctx, cancel, err := s.withTimeout(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("redisstore: get: %w", err)
	}
	defer cancel()
	text, err := s.Client.Get(ctx, s.Prefix+key).Result()
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("redisstore: get: %w", err)
	}
	return []byte(text), true, nil // a copy, since Bytes would share the memory of the string
}

// Set sends SET, with PX if value expires.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if ttl < 0 {
		return errors.New("redisstore: set: ttl is below 0")
	}
	ctx, cancel, err := s.withTimeout(ctx)
	if err != nil {
		return fmt.Errorf("redisstore: set: %w", err)
	}
	defer cancel()
	args := []any{"set", s.Prefix + key, notNil(value)}
	if ttl > 0 {
		args = append(args, "px", milliseconds(ttl))
	}
	if err := s.Client.Process(ctx, unrepeated{redis.NewCmd(ctx, args...)}); err != nil {
		return fmt.Errorf("redisstore: set: %w", err)
	}
	return nil
}

// The scripts use KEYS[1] only. GET returns false for an absent key, which equals no string.
var (
	compareAndDelete = newScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1`)
	compareAndSet = newScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local life = tonumber(ARGV[3])
if life < 0 then
	life = redis.call('PTTL', KEYS[1])
	if life < 0 then life = 0 elseif life < 1 then life = 1 end
end
if life == 0 then
	redis.call('SET', KEYS[1], ARGV[2])
else
	redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', life))
end
return 1`)
)

// Swap sends EXISTS, SET NX or a script.
func (s *Store) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (swapped bool, err error) {
	ctx, cancel, err := s.withTimeout(ctx)
	if err != nil {
		return false, fmt.Errorf("redisstore: swap: %w", err)
	}
	defer cancel()
	key = s.Prefix + key
	switch {
	case old == nil && new == nil:
		n, err := s.Client.Exists(ctx, key).Result()
		if err != nil {
			return false, fmt.Errorf("redisstore: swap: %w", err)
		}
		return n == 0, nil
	case old == nil:
		args := []any{"set", key, new, "nx"}
		if ttl > 0 {
			args = append(args, "px", milliseconds(ttl))
		}
		cmd := unrepeated{redis.NewCmd(ctx, args...)}
		if err = s.Client.Process(ctx, cmd); errors.Is(err, redis.Nil) {
			return false, nil
		}
		swapped = err == nil
	case new == nil:
		swapped, err = s.runScript(ctx, compareAndDelete, key, old)
	default:
		life := int64(-1)
		if ttl >= 0 {
			life = milliseconds(ttl)
		}
		swapped, err = s.runScript(ctx, compareAndSet, key, old, new, life)
	}
	if err != nil {
		return false, fmt.Errorf("redisstore: swap: %w", err)
	}
	return swapped, nil
}

// Delete sends DEL.
func (s *Store) Delete(ctx context.Context, key string) error {
	ctx, cancel, err := s.withTimeout(ctx)
	if err != nil {
		return fmt.Errorf("redisstore: delete: %w", err)
	}
	defer cancel()
	if err := s.Client.Process(ctx, unrepeated{redis.NewCmd(ctx, "del", s.Prefix+key)}); err != nil {
		return fmt.Errorf("redisstore: delete: %w", err)
	}
	return nil
}

// Keys sends SCAN until the end, on a cluster to each master. It scans the whole database and remembers each yielded
// key, since SCAN may return one twice. It is for operators and start-up, not for each request.
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		servers, err := s.servers(ctx)
		if err != nil {
			yield("", fmt.Errorf("redisstore: keys: %w", err))
			return
		}
		prefix := s.Prefix + prefix
		match := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix) + "*"
		seen := map[string]struct{}{}
		for _, server := range servers {
			for cursor, more := uint64(0), true; more; more = cursor != 0 {
				var page []string
				if page, cursor, err = s.scan(ctx, server, cursor, match); err != nil {
					yield("", fmt.Errorf("redisstore: keys: %w", err))
					return
				}
				for _, key := range page {
					if _, again := seen[key]; again || !strings.HasPrefix(key, prefix) {
						continue
					}
					seen[key] = struct{}{}
					if !yield(key[len(s.Prefix):], nil) {
						return
					}
				}
			}
		}
	}
}

func (s *Store) scan(ctx context.Context, server redis.Cmdable, cursor uint64, match string) ([]string, uint64, error) {
	ctx, cancel, err := s.withTimeout(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer cancel()
	return server.Scan(ctx, cursor, match, 1000).Result()
}

// servers returns the servers that together have all keys.
func (s *Store) servers(ctx context.Context) ([]redis.Cmdable, error) {
	ctx, cancel, err := s.withTimeout(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	var mu sync.Mutex
	var all []redis.Cmdable
	add := func(_ context.Context, c *redis.Client) error { // called concurrently
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
		return nil
	}
	switch c := s.Client.(type) {
	case *redis.ClusterClient:
		err = c.ForEachMaster(ctx, add)
	case *redis.Ring:
		err = c.ForEachShard(ctx, add)
	default:
		all = append(all, c)
	}
	return all, err
}

// withTimeout returns ctx with the timeout of one command.
func (s *Store) withTimeout(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s.Client == nil {
		return nil, nil, errors.New("the Client is nil")
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = 1500 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	return ctx, cancel, nil
}

// script is a Lua script, and the hash by which a server that has run it knows it.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text))
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// runScript runs a script that returns 1 or 0. It sends the hash, and the text only if the server does not know the
// hash.
func (s *Store) runScript(ctx context.Context, sc script, key string, args ...any) (bool, error) {
	n, err := s.evalScript(ctx, "evalsha", sc.sha, key, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		n, err = s.evalScript(ctx, "eval", sc.text, key, args)
	}
	return n == 1, err
}

func (s *Store) evalScript(ctx context.Context, command, script, key string, args []any) (int64, error) {
	cmd := unrepeated{redis.NewCmd(ctx, append([]any{command, script, 1, key}, args...)...)}
	cmd.SetFirstKeyPos(3)
	if err := s.Client.Process(ctx, cmd); err != nil {
		return 0, err
	}
	return cmd.Int64()
}

// unrepeated is a command that the client sends once, even if the answer is lost.
type unrepeated struct{ *redis.Cmd }

// NoRetry stops the client from repeating the command.
func (unrepeated) NoRetry() bool { return true }

// milliseconds rounds up, since a life of 0 means for ever.
func milliseconds(ttl time.Duration) int64 {
	ms := ttl.Milliseconds()
	if ttl%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// notNil returns value, or an empty one for nil.
func notNil(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}
