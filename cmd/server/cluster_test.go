package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wetoken/wetoken/internal/testform"
)

// The tests of clusters run 8 servers, a WeChat and a store, each a process of its own. The full form runs them over each
// kind of store and through all troubles. With WETOKEN_TEST_LONG=1 in the environment, too, they take about half an hour.
var long = testform.Long()

const (
	size             = 8   // servers of a cluster
	clientsPerServer = 200 // clients of each server that ask at once
)

// cluster is a set of servers with one store.
type cluster struct {
	wx      *weChat
	all     []*process
	proxies []*countingProxy
	client  *http.Client
	killed  map[int]bool
	lag     time.Duration      // of the store
	spare   int                // calls to WeChat for each app that are made too early, as clocks differ
	url     func(i int) string // of the store of server i
	launch  func(url string)   // starts one server more
}

// alive returns the servers that were not killed.
func (c *cluster) alive() (all []int) {
	for i := range c.all {
		if !c.killed[i] {
			all = append(all, i)
		}
	}
	return all
}

func (c *cluster) kill(i int) {
	c.all[i].kill()
	c.killed[i] = true
}

// appOf returns the appid of an app.
func appOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "wx" + hex.EncodeToString(sum[:8])
}

func secretOf(name string) string { return "a-secret-of-the-app-" + name }

// startCluster starts servers that serve apps, by name with the life of their tokens; 0 is two hours. storeURL returns the
// URL of the store of each server.
func startCluster(t *testing.T, storeURL func(i int) string, apps map[string]time.Duration, more string, env ...string) *cluster {
	t.Helper()
	c := &cluster{wx: startWeChat(t), client: newClient(t), killed: map[int]bool{}, url: storeURL}
	var settings strings.Builder
	fmt.Fprintf(&settings, "keys: [{name: test, key: %s, apps: ['*'], scopes: ['*']}]\n%s\napps:\n", shopKey, more)
	for name, life := range apps {
		if life == 0 {
			life = 2 * time.Hour
		}
		c.wx.add(t, name, life)
		mode := "stable"
		if strings.HasPrefix(name, "classic") {
			mode = "classic"
		}
		fmt.Fprintf(&settings, "  %s: {app_id: %s, secret: %s, token_mode: %s}\n", name, appOf(name), secretOf(name), mode)
	}
	c.launch = func(storeURL string) {
		d := c.wx.newProxy(t)
		file := write(t, fmt.Sprintf("endpoints: {api: %q}\n%s", d.url, &settings))
		c.proxies = append(c.proxies, d)
		c.all = append(c.all, launch(t, env, "-config", file, "-store", storeURL))
	}
	for i := range size {
		c.launch(storeURL(i))
	}
	for _, p := range c.all {
		p.ready(t)
	}
	return c
}

// same returns one store URL for all servers.
func same(url string) func(int) string { return func(int) string { return url } }

// token reads the token of an app from server i.
func (c *cluster) token(ctx context.Context, i int, app string) (string, error) {
	return c.ask(ctx, i, "GET", app, nil)
}

// renew asks server i to replace a refused token.
func (c *cluster) renew(ctx context.Context, i int, app, refused string) (string, error) {
	return c.ask(ctx, i, "POST", app, strings.NewReader(fmt.Sprintf(`{"refused":%q}`, refused)))
}

func (c *cluster) ask(ctx context.Context, i int, method, app string, body io.Reader) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.all[i].base+"/app/"+app+"/token", body)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+shopKey)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(answer, &out); err != nil || resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d: %s", resp.StatusCode, answer)
	}
	return out.Token, nil
}

// fetches returns the number of calls for an app's tokens by each server.
func (c *cluster) fetches(app string) (all []int) {
	for _, d := range c.proxies {
		n, _ := d.of(appOf(app))
		all = append(all, n)
	}
	return all
}

// agreed returns the token of an app that all servers hold, or "" if they differ.
func (c *cluster) agreed(t *testing.T, app string) string {
	var wg sync.WaitGroup
	held := make([]string, len(c.all))
	for _, i := range c.alive() {
		wg.Go(func() { held[i], _ = c.token(t.Context(), i, app) })
	}
	wg.Wait()
	first := held[c.alive()[0]]
	for _, i := range c.alive() {
		if held[i] != first {
			return ""
		}
	}
	return first
}
