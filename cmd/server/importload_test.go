package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oldSystem serves classic tokens of one app as the old systems did: it fetches a new one now and then, and without asking others.
type oldSystem struct {
	wx    *httptest.Server
	token atomic.Value
}

func (o *oldSystem) fetch(id, secret string) error {
	resp, err := http.Get(o.wx.URL + "/cgi-bin/token?grant_type=client_credential&appid=" + id + "&secret=" + secret)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.Token == "" {
		return fmt.Errorf("no token (%v)", err)
	}
	o.token.Store(out.Token)
	return nil
}

func TestNoTokenDiesOnTheWayToTheNewServerAndBack(t *testing.T) {
	t.Parallel()
	const id, secret = "wx0000000000000001", "a-secret-of-wx0000000000000001"
	i := newImporter(t, "")
	i.wx.AddApp(id, secret)
	old := &oldSystem{wx: httptest.NewServer(i.wx)}
	t.Cleanup(old.wx.Close)
	require.NoError(t, old.fetch(id, secret))
	var dead, failed atomic.Int64
	use := func(value string) {
		resp, err := http.Get(old.wx.URL + "/cgi-bin/getcallbackip?access_token=" + value)
		if err != nil {
			failed.Add(1)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || strings.Contains(string(body), "errcode") {
			dead.Add(1)
		}
	}
	// load has clients read and use tokens until it is stopped, and then returns how many they used.
	load := func(read func() string) (stop func() int64) {
		var used atomic.Int64
		var all sync.WaitGroup
		done := make(chan struct{})
		for range 4 {
			all.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						use(read())
						used.Add(1)
					}
				}
			})
		}
		return sync.OnceValue(func() int64 { close(done); all.Wait(); return used.Load() })
	}
	stopOld := load(func() string { return old.token.Load().(string) })
	defer stopOld()

	file := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"appId":"`+id+`","appSecret":"`+secret+`"}`), 0o600))
	i.run(t, 0, "accesstoken", file, "-verify")
	p := start(t, i.env, "-config", i.config)
	stopNew := load(func() string {
		status, body := p.ask(t, "/app/"+id+"/token")
		var out struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(body), &out); err != nil || status != http.StatusOK {
			failed.Add(1)
		}
		return out.Token
	})
	defer stopNew()
	for range 3 {
		require.NoError(t, old.fetch(id, secret), "the old system still renews its own")
		time.Sleep(300 * time.Millisecond)
	}
	require.Greater(t, stopNew(), int64(50))
	p.kill() // the way back
	require.NoError(t, old.fetch(id, secret))
	time.Sleep(300 * time.Millisecond)
	require.Greater(t, stopOld(), int64(100))
	require.Zero(t, dead.Load())
	require.Zero(t, failed.Load())
	stable, classic := 0, 0
	for _, token := range i.wx.Tokens(id) {
		if token.Path == stablePath {
			stable++
		} else {
			classic++
		}
	}
	require.Equal(t, 1, stable, "the one that -verify asked for is the one that the server has")
	require.Equal(t, 5, classic)
}
