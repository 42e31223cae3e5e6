package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// shopKey returns the settings of a key that may read tokens of the app shop.
func shopKey(change ...func(*gateway.Key)) gateway.Key {
	k := gateway.Key{Name: "backend", Apps: []string{"shop"}, Scopes: []string{"token"}}
	for _, f := range change {
		f(&k)
	}
	return k
}

func createKey(t *testing.T, g *gateway.Gateway, k gateway.Key) string {
	t.Helper()
	key, err := g.Keys().Create(t.Context(), k)
	require.NoError(t, err)
	return key
}

// readToken returns the status of the token route of an app for a key.
func readToken(t *testing.T, g *gateway.Gateway, app, key string) int {
	t.Helper()
	status, a := serveDirectly(t, g.Private(), "GET", "/app/"+app+"/token", key, "")
	require.NotContains(t, a.Msg, key)
	return status
}

func TestARegisteredKeyIsShownOnce(t *testing.T) {
	raw := new(store.Memory)
	var log bytes.Buffer
	g := openGateway(t, newSealed(t, raw), newWeChat(), func(o *gateway.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	key := createKey(t, g, shopKey())
	require.True(t, strings.HasPrefix(key, "wetoken_"))
	require.Len(t, key, 51)
	require.Equal(t, 200, readToken(t, g, "shop", key))
	require.Equal(t, 403, readToken(t, g, "corp", key))
	for _, wrong := range []string{key + "a", key[:len(key)-1] + "!", key[:50], "wetoken_" + strings.Repeat("a", 43)} {
		require.Equal(t, 401, readToken(t, g, "shop", wrong), wrong)
	}
	other := createKey(t, g, shopKey(func(k *gateway.Key) { k.Name = "other" }))
	require.NotEqual(t, key[:24], other[:24], "its id")
	r, err := g.Keys().Get(t.Context(), "backend")
	require.NoError(t, err)
	require.Equal(t, key[8:24], r.ID)
	require.Equal(t, shopKey(), r.Settings)
	digest := sha256.Sum256([]byte(key))
	for _, hidden := range []string{key, key[25:]} {
		require.NotContains(t, fmt.Sprintf("%+v %#v", r, r), hidden)
		require.NotContains(t, log.String(), hidden)
		for stored, err := range raw.Keys(t.Context(), "") {
			require.NoError(t, err)
			require.NotContains(t, stored, hidden)
			require.NotContains(t, stored, hex.EncodeToString(digest[:]))
			value, _, err := newSealed(t, raw).Get(t.Context(), stored)
			require.NoError(t, err)
			require.NotContains(t, string(value), hidden)
		}
	}
	_, err = g.Keys().Create(t.Context(), shopKey())
	require.ErrorIs(t, err, gateway.ErrTaken)
	_, err = g.Keys().Get(t.Context(), "nobody")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
	names := make(map[string]bool)
	for r, err := range g.Keys().All(t.Context()) {
		require.NoError(t, err)
		require.Empty(t, r.Settings.Key)
		names[r.Settings.Name] = r.InFile
	}
	require.Equal(t, map[string]bool{"all": true, "read": true, "news": true, "backend": false, "other": false}, names)

	require.NoError(t, g.Keys().Delete(t.Context(), "backend"))
	require.Equal(t, 401, readToken(t, g, "shop", key))
	require.ErrorIs(t, g.Keys().Delete(t.Context(), "backend"), gateway.ErrNotRegistered)
	again := createKey(t, g, shopKey())
	require.Equal(t, 200, readToken(t, g, "shop", again))
	require.Equal(t, 401, readToken(t, g, "shop", key), "a key that was revoked stays so")
}

func TestSettingsOfKeysAreCheckedAsThoseOfTheFile(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat())
	for says, change := range map[string]func(*gateway.Key){
		"key: must be unset":             func(k *gateway.Key) { k.Key = "a-key-of-this-test-to-plant" },
		"name: want":                     func(k *gateway.Key) { k.Name = "a/b" },
		"name: want 1 to 64":             func(k *gateway.Key) { k.Name = "" },
		"apps: must name":                func(k *gateway.Key) { k.Apps = nil },
		"apps[0]: invalid name":          func(k *gateway.Key) { k.Apps = []string{shopID} },
		"apps[1]: invalid name":          func(k *gateway.Key) { k.Apps = []string{"shop", "platform:a/b"} },
		"scopes: must name":              func(k *gateway.Key) { k.Scopes = nil },
		"scopes[0]: unknown scope":       func(k *gateway.Key) { k.Scopes = []string{"root"} },
		"expires_at: has passed":         func(k *gateway.Key) { k.ExpiresAt = time.Now().Add(-time.Second) },
		"addresses[1]: want":             func(k *gateway.Key) { k.Addresses = []string{"10.0.0.0/8", "here"} },
		"addresses[0]: want an address":  func(k *gateway.Key) { k.Addresses = []string{"10.0.0.0/33"} },
		"addresses[0]: is IPv4 written":  func(k *gateway.Key) { k.Addresses = []string{"::ffff:10.0.0.1"} },
		"rate: want":                     func(k *gateway.Key) { k.Rate = -1 },
		"rate: want 1 to 1000000 reques": func(k *gateway.Key) { k.Rate = 1_000_001 },
		"paths: must be set":             func(k *gateway.Key) { k.Scopes = []string{"pay-api"} },
		"paths: needs the scope":         func(k *gateway.Key) { k.Paths = []string{"/v3/certificates"} },
		"max_fen: want 0":                func(k *gateway.Key) { k.MaxFen = -1 },
		"day_fen: want 0":                func(k *gateway.Key) { k.DayFen = -1 },
	} {
		k := shopKey(change)
		_, err := g.Keys().Create(t.Context(), k)
		var wrong *gateway.SettingError
		require.ErrorAs(t, err, &wrong, says)
		require.ErrorContains(t, err, says)

		c := config()
		if k.Key == "" && !strings.Contains(says, "passed") && !strings.HasPrefix(says, "name: want") && !strings.HasPrefix(says, "apps[") {
			k.Key = "a-key-of-this-test-in-the-file"
			c.Keys = append(c.Keys, k)
			require.ErrorContains(t, c.Check(), "keys[3]."+says)
		}
	}
	_, err := g.Keys().Create(t.Context(), shopKey(func(k *gateway.Key) { k.Name = "read" }))
	require.ErrorIs(t, err, gateway.ErrInFile)
	require.ErrorIs(t, g.Keys().Delete(t.Context(), "read"), gateway.ErrInFile)
	_, err = g.Keys().Rotate(t.Context(), "read", 0)
	require.ErrorIs(t, err, gateway.ErrInFile)
	_, err = openGateway(t, new(store.Memory), newWeChat()).Keys().Create(t.Context(), shopKey())
	require.ErrorIs(t, err, gateway.ErrUnsealed)
}

// Two processes see each other's changes, whether they run or only serve.
func TestAKeyChangeIsSeenByAnotherProcessWithinTwoSeconds(t *testing.T) {
	for _, runs := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			records := newSealed(t, new(store.Memory))
			one, two := openGateway(t, records, newWeChat()), openGateway(t, records, newWeChat())
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			if runs {
				go func() { ended <- two.Run(ctx) }()
			}
			see := func(want int, key, says string) {
				t.Helper()
				advance(2 * time.Second)
				require.Equal(t, want, readToken(t, two, "shop", key), says)
			}
			see(200, readKey, "the file")
			first := createKey(t, one, shopKey(func(k *gateway.Key) { k.ExpiresAt = time.Now().Add(24 * time.Hour) }))
			see(200, first, "created")
			second, err := one.Keys().Rotate(t.Context(), "backend", time.Hour)
			require.NoError(t, err)
			see(200, first, "in the overlap")
			see(200, second, "rotated")
			r, err := two.Keys().Get(t.Context(), "backend")
			require.NoError(t, err)
			require.WithinDuration(t, time.Now().Add(time.Hour), r.PreviousUntil, 10*time.Second)
			advance(time.Hour)
			see(401, first, "after the overlap")
			see(200, second, "after the overlap")

			third, err := one.Keys().Rotate(t.Context(), "backend", 2*time.Hour)
			require.NoError(t, err)
			fourth, err := one.Keys().Rotate(t.Context(), "backend", 0)
			require.NoError(t, err)
			see(401, second, "its overlap was cut short")
			see(401, third, "no overlap")
			see(200, fourth, "the present one")
			for range 8 {
				if _, err = one.Keys().Rotate(t.Context(), "backend", time.Hour); err != nil {
					break
				}
			}
			require.ErrorContains(t, err, "8 earlier keys")
			for _, overlap := range []time.Duration{-1, 30*24*time.Hour + 1} {
				_, err = one.Keys().Rotate(t.Context(), "backend", overlap)
				require.ErrorContains(t, err, "overlap: want 0s to 720h")
			}
			last, err := one.Keys().Rotate(t.Context(), "backend", 0)
			require.NoError(t, err)
			see(200, last, "the last one")
			require.NoError(t, one.Keys().Delete(t.Context(), "backend"))
			see(401, last, "revoked")

			short := createKey(t, one, shopKey(func(k *gateway.Key) { k.ExpiresAt = time.Now().Add(time.Minute) }))
			see(200, short, "before its end")
			advance(time.Minute)
			see(401, short, "after its end")
			_, err = one.Keys().Rotate(t.Context(), "backend", 0)
			require.ErrorContains(t, err, "expires_at: has passed")
			renewed := createKey(t, one, shopKey())
			see(200, renewed, "the name is free again")
			cancel()
			if runs {
				require.ErrorIs(t, <-ended, context.Canceled)
			}
		})
	}
}

