package main_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/sqlstore"
	"github.com/wetoken/wetoken/wechattest"
)

// sealedShop starts a server with master keys that has written a token to a Redis.
func sealedShop(t *testing.T) (s *service, r *redis.Client, p *process) {
	t.Helper()
	s = newRedis(t)
	r = s.client(t)
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "a-secret-of-this-test")
	p = serveConfig(t, wx, "-store", s.url(s.address))
	require.NotEmpty(t, p.shopToken(t))
	return s, r, p
}

func TestAMarkThatSomebodyElseWritesStopsNoServer(t *testing.T) {
	keys := newKey()
	t.Setenv("WETOKEN_MASTER_KEYS", keys)
	s, r, p := sealedShop(t)
	sealed, err := r.Get(t.Context(), "ready").Bytes()
	require.NoError(t, err)
	told := func(p *process) int { return strings.Count(p.log.String(), "written without the master keys") }
	forgeries := map[string]string{"plaintext": "ok", "other plaintext": "x", "empty": "", "changed": string(append(sealed[:len(sealed)-1], sealed[len(sealed)-1]^1)), "sealed with another key": sealedByOthers("ready")}
	for name, planted := range forgeries {
		before := told(p)
		require.NoError(t, r.Set(t.Context(), "ready", planted, 0).Err())
		require.Equal(t, http.StatusOK, p.status("/readyz"), name)
		waitUntil(t, 10*time.Second, "it is said to be so", func() bool { return told(p) > before })
		require.Equal(t, http.StatusOK, p.status("/readyz"), name)

		require.NoError(t, r.Set(t.Context(), "ready", planted, 0).Err())
		second := start(t, nil, "-demo", "-store", s.url(s.address))
		waitUntil(t, 10*time.Second, "it is said to be so", func() bool { return told(second) == 1 })
		second.kill()
	}
	require.Equal(t, len(forgeries), told(p), "the mark is restored each time")
	require.NoError(t, r.Set(t.Context(), "ready", "ok", 0).Err())
	require.Contains(t, refused(t, []string{"WETOKEN_MASTER_KEYS=" + newKey()}, "-demo", "-store", s.url(s.address)), "WETOKEN_MASTER_KEYS does not fit")
}

// sealedByOthers returns a value that is sealed with an unknown key.
func sealedByOthers(key string) string {
	m := new(store.Memory)
	ring := store.KeyRing{make([]byte, 32)}
	if err := (&store.Sealed{Store: m, KeyRing: ring}).Set(context.Background(), key, []byte("ok"), 0); err != nil {
		panic(err)
	}
	raw, _, _ := m.Get(context.Background(), key)
	return string(raw)
}

func TestAServerWithOtherKeysIsRefusedThoughTheMarkIsGone(t *testing.T) {
	t.Setenv("WETOKEN_MASTER_KEYS", newKey())
	s, r, p := sealedShop(t)
	require.NoError(t, r.Del(t.Context(), "ready").Err())
	other := []string{"WETOKEN_MASTER_KEYS=" + newKey()}
	require.Contains(t, refused(t, other, "-demo", "-store", s.url(s.address)), "WETOKEN_MASTER_KEYS does not fit")
	require.Equal(t, http.StatusOK, p.status("/readyz"))
}

func TestAMarkOfAnotherKeyIsBelievedWhereOtherValuesHaveThatKeyToo(t *testing.T) {
	t.Setenv("WETOKEN_MASTER_KEYS", newKey())
	s, r, p := sealedShop(t)
	for _, key := range []string{"token/wxother/stable", "ready"} {
		require.NoError(t, r.Set(t.Context(), key, sealedByOthers(key), 0).Err())
	}
	require.Contains(t, refused(t, nil, "-demo", "-store", s.url(s.address)), "WETOKEN_MASTER_KEYS does not fit")
	require.Equal(t, http.StatusServiceUnavailable, p.status("/readyz"))
	require.Contains(t, p.get(t, "/readyz"), "WETOKEN_MASTER_KEYS does not fit")
}

func TestAValueThatSomebodyElseWritesIsSaidToBeSo(t *testing.T) {
	t.Setenv("WETOKEN_MASTER_KEYS", newKey())
	s, r, _ := sealedShop(t)
	require.NoError(t, r.Set(t.Context(), "token/wxplanted/stable", "{}", 0).Err())
	require.Contains(t, refused(t, nil, "seal", "-store", s.url(s.address)), "somebody without them has put it there")
	raw, err := r.Get(t.Context(), "token/wxplanted/stable").Result()
	require.NoError(t, err)
	require.Equal(t, "{}", raw)
}

func TestSealAdoptsNoPlaintextBesideSealedValuesUnlessTold(t *testing.T) {
	t.Setenv("WETOKEN_MASTER_KEYS", newKey())
	s, r, p := sealedShop(t)
	p.kill()
	for _, key := range []string{"token/wxplanted/stable", "ready"} {
		require.NoError(t, r.Set(t.Context(), key, "ok", 0).Err())
	}
	stdout, stderr, code := execute(t, nil, "seal", "-plaintext", "-store", s.url(s.address))
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "nothing was sealed: 1 values are sealed already")
	require.Contains(t, stderr, "-mixed")
	require.Contains(t, stdout, "store: not sealed: \"token/wxplanted/stable\"\n")
	require.Contains(t, stdout, "store: not sealed: \"ready\"\n")
	require.Equal(t, 2, strings.Count(stdout, "\n"), stdout)
	raw, err := r.Get(t.Context(), "token/wxplanted/stable").Result()
	require.NoError(t, err)
	require.Equal(t, "ok", raw, "nothing was adopted")

	require.Contains(t, refused(t, nil, "seal", "-mixed", "-store", s.url(s.address)), "-mixed is for the command seal with -plaintext")
	stdout, stderr, code = execute(t, nil, "seal", "-plaintext", "-mixed", "-store", s.url(s.address))
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "store: not sealed: \"token/wxplanted/stable\"\n")
	require.Contains(t, stdout, "2 values sealed")
	start(t, nil, "-demo", "-store", s.url(s.address))
}

func TestSealListsTheValuesThatItAdopts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain.db")
	start(t, nil, "-demo", "-store", "sqlite:"+file).kill()
	s := &sqlstore.Store{DB: openFile(t, file), Dialect: sqlstore.SQLite}
	require.NoError(t, s.Set(t.Context(), "odd\x1b[2Jkey", []byte("x"), 0))
	t.Setenv("WETOKEN_MASTER_KEYS", newKey())
	line := refused(t, nil, "-demo", "-store", "sqlite:"+file)
	require.Contains(t, line, "run server seal -plaintext")
	require.Contains(t, line, "they have been replaced")
	stdout, stderr, code := execute(t, nil, "seal", "-plaintext", "-store", "sqlite:"+file)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, `store: not sealed: "ready"`)
	require.Contains(t, stdout, `store: not sealed: "odd\x1b[2Jkey"`)
	require.NotContains(t, stdout, "\x1b")
	start(t, nil, "-demo", "-store", "sqlite:"+file)
}
