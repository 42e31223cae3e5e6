//go:build unix

package message_test

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/wechattest/push"
)

// counted is a dialer that counts its open connections.
type counted struct {
	open, all atomic.Int32
}

func (c *counted) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	c.all.Add(1)
	return &countedConn{Conn: conn, closed: sync.OnceFunc(func() { c.open.Add(-1) })}, nil
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// measureTimerDelay measures by how much timers are late on this machine, until most is called.
func measureTimerDelay() (most func() time.Duration) {
	done, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		const every = 20 * time.Millisecond
		var most time.Duration
		for {
			begun := time.Now()
			select {
			case <-done:
				worst <- most
				return
			case <-time.After(every):
				most = max(most, time.Since(begun)-every)
			}
		}
	}()
	return func() time.Duration {
		close(done)
		return <-worst
	}
}

func TestFailingBackendsDoNotDelayAReplyOrLeak(t *testing.T) {
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		io.WriteString(w, replyJSON("inside"))
	}))
	defer inside.Close()

	var targets []message.Backend
	for _, role := range []string{"slow", "dead", "garbage", "redirecting", "good"} {
		address, kill := start(t, role, inside.URL+"/inside")
		if role == "dead" {
			kill()
		}
		targets = append(targets, message.Backend{URL: "http://" + address + "/wx", Answer: true})
	}
	conns := new(counted)
	transport := &http.Transport{DialContext: conns.dial}
	in, _ := receiver(t, func(c *message.Config) {
		c.Forward.Backends, c.Forward.HTTP = targets, &http.Client{Transport: transport}
	})
	web := httptest.NewServer(in)
	defer web.Close()

	before := runtime.NumGoroutine()
	c := callback(nil)
	c.Handler, c.URL = nil, web.URL
	stall := measureTimerDelay()
	var all sync.WaitGroup
	var worst atomic.Int64
	for range 20 {
		all.Go(func() {
			p, err := c.Push(context.Background(), push.Message{Content: "hi"})
			took := p.Tries[0].End.Sub(p.Tries[0].Start)
			if err != nil || p.Shown != "good" || len(p.Tries) != 1 {
				t.Errorf("%q after %s and %d tries, %s, %v", p.Shown, took, len(p.Tries), p.Fault, err)
			}
			for worst.Load() < int64(took) {
				worst.Store(int64(took))
			}
		})
	}
	all.Wait()
	late := stall()
	require.Less(t, time.Duration(worst.Load()), 4800*time.Millisecond+late)
	require.Zero(t, reached.Load(), "the redirect is not followed")
	t.Logf("20 messages at once to 5 backends, the worst answered in %s, over %d connections; this machine was late by up to %s", time.Duration(worst.Load()), conns.all.Load(), late)

	defer func() {
		if t.Failed() {
			stacks := make([]byte, 1<<20)
			t.Logf("%d connections, %d goroutines, %d before\n%s", conns.open.Load(), runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}()
	require.Eventually(t, func() bool {
		transport.CloseIdleConnections()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		return conns.open.Load() == 0 && runtime.NumGoroutine() <= before+1 // Eventually asks in one of its own
	}, 10*time.Second, 50*time.Millisecond, "no goroutine or connection is left")
}

func TestReplyAfterEightSecondsReachesAnotherProcess(t *testing.T) {
	t.Parallel()
	slow, _ := start(t, "eight", "")
	s := processConfig{Dir: t.TempDir(), URL: "http://" + slow + "/wx", Answer: true, Timeout: 12 * time.Second}
	one, _ := startReceiver(t, s)
	two, _ := startReceiver(t, s)
	c := callback(nil)
	c.Handler, c.URL, c.Addresses = nil, "http://wx.example.com/message", []string{one, two}
	p := deliver(t, c, push.Message{Content: "hi"})
	require.Equal(t, "after eight seconds", p.Shown, p.Fault)
	require.Len(t, p.Tries, 2, "of five seconds each")
	resp, err := http.Get("http://" + slow)
	require.NoError(t, err)
	defer resp.Body.Close()
	n, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "1", string(n), "the backend was asked once")
}

func TestNoCopyIsLostWhenAProcessIsKilled(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var down atomic.Bool
	arrived := make(map[int64]int)
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ MsgId int64 }
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &m) != nil {
			w.WriteHeader(400)
			return
		}
		if down.Load() {
			w.WriteHeader(503)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		arrived[m.MsgId]++
	}))
	defer crm.Close()
	s := processConfig{Dir: t.TempDir(), URL: crm.URL, Form: message.FormJSON}

	const rounds, each = 25, 8
	accepted := make(map[int64]bool)
	for round := range int64(rounds) {
		down.Store(round >= rounds/2) // first the backend accepts copies, then it is down: processes are killed during deliveries and while copies wait
		address, kill := startReceiver(t, s)
		c := callback(nil)
		c.Handler, c.URL, c.Tries = nil, "http://"+address+"/message", 1
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{}, each)
		var all sync.WaitGroup
		for i := range int64(each) {
			all.Go(func() {
				defer func() { ended <- struct{}{} }()
				id := 1000*(round+1) + i
				p, err := c.Push(ctx, push.Message{Content: "hi", MsgID: id})
				if err == nil && p.Fault == "" {
					mu.Lock()
					defer mu.Unlock()
					accepted[id] = true
				}
			})
		}
		for range rand.N(each + 1) { // the process is killed at any point of its work, however slow this machine is
			<-ended
		}
		<-time.After(rand.N(3 * time.Millisecond))
		kill()
		all.Wait()
		cancel()
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
	down.Store(false)
	_, _ = startReceiver(t, s) // the process is restarted
	require.Eventually(t, func() bool { return missing() == 0 }, 30*time.Second, 50*time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	more := 0
	for _, n := range arrived {
		more += n - 1
	}
	t.Logf("%d messages in %d lives, %d of them accepted; %d copies waited at the last death, %d arrived more than once", rounds*each, rounds, len(accepted), left, more)
	require.NotZero(t, left, "some copies were waiting")
}