func TestTwoCreationsOfANameMakeOneKey(t *testing.T) {
	records := newSealed(t, new(store.Memory))
	var all sync.WaitGroup
	var made, taken atomic.Int64
	for range 8 {
		g := openGateway(t, records, newWeChat())
		all.Go(func() {
			switch key, err := g.Keys().Create(t.Context(), shopKey()); {
			case err == nil:
				made.Add(1)
				require.Equal(t, 200, readToken(t, g, "shop", key))
			default:
				require.ErrorIs(t, err, gateway.ErrTaken)
				taken.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, []int64{1, 7}, []int64{made.Load(), taken.Load()})
}

func TestAKeyKeepsItsAppsWhenTheyAreRenamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := newWeChat()
		wx.AddApp(laterID, laterSecret)
		g := openGateway(t, newSealed(t, new(store.Memory)), wx)
		put := func(name string, app gateway.App) {
			app.AppID, app.Secret = laterID, laterSecret
			_, err := g.Apps().Put(t.Context(), name, app, "")
			require.NoError(t, err)
		}
		put("later", gateway.App{ID: "custom"})
		key := createKey(t, g, shopKey(func(k *gateway.Key) { k.Apps = []string{"later", "unborn", "platform:p"} }))
		require.Equal(t, 200, readToken(t, g, "later", key))
		require.Equal(t, 404, readToken(t, g, "unborn", key))
		put("unborn", gateway.App{ID: "born"})
		put("other", gateway.App{})
		advance(2 * time.Second)
		require.Equal(t, 200, readToken(t, g, "unborn", key), "it was registered with the name later")
		require.Equal(t, 403, readToken(t, g, "other", key))
		_, err := g.Apps().Rename(t.Context(), "later", "renamed", "")
		require.NoError(t, err)
		require.Equal(t, 200, readToken(t, g, "renamed", key))
		advance(31 * 24 * time.Hour)
		put("later", gateway.App{ID: "another"})
		require.Equal(t, 403, readToken(t, g, "later", key), "another app has the name now")
		require.Equal(t, 200, readToken(t, g, "renamed", key))
	})
}

