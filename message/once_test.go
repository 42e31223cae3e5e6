package message_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/push"
)

// callback returns a Callback of official().
func callback(h http.Handler) *push.Callback {
	w := official()
	return &push.Callback{AppID: w.id, Token: w.token, EncodingAESKey: w.key, Handler: h}
}

// receiver returns a Receiver of official() with a changed Config, and its log.
func receiver(t testing.TB, change func(*message.Config)) (*message.Receiver, *logBuffer) {
	config, log := official().config(), new(logBuffer)
	config.Log = slog.New(slog.NewTextHandler(log, nil))
	change(&config)
	in, err := message.New(config)
	require.NoError(t, err)
	return in, log
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *logBuffer) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *logBuffer) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// slow answers after a time, and counts its runs.
func slow(takes time.Duration, runs *atomic.Int32) message.HandlerFunc {
	return func(ctx context.Context, m *message.Message) (message.Reply, error) {
		runs.Add(1)
		select {
		case <-time.After(takes):
			return message.Text("answer to " + m.Content), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// roundRobin gives requests to handlers in turn, like a load balancer.
func roundRobin(handlers ...http.Handler) http.Handler {
	var n atomic.Int32
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers[int(n.Add(1)-1)%len(handlers)].ServeHTTP(w, r)
	})
}

func deliver(t testing.TB, c *push.Callback, p push.Message) push.Result {
	t.Helper()
	out, err := c.Push(t.Context(), p)
	require.NoError(t, err)
	return out
}

func TestHandlerRunsOnceAndMayTakeUntilTheLastTry(t *testing.T) {
	for _, c := range []struct {
		takes, want time.Duration
		tries       int
	}{
		{0, 0, 1},
		{4 * time.Second, 4 * time.Second, 1},
		{4900 * time.Millisecond, 4900 * time.Millisecond, 1},
		{8 * time.Second, 8 * time.Second, 2},
		{13 * time.Second, 13 * time.Second, 3},
		{14 * time.Second, 14 * time.Second, 3},
	} {
		for processes := range 3 {
			synctest.Test(t, func(t *testing.T) {
				s, runs := new(store.Memory), new(atomic.Int32)
				var all []http.Handler
				for range processes + 1 {
					in, _ := receiver(t, func(c *message.Config) { c.Store = s })
					in.Handle(message.Any, slow(c.takes, runs))
					all = append(all, in)
				}
				begun := time.Now()
				p := deliver(t, callback(roundRobin(all...)), push.Message{Content: "hi"})
				require.Equal(t, "answer to hi", p.Shown, p.Fault)
				require.InDelta(t, c.want.Seconds(), time.Since(begun).Seconds(), 0.1, "%d processes", processes+1)
				require.Len(t, p.Tries, c.tries)
				require.EqualValues(t, 1, runs.Load())
			})
		}
	}
}

func TestLastTryIsAnsweredWithSuccessInTime(t *testing.T) {
	for _, duplicates := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			s, runs := new(store.Memory), new(atomic.Int32)
			one, log := receiver(t, func(c *message.Config) { c.Store = s })
			two, other := receiver(t, func(c *message.Config) { c.Store = s })
			one.Handle(message.Any, slow(time.Minute, runs))
			two.Handle(message.Any, slow(time.Minute, runs))
			begun := time.Now()
			p := deliver(t, callback(roundRobin(one, two)), push.Message{Content: "hi", Duplicates: duplicates})
			require.Empty(t, p.Fault)
			require.Empty(t, p.Shown)
			last := p.Tries[2*(1+duplicates)]
			require.Equal(t, 3, last.Number)
			require.Equal(t, "success", last.Body)
			require.InDelta(t, 14.5, last.End.Sub(begun).Seconds(), 0.01)
			require.EqualValues(t, 1, runs.Load())
			<-time.After(time.Second)
			require.Contains(t, log.String()+other.String(), "deadline exceeded", "the time of the handler is over")
		})
	}
}

func TestRepeatsGetTheReplyOfOneRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, runs := new(store.Memory), new(atomic.Int32)
		var all []http.Handler
		for range 8 {
			in, _ := receiver(t, func(c *message.Config) { c.Store = s })
			in.Handle(message.Any, slow(2*time.Second, runs))
			all = append(all, in)
		}
		c := callback(roundRobin(all...))
		p := deliver(t, c, push.Message{Content: "hi", MsgID: 1 << 60, Duplicates: 39})
		require.Len(t, p.Tries, 40)
		for _, try := range p.Tries {
			require.Equal(t, 200, try.Status)
			require.Contains(t, try.Body, "<Encrypt>")
		}
		for range 4 { // like an attacker who recorded a request, or a proxy that repeats it
			<-time.After(5 * time.Minute)
			p = deliver(t, c, push.Message{Content: "hi", MsgID: 1 << 60})
			require.Equal(t, "answer to hi", p.Shown)
			require.Less(t, p.Tries[0].End.Sub(p.Tries[0].Start), time.Second)
		}
		require.EqualValues(t, 1, runs.Load())
		deliver(t, c, push.Message{Content: "hi", MsgID: 1<<60 + 1})
		require.EqualValues(t, 2, runs.Load(), "another MsgId is another message")
		deliver(t, c, push.Message{Content: "hi", MsgID: 1 << 60, From: "oOther"})
		require.EqualValues(t, 3, runs.Load())
	})
}

func TestEventsAreDistinguishedByContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := new(atomic.Int32)
		in, _ := receiver(t, func(*message.Config) {})
		in.Handle(message.Any, slow(0, runs))
		c := callback(in)
		now := time.Now()
		click := push.Message{Event: "CLICK", EventKey: "a", Time: now}
		for i, p := range []push.Message{
			click,
			{Event: "CLICK", EventKey: "b", Time: now},
			{Event: "CLICK", EventKey: "a", Time: now.Add(time.Second)},
			{Event: "CLICK", EventKey: "a", Time: now, From: "oOther"},
			{Event: "VIEW", EventKey: "a", Time: now},
			{Event: "TEMPLATESENDJOBFINISH", Time: now, Fields: map[string]any{"MsgID": 1, "Status": "success"}},
			{Event: "TEMPLATESENDJOBFINISH", Time: now, Fields: map[string]any{"MsgID": 2, "Status": "success"}}, // to the same user, in the same second
		} {
			deliver(t, c, p)
			deliver(t, c, p)
			require.EqualValues(t, i+1, runs.Load())
		}
	})
}

func TestNextTryRunsAFailedHandlerAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		s := new(store.Memory)
		var all []http.Handler
		for range 2 {
			in, _ := receiver(t, func(c *message.Config) { c.Store = s })
			in.Handle(message.Any, func(context.Context, *message.Message) (message.Reply, error) {
				switch runs.Add(1) {
				case 1:
					return nil, errors.New("db is down")
				case 2:
					panic("oh")
				}
				return message.Text("at last"), nil
			})
			all = append(all, in)
		}
		p := deliver(t, callback(roundRobin(all...)), push.Message{Content: "hi"})
		require.Equal(t, "at last", p.Shown)
		require.Equal(t, []int{500, 500, 200}, []int{p.Tries[0].Status, p.Tries[1].Status, p.Tries[2].Status})
		require.EqualValues(t, 3, runs.Load())
	})
}

func TestFailedTriesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		in, _ := receiver(t, func(*message.Config) {})
		in.Handle(message.Any, func(ctx context.Context, _ *message.Message) (message.Reply, error) {
			if runs.Add(1) == 1 {
				return nil, errors.New("db is down")
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		p := deliver(t, callback(in), push.Message{Content: "hi"})
		require.Empty(t, p.Fault)
		require.Equal(t, []int{500, 0, 200}, []int{p.Tries[0].Status, p.Tries[1].Status, p.Tries[2].Status})
		require.Equal(t, "success", p.Tries[2].Body)
		require.InDelta(t, 14.5, p.Tries[2].End.Sub(p.Tries[0].Start).Seconds(), 0.01)
		<-time.After(20 * time.Second)
	})
}

func TestOldMessageIsRefusedAndOrderIsNotChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		in, _ := receiver(t, func(*message.Config) {})
		in.Handle(message.Any, slow(0, &runs))
		w := official()
		query, body := w.send(hello)
		<-time.After(11 * time.Minute)
		require.Equal(t, 401, post(in, query, body).Code)
		require.Zero(t, runs.Load())
		deliver(t, callback(in), push.Message{Content: "new", Time: time.Now()})
		deliver(t, callback(in), push.Message{Content: "old", Time: time.Now().Add(-time.Hour)})
		require.EqualValues(t, 2, runs.Load())
	})
}
