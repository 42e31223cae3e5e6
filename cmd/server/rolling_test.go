package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/wechattest"
)

// Callers read tokens without a failure while apps and keys are registered, changed, rotated and removed, and while one of two
// servers is stopped and started again. A caller whose connection breaks asks the other server.
func TestNoReadFailsWhileRegistrationsChangeAndAServerStops(t *testing.T) {
	testform.NeedFull(t)
	t.Parallel()
	const (
		admin, appID, secret = "a-key-of-this-test-to-administer", "wx1111111111111111", "a-secret-of-a-later-app"
		fileKey              = "a-key-of-this-test-to-read"
	)
	wx := new(wechattest.Server)
	wx.AddApp(appID, secret)
	weChat := httptest.NewServer(wx)
	t.Cleanup(weChat.Close)
	file := write(t, `
store: sqlite:`+filepath.Join(t.TempDir(), "records.db")+`
endpoints: {api: "`+weChat.URL+`"}
keys:
  - {name: admin, key: `+admin+`, apps: ["*"], scopes: [admin]}
  - {name: reader, key: `+fileKey+`, apps: ["*"], scopes: [token]}
apps: {shop: {app_id: `+appID+`, secret: `+secret+`}}
`)
	env := []string{"WETOKEN_MASTER_KEYS=" + newKey()}
	one, two := start(t, env, "-config", file), start(t, env, "-config", file)
	change := func(method, path, body string, want int) (reply struct{ Key string }) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, one.base+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+admin)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		all, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode, "%s %s: %s", method, path, all)
		if len(all) > 0 {
			require.NoError(t, json.Unmarshal(all, &reply))
		}
		return reply
	}
	app := func(i int) string {
		return fmt.Sprintf(`{"app_id":"%s","secret":"%s","public_url":"https://later.example.com","hosts":["h%d.example.com"]}`, appID, secret, i)
	}
	change("PUT", "/apps/later", app(0), 201)
	var key atomic.Value
	key.Store(change("POST", "/keys", `{"name":"backend","apps":["later","shop"],"scopes":["token"]}`, 201).Key)
	for _, p := range []*process{one, two} {
		for _, k := range []string{fileKey, key.Load().(string)} {
			waitUntil(t, 20*time.Second, "both serve the app to the key", func() bool {
				status, _ := fetchWith(t, p, k, "/app/later/token")
				return status == http.StatusOK
			})
		}
	}

	var servers [2]atomic.Pointer[process]
	servers[0].Store(one)
	servers[1].Store(two)
	read := func(p *process, app, key string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", p.base+"/app/"+app+"/token", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			t.Errorf("status %d for %s: %s", resp.StatusCode, app, body)
		}
		return nil
	}
	done := make(chan struct{})
	var reads, repeats atomic.Int64
	var readers sync.WaitGroup
	stop := sync.OnceFunc(func() { close(done); readers.Wait() })
	defer stop()
	for i := range 4 {
		readers.Go(func() {
			for n := i; ; n++ {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
				}
				name, k := []string{"shop", "later"}[n/2%2], fileKey
				if n/4%2 == 0 {
					k = key.Load().(string)
				}
				if err := read(servers[n%2].Load(), name, k); err != nil {
					repeats.Add(1)
					if err := read(servers[(n+1)%2].Load(), name, k); err != nil {
						t.Errorf("both tries failed: %v", err)
					}
				}
				reads.Add(1)
			}
		})
	}
	for i := range 12 {
		change("PUT", "/apps/later", app(i+1), 200)
		change("PUT", fmt.Sprintf("/apps/other%d", i), app(i), 201)
		rotated := change("POST", "/keys/backend/rotate", `{"overlap":"10s"}`, 200).Key
		change("POST", "/keys", fmt.Sprintf(`{"name":"other%d","apps":["later"],"scopes":["token"]}`, i), 201)
		switch {
		case i == 4:
			require.NoError(t, two.cmd.Process.Signal(syscall.SIGTERM))
			require.NoError(t, two.wait())
		case i == 8:
			servers[1].Store(start(t, env, "-config", file))
		}
		<-time.After(2 * time.Second) // readers use the previous key for so long
		for n := range servers {
			p := servers[n].Load()
			if p == two && i >= 4 {
				continue // it was stopped
			}
			waitUntil(t, 7*time.Second, "each server accepts the key", func() bool {
				status, _ := fetchWith(t, p, rotated, "/app/later/token")
				return status == http.StatusOK
			})
		}
		key.Store(rotated)
		change("DELETE", fmt.Sprintf("/keys/other%d", i), "", 204)
		change("DELETE", fmt.Sprintf("/apps/other%d", i), "", 204)
	}
	stop()
	t.Logf("%d reads, %d of them repeated at the other server", reads.Load(), repeats.Load())
	require.Greater(t, reads.Load(), int64(500))
	require.NotZero(t, repeats.Load(), "the server that was stopped was asked")
}
