package main_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// startWithoutStore starts a server with the app shop on a store that cannot be used. The server must serve a token, and
// report once in the log, and in /readyz, why the store is not used.
func startWithoutStore(t *testing.T, wx *wechattest.Server, url, why string, env ...string) *process {
	t.Helper()
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	srv := httptest.NewServer(wx)
	t.Cleanup(srv.Close)
	env = append(env, "WECHAT="+srv.URL, "SHOP_KEY="+shopKey, "SHOP_SECRET=a-secret-of-this-test")
	p := launch(t, env, "-config", write(t, config), "-store", url)
	waitUntil(t, 30*time.Second, "the server listens", func() bool { return p.status("/healthz") == http.StatusOK })
	require.NotEmpty(t, p.shopToken(t))
	require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"))
	require.Contains(t, p.get(t, "/readyz"), why)
	waitUntil(t, 10*time.Second, "the log says why", func() bool { return strings.Contains(p.log.String(), why) })
	require.Equal(t, 1, strings.Count(p.log.String(), "a store cannot be used"), p.log.String())
	require.NotContains(t, p.log.String(), password)
	return p
}

// shopToken reads the token of the app shop.
func (p *process) shopToken(t *testing.T) string {
	t.Helper()
	resp, err := p.token(t.Context())
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	var a struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal(body, &a))
	return a.Token
}

func TestAServerStartsWhileItsStoreIsAway(t *testing.T) {
	t.Parallel()
	nobody := freeAddress(t)
	for name, c := range map[string]struct{ url, why string }{
		"Redis":          {"redis://:" + password + "@" + nobody, "cannot be used: redisstore: get: dial tcp"},
		"Redis over TLS": {"rediss://:" + password + "@" + nobody, "dial tcp"},
		"cluster":        {"redis-cluster://:" + password + "@" + nobody, "dial tcp"},
		"sentinels":      {"redis-sentinel://:" + password + "@" + nobody + "/main/0", "sentinels"},
		"MySQL":          {"mysql://u:" + password + "@" + nobody + "/x", "cannot be used: sqlstore: get: dial tcp"},
		"PostgreSQL":     {"postgres://u:" + password + "@" + nobody + "/x", "cannot be used: sqlstore: get: failed to connect"},
		"Oracle":         {"oracle://u:" + password + "@" + nobody + "/x", "cannot be used: sqlstore: get: dial tcp"},
		"no folder":      {"sqlite:/nonexistent/wetoken.db", "/nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startWithoutStore(t, new(wechattest.Server), c.url, c.why)
			require.Equal(t, 1, strings.Count(p.log.String(), "level=WARN"), p.log.String())
		})
	}
}

// client returns a client of a test's Redis, for commands with arguments.
func (s *service) client(t *testing.T) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.address})
	t.Cleanup(func() { c.Close() })
	return c
}

func TestAStoreThatComesLaterIsUsed(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"plain": nil, "sealed": {"WETOKEN_MASTER_KEYS=" + newKey()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, wx := newRedis(t), new(wechattest.Server)
			s.kill()
			p := startWithoutStore(t, wx, s.url(s.address), "dial tcp", env...)
			token := p.shopToken(t)
			s.start(t)
			waitUntil(t, 20*time.Second, "the server uses the store", func() bool { return strings.Contains(p.log.String(), "the store can be used") })
			require.Equal(t, http.StatusOK, p.status("/readyz"))
			waitUntil(t, 20*time.Second, "the token is in the store", func() bool {
				require.Equal(t, token, p.shopToken(t))
				n, err := s.client(t).Exists(t.Context(), "token/wx0123456789abcdef/stable").Result()
				return err == nil && n == 1
			})
			require.Equal(t, 1, wx.Calls("/cgi-bin/stable_token"))
		})
	}
}

func TestAFolderThatComesLaterIsUsed(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "later")
	p := startWithoutStore(t, new(wechattest.Server), "sqlite:"+filepath.Join(folder, "wetoken.db"), "no such file or directory")
	require.NoError(t, os.Mkdir(folder, 0o700))
	p.ready(t)
	info, err := os.Stat(filepath.Join(folder, "wetoken.db"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestAServerStartsWhileItsStoreTakesNoWrites(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(freeAddress(t))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		refuse, cure []any
		why          string
	}{
		"maxmemory": {[]any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}, "OOM"},
		"READONLY":  {[]any{"REPLICAOF", host, port}, []any{"REPLICAOF", "NO", "ONE"}, "READONLY"},
	} {
		for kind, env := range map[string][]string{"plain": nil, "sealed": {"WETOKEN_MASTER_KEYS=" + newKey()}} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				s := newRedis(t)
				r := s.client(t)
				require.NoError(t, r.Do(t.Context(), c.refuse...).Err())
				p := startWithoutStore(t, new(wechattest.Server), s.url(s.address), "cannot be written: redisstore: swap: "+c.why, env...)
				require.NoError(t, r.Do(t.Context(), c.cure...).Err())
				p.ready(t)
				require.NoError(t, r.Do(t.Context(), c.refuse...).Err())
				require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"), "it takes no writes any more")
				require.NotEmpty(t, p.shopToken(t))
			})
		}
	}
}

func TestAStoreOfOtherMasterKeysThatComesLaterIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"other keys": {"WETOKEN_MASTER_KEYS=" + newKey()}, "no keys": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRedis(t)
			start(t, []string{"WETOKEN_MASTER_KEYS=" + newKey()}, "-demo", "-store", s.url(s.address)).kill()
			before, err := s.client(t).Keys(t.Context(), "*").Result()
			require.NoError(t, err)
			require.Contains(t, before, "ready")
			require.NoError(t, s.execute(t.Context(), "SAVE"))
			s.kill()
			p := startWithoutStore(t, new(wechattest.Server), s.url(s.address), "dial tcp", env...)
			s.start(t)
			waitUntil(t, 20*time.Second, "the server has found out", func() bool { return strings.Contains(p.log.String(), "the configuration does not fit it") })
			require.NotEmpty(t, p.shopToken(t))
			require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"))
			require.Contains(t, p.get(t, "/readyz"), "WETOKEN_MASTER_KEYS")
			keys, err := s.client(t).Keys(t.Context(), "*").Result()
			require.NoError(t, err)
			require.Subset(t, before, keys, "nothing is added")
			require.Contains(t, keys, "ready")
		})
	}
}
