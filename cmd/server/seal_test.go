package main_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/redisstore"
	"github.com/wetoken/wetoken/store/sqlstore"
)

func newKey() string {
	key := make([]byte, 32)
	rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

func TestMasterKeysThatDoNotFitAreOneLineAndExitCode2(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sealed.db")
	old, other := newKey(), newKey()
	sealed := func(keys string) []string { return []string{"WETOKEN_MASTER_KEYS=" + keys} }
	for name, keys := range map[string]string{"no base64": "<" + password + ">", "too short": base64.StdEncoding.EncodeToString([]byte(password)), "empty": "", "an empty one": old + ","} {
		t.Run(name, func(t *testing.T) {
			line := refused(t, sealed(keys), "-demo")
			require.Contains(t, line, "WETOKEN_MASTER_KEYS: store: parse keys: key ")
			require.NotContains(t, line, old)
		})
	}
	start(t, sealed(old), "-demo", "-store", "sqlite:"+file).kill()
	require.Contains(t, refused(t, sealed(other), "-demo", "-store", "sqlite:"+file), "store: WETOKEN_MASTER_KEYS does not fit")
	require.Contains(t, refused(t, nil, "-demo", "-store", "sqlite:"+file), "store: its values are sealed, and WETOKEN_MASTER_KEYS is not set")
	start(t, sealed(other+","+old), "-demo", "-store", "sqlite:"+file).kill()

	plain := filepath.Join(t.TempDir(), "plain.db")
	start(t, nil, "-demo", "-store", "sqlite:"+plain).kill()
	require.Contains(t, refused(t, sealed(old), "-demo", "-store", "sqlite:"+plain), "run server seal -plaintext")
	require.Contains(t, refused(t, sealed(old), "seal", "-store", "sqlite:"+plain), "not sealed")
	_, stderr, code := execute(t, sealed(old), "seal", "-plaintext", "-store", "sqlite:"+plain)
	require.Zero(t, code, stderr)
	start(t, sealed(old), "-demo", "-store", "sqlite:"+plain)
}

func TestReadyzReportsMasterKeysThatNoLongerFit(t *testing.T) {
	t.Parallel()
	s := newRedis(t)
	p := start(t, []string{"WETOKEN_MASTER_KEYS=" + newKey()}, "-demo", "-store", s.url(s.address))
	s.kill()
	s.start(t) // empty
	start(t, []string{"WETOKEN_MASTER_KEYS=" + newKey()}, "-demo", "-store", s.url(s.address))
	require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"))
	require.Contains(t, p.get(t, "/readyz"), "sealed with a key that is not in KeyRing")
}

func TestASealedStoreHoldsNoSecretAndNoToken(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"plain": nil, "sealed": {"WETOKEN_MASTER_KEYS=" + newKey()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared := newRedis(t)
			dir := t.TempDir()
			apps := map[string]time.Duration{"app": 0}
			c := startCluster(t, same(shared.url(shared.address)), apps, "records: sqlite:"+filepath.Join(dir, "records.db"), env...)
			token := c.readAtOnce(t, "app", time.Millisecond)
			token.requireAllServed(t)
			onFile := startCluster(t, same("sqlite:"+filepath.Join(dir, "store.db")), apps, "", env...)
			token2 := onFile.readAtOnce(t, "app", time.Millisecond)
			token2.requireAllServed(t)

			require.NoError(t, shared.execute(t.Context(), "SAVE"))
			dump := []string{filepath.Join(shared.dir, "dump.rdb")}
			files, err := filepath.Glob(filepath.Join(dir, "*.db*"))
			require.NoError(t, err)
			require.Greater(t, len(files), 2, "the files and their logs")
			require.Equal(t, env == nil, holds(t, only(token.tokens), dump...), "the token, in Redis")
			require.Equal(t, env == nil, holds(t, only(token2.tokens), files...), "the token, in the files")
			for _, secret := range []string{secretOf("app"), shopKey} {
				require.False(t, holds(t, secret, append(files, dump...)...))
			}
		})
	}
}

func only(tokens map[string]int) string {
	for token := range tokens {
		return token
	}
	return ""
}

func TestSealGoesOverToTheCurrentKeyWhileServersWrite(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (string, store.Store){
		"Redis": func(t *testing.T) (string, store.Store) {
			s := newRedis(t)
			opened, err := redisstore.Open(s.url(s.address))
			require.NoError(t, err)
			t.Cleanup(func() { opened.Client.Close() })
			return s.url(s.address), opened
		},
		"SQLite": func(t *testing.T) (string, store.Store) {
			file := filepath.Join(t.TempDir(), "wetoken.db")
			s := &sqlstore.Store{DB: openFile(t, file), Dialect: sqlstore.SQLite}
			require.NoError(t, s.Migrate(t.Context()))
			return "sqlite:" + file, s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, raw := open(t)
			old, current := newKey(), newKey()
			ring, err := store.ParseKeys(old)
			require.NoError(t, err)
			before := &store.Sealed{Store: raw, KeyRing: ring}
			const n, life = 500, 10 * time.Second
			begun := time.Now()
			for i := range n {
				ttl := time.Duration(0)
				if i%2 == 1 {
					ttl = life
				}
				require.NoError(t, before.Set(t.Context(), fmt.Sprintf("test/%d", i), fmt.Appendf(nil, "value %d", i), ttl))
			}
			written := time.Now()

			apps := appsWithLife("short", 5, 8*time.Second)
			c := startCluster(t, same(url), apps, "", "WETOKEN_MASTER_KEYS="+old+","+current) // half way: all read both
			var stops []func()
			var all []*tally
			for app := range apps {
				y, stop := c.startReaders(t, app, 50*time.Millisecond)
				all, stops = append(all, y), append(stops, stop)
			}
			for round := range 3 {
				waitUntil(t, 20*time.Second, "all apps have been read since", func() bool {
					return !slices.ContainsFunc(all, func(y *tally) bool { return y.reads() <= round })
				})
				stdout, stderr, code := execute(t, []string{"WETOKEN_MASTER_KEYS=" + current + "," + old}, "seal", "-store", url)
				require.Zero(t, code, stderr)
				t.Log(strings.TrimSpace(stdout))
			}
			for i, stop := range stops {
				stop()
				all[i].requireAllServed(t)
			}
			for _, i := range c.alive() { // which seal with the old one
				c.kill(i)
			}
			_, stderr, code := execute(t, []string{"WETOKEN_MASTER_KEYS=" + current + "," + old}, "seal", "-store", url)
			require.Zero(t, code, stderr)

			ring, err = store.ParseKeys(current)
			require.NoError(t, err)
			after := &store.Sealed{Store: raw, KeyRing: ring}
			for i := range n {
				value, ok, err := after.Get(t.Context(), fmt.Sprintf("test/%d", i))
				require.NoError(t, err)
				if i%2 == 0 || time.Since(begun) < life-time.Second {
					require.True(t, ok, i)
					require.Equal(t, fmt.Sprintf("value %d", i), string(value))
				}
			}
			start(t, []string{"WETOKEN_MASTER_KEYS=" + current}, "-demo", "-store", url)
			waitUntil(t, life, "what had a life is gone", func() bool {
				_, ok, err := after.Get(t.Context(), fmt.Sprintf("test/%d", n-1))
				return err == nil && !ok
			})
			require.InDelta(t, life.Seconds(), time.Since(written).Seconds(), slack.Seconds(), "its life was changed")
		})
	}
}
