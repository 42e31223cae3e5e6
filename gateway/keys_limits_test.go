package gateway_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

func TestKeysOfTheFileHaveLimitsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := gateway.ParseConfig([]byte(`{"audit_days":30,"trusted_proxies":["10.0.0.0/8"],"apps":{"shop":{"app_id":"` + shopID + `","secret":"` + secret + `"}},"keys":[
			{"name":"a","key":"a-key-of-this-test-1","apps":["shop","platform:x"],"scopes":["token"],"expires_at":"2000-01-01T01:00:00Z","addresses":["192.0.2.0/24","2001:db8::1"],"rate":2}]}`))
		require.NoError(t, err)
		g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), func(o *gateway.Options) { o.Config = c })
		h := g.Private()
		from := func(address, forwarded string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", "/app/shop/token", nil)
			r.Header.Set("Authorization", "Bearer a-key-of-this-test-1")
			r.RemoteAddr = address
			if forwarded != "" {
				r.Header.Set("X-Forwarded-For", forwarded)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			advance(time.Second)
			return w
		}
		for _, c := range []struct {
			address, forwarded string
			status             int
		}{
			{"192.0.2.7:1", "", 200}, {"[2001:db8::1]:1", "", 200}, {"[::ffff:192.0.2.7]:1", "", 200},
			{"10.0.0.1:1", "192.0.2.7", 200}, {"10.0.0.1:1", "203.0.113.7, 192.0.2.7, 10.0.0.2", 200},
			{"10.0.0.1:1", "", 403}, {"10.0.0.1:1", "192.0.2.7, 203.0.113.7", 403}, {"203.0.113.7:1", "192.0.2.7", 403}, {"[2001:db8::2]:1", "", 403}, {"@", "", 403},
		} {
			w := from(c.address, c.forwarded)
			require.Equal(t, c.status, w.Code, "%v %s", c, w.Body)
			if c.status == 403 {
				require.Contains(t, w.Body.String(), "must not be used from this address")
			}
		}

		statuses := make(map[int]int)
		var after string
		for range 9 {
			r := httptest.NewRequest("GET", "/app/shop/token", nil)
			r.Header.Set("Authorization", "Bearer a-key-of-this-test-1")
			r.RemoteAddr = "192.0.2.7:1"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			statuses[w.Code]++
			after = w.Header().Get("Retry-After")
		}
		require.Equal(t, map[int]int{200: 4, 429: 5}, statuses, "twice the rate at once")
		require.Equal(t, "1", after)
		advance(time.Second)
		require.Equal(t, 200, from("192.0.2.7:1", "").Code)

		advance(time.Hour)
		w := from("192.0.2.7:1", "")
		require.Equal(t, 401, w.Code)
		require.Contains(t, w.Body.String(), "expired caller key")
		require.Contains(t, w.Header().Get("WWW-Authenticate"), "invalid_token")
	})
}

func TestTheUseOfAKeyIsRecordedAtTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &countedStore{Store: new(store.Memory)}
		g := openGateway(t, records, newWeChat(), func(o *gateway.Options) { o.Store = new(store.Memory) })
		key := createKey(t, g, shopKey())
		r, err := g.Keys().Get(t.Context(), "backend")
		require.NoError(t, err)
		require.True(t, r.UsedAt.IsZero())
		records.sets.Store(0)
		begun := time.Now()
		for range 61 * 12 {
			require.Equal(t, 200, readToken(t, g, "shop", key))
			advance(5 * time.Second)
		}
		synctest.Wait()
		require.Equal(t, int64(7), records.sets.Load(), "in 61 minutes")
		r, err = g.Keys().Get(t.Context(), "backend")
		require.NoError(t, err)
		require.Equal(t, begun.Add(time.Hour).Unix(), r.UsedAt.Unix())
		list, next, err := g.Keys().Page(t.Context(), "", 10)
		require.NoError(t, err)
		require.Empty(t, next)
		require.Equal(t, []gateway.RegisteredKey{r}, list)
	})
}

// countedStore is a sealed store that counts its calls.
type countedStore struct {
	store.Store
	gets, sets atomic.Int64
	away       atomic.Bool
}

func (s *countedStore) Sealed() bool { return true }

func (s *countedStore) Get(ctx context.Context, key string) ([]byte, bool, error) {
	s.gets.Add(1)
	if s.away.Load() {
		return nil, false, fmt.Errorf("connection refused")
	}
	return s.Store.Get(ctx, key)
}

func (s *countedStore) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.sets.Add(1)
	if s.away.Load() {
		return fmt.Errorf("connection refused")
	}
	return s.Store.Set(ctx, key, value, ttl)
}

func (s *countedStore) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	s.sets.Add(1)
	if s.away.Load() {
		return false, fmt.Errorf("connection refused")
	}
	return s.Store.Swap(ctx, key, old, new, ttl)
}

func TestGuessesOfKeysCostLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &countedStore{Store: new(store.Memory)}
		g := openGateway(t, records, newWeChat(), func(o *gateway.Options) { o.Store = new(store.Memory) })
		key, cold := createKey(t, g, shopKey()), createKey(t, g, shopKey(func(k *gateway.Key) { k.Name = "cold" }))
		h := g.Private()
		serve := func(h http.Handler, path, key, from string) int {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Authorization", "Bearer "+key)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		require.Equal(t, 200, serve(h, "/app/shop/token", key, "192.0.2.1:1"))
		synctest.Wait()
		records.gets.Store(0)
		records.sets.Store(0)
		guess := func(n int) string { // of the form of a key
			d := sha256.Sum256(fmt.Append(nil, n))
			id := strings.NewReplacer("0", "g", "1", "h", "8", "i", "9", "j").Replace(hex.EncodeToString(d[:8]))
			return "wetoken_" + id + "_" + strings.Repeat("A", 26)
		}
		for n := range 10_000 {
			require.Contains(t, []int{401, 503}, serve(h, "/app/shop/token", guess(n), "192.0.2.7:1"))
			require.Equal(t, 401, serve(h, "/app/shop/token", key[:24]+guess(n)[24:], "192.0.2.7:1"))
			require.Equal(t, 401, serve(h, "/app/shop/token", fmt.Sprint("a-guess-of-any-form-", n), "192.0.2.7:1"))
		}
		require.LessOrEqual(t, records.gets.Load(), int64(20+1), "of one address in a second, and one of the changes")
		require.Equal(t, 200, serve(h, "/app/shop/token", key, "192.0.2.7:1"), "a key that is held")
		require.Equal(t, 200, serve(h, "/app/shop/token", cold, "192.0.2.1:1"), "a key that is read first, from another address")
		before := records.gets.Load()
		for n := range 10_000 {
			serve(h, "/app/shop/token", guess(n), fmt.Sprintf("192.0.%d.%d:1", n%10, n%250))
		}
		require.LessOrEqual(t, records.gets.Load()-before, int64(100), "of all addresses in a second")

		// One guess is remembered, and strangers on the public side cause no read at all.
		advance(time.Minute)
		serve(h, "/app/shop/token", key, "192.0.2.7:1")
		before = records.gets.Load()
		for range 100 {
			require.Equal(t, 401, serve(h, "/app/shop/token", guess(-1), "192.0.2.8:1"))
		}
		require.Equal(t, int64(1), records.gets.Load()-before)
		before = records.gets.Load()
		for n := range 1000 {
			require.Equal(t, 404, serve(g.Public(), "/app/shop/token", guess(-n-10), "192.0.2.9:1"))
		}
		require.Equal(t, before, records.gets.Load())

		// Nor do guesses fill the records.
		synctest.Wait()
		require.LessOrEqual(t, records.sets.Load(), int64(15))
		list, _, err := g.Audits().Page(t.Context(), gateway.AuditFilter{}, "", 1000)
		require.NoError(t, err)
		require.NotEmpty(t, list)
		require.LessOrEqual(t, len(list), 2*10+2, "10 in each of two minutes, and two keys made")
		for _, e := range list {
			require.NotContains(t, fmt.Sprint(e), strings.Repeat("A", 26))
		}
	})
}

func TestWithoutRecordsHeldKeysAreServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &countedStore{Store: new(store.Memory)}
		g := openGateway(t, records, newWeChat(), func(o *gateway.Options) { o.Store = new(store.Memory) })
		held := createKey(t, g, shopKey())
		unread := createKey(t, g, shopKey(func(k *gateway.Key) { k.Name = "unread" }))
		require.Equal(t, 200, readToken(t, g, "shop", held))
		records.away.Store(true)
		advance(time.Hour)
		require.Equal(t, 200, readToken(t, g, "shop", held))
		require.Equal(t, 200, readToken(t, g, "shop", readKey))
		require.Equal(t, 503, readToken(t, g, "shop", unread))
		require.Equal(t, 401, readToken(t, g, "shop", "a-key-of-another-form"))
		_, err := g.Keys().Rotate(t.Context(), "backend", 0)
		require.ErrorContains(t, err, "connection refused")
		records.away.Store(false)
		require.Equal(t, 200, readToken(t, g, "shop", unread))
	})
}

// A handler beside the gateway's own, such as that of an old system, refuses a key like the gateway, and with its status.
func TestAHandlerBesideKnowsWhyAKeyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := &countedStore{Store: new(store.Memory)}
		g := openGateway(t, records, newWeChat(), func(o *gateway.Options) {
			o.Store = new(store.Memory)
			o.PrivateFallback = []func(*gateway.Gateway) http.Handler{func(g *gateway.Gateway) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c, err := g.Caller(r, r.URL.Query().Get("key"))
					var refused *gateway.CallerError
					if errors.As(err, &refused) {
						w.WriteHeader(refused.Status)
						return
					}
					a, err := g.ServedApp(r.Context(), r.URL.Query().Get("app"), "/token")
					if err != nil || !c.Allows(a, "token") {
						w.WriteHeader(http.StatusForbidden)
					}
				})
			}}
		})
		ask := func(key, app, from string) int {
			r := httptest.NewRequest("GET", "/old?app="+app+"&key="+key, nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			g.Private().ServeHTTP(w, r)
			return w.Code
		}
		key := createKey(t, g, shopKey(func(k *gateway.Key) {
			k.Addresses, k.Rate, k.Apps = []string{"192.0.2.0/24"}, 1, []string{"shop", "later"}
		}))
		cold := createKey(t, g, shopKey(func(k *gateway.Key) { k.Name = "cold" }))
		require.Equal(t, 200, ask(key, shopID, "192.0.2.7:1"))
		require.Equal(t, 403, ask(key, shopID, "203.0.113.7:1"))
		require.Equal(t, 401, ask(key+"x", shopID, "192.0.2.7:1"))
		_, err := g.Apps().Put(t.Context(), "later", gateway.App{ID: "custom", AppID: laterID, Secret: laterSecret}, "")
		require.NoError(t, err)
		require.Equal(t, 200, ask(key, laterID, "192.0.2.7:1"), "registered with a name that the key had")
		require.Equal(t, 429, ask(key, shopID, "192.0.2.7:1"))
		records.away.Store(true)
		require.Equal(t, 503, ask(cold, shopID, "192.0.2.7:1"))
	})
}
