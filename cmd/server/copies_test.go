package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/push"
)

// messages writes a configuration that forwards the messages of the app shop to target. It returns WeChat's side of the
// callback.
func messages(t *testing.T, target string) (file string, c *push.Callback) {
	c = &push.Callback{AppID: appOf("shop"), URL: "http://wx.example.com/app/shop/message", Token: "AAAAA", EncodingAESKey: strings.Repeat("A", 43)}
	return write(t, fmt.Sprintf("keys: [{name: test, key: %s, apps: ['*'], scopes: ['*']}]\napps:\n  shop:\n    {app_id: %s, secret: %s, message: {token: %s, aes_key: %s, forward: [%s]}}\n",
		shopKey, c.AppID, secretOf("shop"), c.Token, c.EncodingAESKey, target)), c
}

func TestCopiesInMemoryLogAWarning(t *testing.T) {
	t.Parallel()
	file, _ := messages(t, "{url: 'http://127.0.0.1:1/'}")
	for url, warned := range map[string]bool{"memory:": true, "sqlite:" + filepath.Join(t.TempDir(), "wetoken.db"): false} {
		p := start(t, nil, "-config", file, "-store", url)
		require.Equal(t, warned, strings.Contains(p.log.String(), "set records to a durable store"), url)
	}
}

func TestNoCopyIsLostWhenAServerIsKilled(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var down atomic.Bool
	arrived, accepted := map[int64]int{}, map[int64]bool{}
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ MsgId int64 }
		if down.Load() || json.NewDecoder(r.Body).Decode(&m) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		arrived[m.MsgId]++
	}))
	defer crm.Close()
	redis := newRedis(t)
	file, c := messages(t, fmt.Sprintf("{url: %q, form: json}", crm.URL))
	c.Tries = 1

	rounds := int64(8)
	if long {
		rounds = 50
	}
	for round := range rounds {
		down.Store(round >= rounds/2) // copies are killed on the way first, and while they wait then
		p := start(t, nil, "-config", file, "-store", redis.url(redis.address))
		c := *c
		c.Addresses = []string{p.public}
		var all sync.WaitGroup
		const each = 16
		ended := make(chan struct{}, each)
		for i := range int64(each) {
			all.Go(func() {
				defer func() { ended <- struct{}{} }()
				id := 1000*(round+1) + i
				if p, err := c.Push(context.Background(), push.Message{Content: "hi", MsgID: id}); err == nil && p.Fault == "" {
					mu.Lock()
					defer mu.Unlock()
					accepted[id] = true
				}
			})
		}
		for range rand.N(each + 1) { // the server is killed at any point of its work, however slow this machine is
			<-ended
		}
		<-time.After(rand.N(3 * time.Millisecond))
		p.kill()
		all.Wait()
	}
	missing := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for id := range accepted {
			if arrived[id] == 0 {
				n++
			}
		}
		return n
	}
	left := missing()
	require.NotZero(t, left, "there was something to lose")
	down.Store(false)
	start(t, nil, "-config", file, "-store", redis.url(redis.address)) // the server is back
	waitUntil(t, 30*time.Second, "all copies have arrived", func() bool { return missing() == 0 })
	t.Logf("%d of %d messages were accepted, %d copies waited at the last death", len(accepted), 16*rounds, left)
}
