package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

const (
	adminKey = "a-key-of-this-test-to-administer"
	localKey = "a-key-of-this-test-to-administer-one-app"
)

// withAdmins adds keys with the scope admin for all apps, and for one.
func withAdmins(o *gateway.Options) {
	o.Config.Keys = append(o.Config.Keys,
		gateway.Key{Name: "root", Key: adminKey, Apps: []string{"*"}, Scopes: []string{"admin"}},
		gateway.Key{Name: "local", Key: localKey, Apps: []string{"shop"}, Scopes: []string{"*", "admin"}})
}

// askAdmin makes a call, and decodes the reply into out unless that is nil.
func askAdmin(t *testing.T, g *gateway.Gateway, key, method, path, body string, out any) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.44:5"
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	g.Private().ServeHTTP(w, r)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"), path)
	if out != nil {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), out), "%s", w.Body)
	}
	return w
}

type madeKey struct{ Name, Key string }

type listedKeys struct {
	Keys []map[string]any
	Next string
}

func TestKeysOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
		var made, rotated madeKey
		w := askAdmin(t, g, adminKey, "POST", "/keys", `{"name":"后端","apps":["shop"],"scopes":["token"],"expires_at":"2001-01-01T00:00:00Z","addresses":["192.0.2.0/24"],"rate":9,"max_fen":5}`, &made)
		require.Equal(t, http.StatusCreated, w.Code, w.Body)
		require.Equal(t, "后端", made.Name)
		require.Equal(t, 200, askAdmin(t, g, made.Key, "GET", "/app/shop/token", "", nil).Code)
		synctest.Wait()

		var list listedKeys
		w = askAdmin(t, g, adminKey, "GET", "/keys", "", &list)
		require.Equal(t, 200, w.Code)
		for _, hidden := range []string{allKey, readKey, adminKey, made.Key, made.Key[25:], "sha256"} {
			require.NotContains(t, w.Body.String(), hidden)
		}
		require.Len(t, list.Keys, 6)
		require.Equal(t, map[string]any{"name": "all", "in_file": true, "apps": []any{"*"}, "scopes": []any{"*"}}, list.Keys[0])
		now := time.Now().UTC().Format(time.RFC3339Nano)
		require.Equal(t, map[string]any{
			"name": "后端", "id": made.Key[8:24], "in_file": false, "apps": []any{"shop"}, "scopes": []any{"token"}, "expires_at": "2001-01-01T00:00:00Z",
			"addresses": []any{"192.0.2.0/24"}, "rate": 9.0, "max_fen": 5.0, "created_at": now, "used_at": now,
		}, list.Keys[5])

		w = askAdmin(t, g, adminKey, "POST", "/keys/%E5%90%8E%E7%AB%AF/rotate", `{"overlap":"10m"}`, &rotated)
		require.Equal(t, 200, w.Code, w.Body)
		require.NotEqual(t, made.Key, rotated.Key)
		advance(10*time.Minute - time.Second)
		for _, key := range []string{made.Key, rotated.Key} {
			require.Equal(t, 200, askAdmin(t, g, key, "GET", "/app/shop/token", "", nil).Code)
		}
		advance(time.Second)
		require.Equal(t, 401, askAdmin(t, g, made.Key, "GET", "/app/shop/token", "", nil).Code)
		require.Equal(t, 200, askAdmin(t, g, adminKey, "POST", "/keys/%E5%90%8E%E7%AB%AF/rotate", "", &made).Code)
		advance(time.Hour - time.Second)
		require.Equal(t, 200, askAdmin(t, g, rotated.Key, "GET", "/app/shop/token", "", nil).Code, "an hour is the default")

		w = askAdmin(t, g, adminKey, "DELETE", "/keys/%E5%90%8E%E7%AB%AF", "", nil)
		require.Equal(t, http.StatusNoContent, w.Code)
		require.Empty(t, w.Body.String())
		require.Equal(t, 401, askAdmin(t, g, made.Key, "GET", "/app/shop/token", "", nil).Code)
		w = askAdmin(t, g, adminKey, "DELETE", "/keys/%E5%90%8E%E7%AB%AF", "", nil)
		require.Equal(t, 404, w.Code)
		require.Contains(t, w.Body.String(), "not registered")
	})
}

func TestOnlyAdministratorsOfAllAppsChangeKeys(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	for _, route := range []string{"GET /keys", "POST /keys", "POST /keys/x/rotate", "DELETE /keys/x", "GET /audit"} {
		method, path, _ := strings.Cut(route, " ")
		for key, status := range map[string]int{"": 401, allKey + "x": 401, allKey: 403, localKey: 403} {
			require.Equal(t, status, askAdmin(t, g, key, method, path, "", nil).Code, "%s %s", route, key)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+adminKey)
		g.Public().ServeHTTP(w, r)
		require.Equal(t, 404, w.Code, "on the public side")
	}
}

func TestStrangersLearnNoMethodsOfAdministrators(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	for _, path := range []string{"/keys", "/audit", "/keys/x"} {
		w := askAdmin(t, g, "", "PATCH", path, "", nil)
		require.Equal(t, 401, w.Code)
		require.Empty(t, w.Header().Get("Allow"))
	}
}