func TestARegisteredKeyIsFoundWithoutAllocations(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat())
	key := createKey(t, g, shopKey(func(k *gateway.Key) { k.Addresses, k.Rate = []string{"192.0.2.0/24"}, 1_000_000 }))
	for _, key := range []string{readKey, key} {
		r := httptest.NewRequest("GET", "/app/shop/token", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		find := gateway.Authenticator(g, r)
		require.NoError(t, find())
		require.Zero(t, testing.AllocsPerRun(1000, func() { _ = find() }))
	}
}

// Records of this form stay readable for later releases.
func TestTheFormOfAStoredKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := newSealed(t, new(store.Memory))
		g := openGateway(t, records, newWeChat())
		const id, name = "nr5mfcruava4pc5n", "backend"
		key, old := "wetoken_"+gateway.IDOfKey(name)+"_AAAAAAAAAAAAAAAAAAAAAAAAAA", "wetoken_"+gateway.IDOfKey(name)+"_BBBBBBBBBBBBBBBBBBBBBBBBBB"
		require.NoError(t, records.Set(t.Context(), "registry/key/"+gateway.IDOfKey(name), []byte(`{"id":"`+gateway.IDOfKey(name)+`","name":"backend","revision":"r","settings":{
			"settings":{"name":"backend","apps":["shop","unborn"],"scopes":["token"],"rate":5,"addresses":["192.0.2.0/24"],"expires_at":"2000-01-02T00:00:00Z"},
			"app_ids":{"shop":"shop"},"created_at":"2000-01-01T00:00:00Z","rotated_at":"2000-01-01T00:00:00Z",
			"digests":[{"sha256":"`+hexDigest(key)+`"},{"sha256":"`+hexDigest(old)+`","until":"2000-01-01T01:00:00Z"}]}}`), 0))
		require.Equal(t, id, gateway.IDOfKey(name), "the id follows from the name in each release")
		for _, k := range []string{key, old} {
			require.Equal(t, 200, readToken(t, g, "shop", k))
		}
		advance(time.Hour)
		require.Equal(t, 200, readToken(t, g, "shop", key))
		require.Equal(t, 401, readToken(t, g, "shop", old))
		advance(23 * time.Hour)
		require.Equal(t, 401, readToken(t, g, "shop", key))
	})
}

// FuzzStoredKey reads records that somebody else has written.
func FuzzStoredKey(f *testing.F) {
	f.Add([]byte(`{"settings":{"name":"backend","apps":["shop"],"scopes":["token"]},"digests":[{"sha256":"00"}]}`))
	f.Add([]byte(`{"digests":[]}`))
	f.Fuzz(func(t *testing.T, settings []byte) {
		records, id := newSealed(t, new(store.Memory)), gateway.IDOfKey("backend")
		g := openGateway(t, records, newWeChat())
		require.NoError(t, records.Set(t.Context(), "registry/key/"+id, fmt.Appendf(nil, `{"id":%q,"name":"backend","revision":"r","settings":%s}`, id, settings), 0))
		status := readToken(t, g, "shop", "wetoken_"+id+"_"+strings.Repeat("A", 26))
		require.Contains(t, []int{401, 503}, status)
		list, _, err := g.Keys().Page(t.Context(), "", 10)
		require.NoError(t, err)
		require.Equal(t, status == 401, len(list) == 1)
	})
}
