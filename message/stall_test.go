package message_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/message"
)

// unreadBody is a body that must not be read.
type unreadBody struct{ reads int }

func (u *unreadBody) Read([]byte) (int, error) {
	u.reads++
	return 0, errors.New("read")
}

func TestBodyIsNotReadIfTheQueryIsInvalid(t *testing.T) {
	w := official()
	corp := w // WeCom does not sign the query
	plain := w
	plain.key = ""
	old := fmt.Sprint(time.Now().Add(-time.Hour).Unix())
	for name, c := range map[string]struct {
		w     wechat
		query url.Values
		code  string
	}{
		"unsigned":              {w, url.Values{}, "-40001"},
		"wrong signature":       {w, url.Values{"timestamp": {stamp()}, "nonce": {"1"}, "signature": {"x"}, "msg_signature": {"x"}}, "-40001"},
		"stale":                 {w, url.Values{"timestamp": {old}, "nonce": {"1"}, "signature": {sign(w.token, old, "1")}, "msg_signature": {"x"}}, "-40101"},
		"stale, of WeCom":       {corp, url.Values{"timestamp": {old}, "nonce": {"1"}, "msg_signature": {"x"}}, "-40101"},
		"no time, of WeCom":     {corp, url.Values{"nonce": {"1"}, "msg_signature": {"x"}}, "-40101"},
		"huge nonce":            {w, url.Values{"timestamp": {stamp()}, "nonce": {string(make([]byte, 200))}, "msg_signature": {"x"}}, "-40001"},
		"signed for encryption": {plain, url.Values{"timestamp": {stamp()}, "nonce": {"1"}, "msg_signature": {"x"}}, "-40001"},
	} {
		body := new(unreadBody)
		r := httptest.NewRequest("POST", "/message?"+c.query.Encode(), body)
		rec := httptest.NewRecorder()
		c.w.newReceiver(t).ServeHTTP(rec, r)
		require.Zero(t, body.reads, name)
		require.Equal(t, 401, rec.Code, name)
		require.Contains(t, rec.Body.String(), c.code, name)
	}
	body := new(unreadBody)
	query := w.plain()
	w.newReceiver(t).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/message?"+query.Encode(), body))
	require.NotZero(t, body.reads, "the body of a valid signature is read")
}

// pipeListener is a listener in memory.
type pipeListener chan net.Conn

func (p pipeListener) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipeListener) Close() error {
	close(p)
	return nil
}
func (p pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// dial serves a connection by h until the test ends.
func dial(t *testing.T, h http.Handler) net.Conn {
	server, client := net.Pipe()
	l := make(pipeListener, 1)
	l <- server
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	t.Cleanup(func() {
		client.Close()
		srv.Close()
	})
	return client
}

func TestStalledBodyTimesOut(t *testing.T) {
	good := official().plain()
	for name, query := range map[string]url.Values{"signed": good, "unsigned": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if name == "signed" {
					query = official().plain() // at the time of the bubble
				}
				c := dial(t, official().newReceiver(t))
				start := time.Now()
				_, err := fmt.Fprintf(c, "POST /message?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n<xml>", query.Encode())
				require.NoError(t, err)
				_, err = io.ReadAll(c)
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(start), 6*time.Second)
			})
		})
	}
}

// TestStalledBodiesHoldLittleMemory uses pipes, which have no buffer: bytes that were written are in memory of the reader.
func TestStalledBodiesHoldLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := official().newReceiver(t)
		const senders, size = 100, 512 << 10
		query := url.Values{"timestamp": {stamp()}, "nonce": {"1"}, "msg_signature": {"x"}} // as WeCom signs, checked with the body
		var sent atomic.Int64
		for range senders {
			c := dial(t, in)
			go io.Copy(io.Discard, c)
			go func() {
				fmt.Fprintf(c, "POST /message?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", query.Encode(), size+1)
				for range size / 1024 {
					n, err := c.Write(make([]byte, 1024))
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			}()
		}
		synctest.Wait()
		require.LessOrEqual(t, sent.Load(), int64(senders*(80<<10)+16*size))
		require.Greater(t, sent.Load(), int64(senders*(64<<10)))
		<-time.After(time.Minute) // all have timed out
	})
}

func TestLargeMessageIsRead(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	in.Handle(message.Any, say("hi"))
	for _, padding := range []int{64<<10 - 1, 64 << 10, 64<<10 + 1, 700 << 10} {
		query, body := w.send(hello)
		body = append(body, bytes.Repeat([]byte(" "), max(padding-len(body), 0))...)
		rec := post(in, query, body)
		require.Equal(t, 200, rec.Code, padding)
		require.Contains(t, w.read(t, rec.Body.Bytes()), "hi")
	}
}

func TestHandlerMayTakeLongerThanTheBodyTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := official()
		in := w.newReceiver(t)
		in.Handle(message.Any, func(ctx context.Context, _ *message.Message) (message.Reply, error) {
			<-time.After(5500 * time.Millisecond)
			return message.Text("late"), ctx.Err()
		})
		c := dial(t, in)
		query, body := w.send(hello)
		go fmt.Fprintf(c, "POST /message?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", query.Encode(), len(body), body)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		reply, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, w.read(t, reply), "late")
	})
}