func TestCallsAboutKeysThatAreWrong(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	good := `{"name":"a","apps":["shop"],"scopes":["token"]}`
	require.Equal(t, 201, askAdmin(t, g, adminKey, "POST", "/keys", good, nil).Code)
	for _, c := range []struct {
		route, body string
		status      int
		says        string
	}{
		{"POST /keys", good, 409, "belongs to another registration"},
		{"POST /keys", `{"name":"read","apps":["shop"],"scopes":["token"]}`, 409, "part of the configuration"},
		{"POST /keys", `{"name":"b","apps":["shop"],"scopes":["tokens"]}`, 400, "scopes[0]: unknown scope"},
		{"POST /keys", `{"name":"b","apps":["shop"],"scopes":["token"],"key":"a-key-of-this-test-9"}`, 400, "key: must be unset"},
		{"POST /keys", `{"name":"b","apps":"shop","scopes":["token"]}`, 400, "apps: want a list"},
		{"POST /keys", `{"name":"b","Apps":["shop"]}`, 400, "want apps"},
		{"POST /keys", `{"name":"b","name":"c"}`, 400, "given twice"},
		{"POST /keys", `{"name":"b","rate":1.5}`, 400, "rate: want a whole number"},
		{"POST /keys", `{"name":"b","expires_at":"soon"}`, 400, "expires_at: want a time"},
		{"POST /keys", `{"name":"b","apps":["shop"],"scopes":["token"],"expires_at":"0001-01-01T00:00:00Z"}`, 400, "expires_at: want a time"},
		{"PUT /apps/later", `{"app_id":"` + laterID + `","secret":"` + laterSecret + `","expires_at":"0001-01-01T00:00:00Z"}`, 400, "expires_at: want a time"},
		{"POST /keys", `{`, 400, "cut off"},
		{"POST /keys", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "more than 1 MiB"},
		{"POST /keys/a/rotate", `{"overlap":"soon"}`, 400, "overlap: want a duration"},
		{"POST /keys/a/rotate", `{"overlap":"721h"}`, 400, "overlap: want 0s to 720h"},
		{"POST /keys/a/rotate", `{"overlap":"-1s"}`, 400, "overlap: want 0s to 720h"},
		{"POST /keys/a/rotate", `{"over":"1s"}`, 400, "unknown key"},
		{"POST /keys/b/rotate", `{}`, 404, "not registered"},
		{"POST /keys/read/rotate", `{}`, 409, "part of the configuration"},
		{"DELETE /keys/read", ``, 409, "part of the configuration"},
		{"GET /keys?limit=0", ``, 400, "limit: want 1 to 1000"},
		{"PUT /keys", ``, 405, "want GET, HEAD, POST"},
		{"GET /audit?since=yesterday", ``, 400, "since: want a time"},
		{"GET /audit?next=x", ``, 400, "next: is no position"},
		{"GET /audit?format=xml", ``, 400, "format: want json or jsonl"},
	} {
		method, path, _ := strings.Cut(c.route, " ")
		var a answer
		w := askAdmin(t, g, adminKey, method, path, c.body, &a)
		require.Equal(t, c.status, w.Code, "%s %.80s: %s", c.route, c.body, w.Body)
		require.Contains(t, a.Msg, c.says)
	}
	unsealed := openGateway(t, new(store.Memory), newWeChat(), withAdmins)
	w := askAdmin(t, unsealed, adminKey, "POST", "/keys", good, nil)
	require.Equal(t, 409, w.Code)
	require.Contains(t, w.Body.String(), "WETOKEN_MASTER_KEYS")
	require.Equal(t, 200, askAdmin(t, unsealed, adminKey, "GET", "/keys", "", nil).Code)
}

// Pages list every key once. A record that somebody has planted is left out, with one line in the log.
func TestKeysAreListedInPages(t *testing.T) {
	raw := new(store.Memory)
	records := newSealed(t, raw)
	var log safeBuffer
	g := openGateway(t, records, newWeChat(), withAdmins, func(o *gateway.Options) { o.Log = log.logger() })
	for i := range 25 {
		createKey(t, g, shopKey(func(k *gateway.Key) { k.Name = "key-" + string(rune('a'+i)) }))
	}
	require.NoError(t, raw.Set(t.Context(), "registry/key/aaaaaaaaaaaaaaaa", []byte("planted"), 0))
	require.NoError(t, records.Set(t.Context(), "registry/key/bbbbbbbbbbbbbbbb", []byte(`{"id":"bbbbbbbbbbbbbbbb","name":"x","revision":"1","settings":{}}`), 0))
	seen, pages := make(map[any]bool), 0
	for next := ""; ; {
		var list listedKeys
		require.Equal(t, 200, askAdmin(t, g, adminKey, "GET", "/keys?limit=10&next="+next, "", &list).Code)
		for _, k := range list.Keys {
			require.False(t, seen[k["name"]])
			seen[k["name"]] = true
		}
		pages++
		if next = list.Next; next == "" {
			break
		}
	}
	require.Equal(t, 3, pages)
	require.Len(t, seen, 25+5)
	require.Equal(t, 1, strings.Count(log.String(), "a registration cannot be read"), log.String())
	for _, id := range []string{"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"} {
		require.Equal(t, 503, readToken(t, g, "shop", "wetoken_"+id+"_"+strings.Repeat("A", 26)))
	}
}
