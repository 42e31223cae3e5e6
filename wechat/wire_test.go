package wechat_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
)

// countConnections serves h, and counts its connections.
func countConnections(t *testing.T, h http.HandlerFunc) (c *wechat.Client, made *atomic.Int32) {
	t.Helper()
	made = new(atomic.Int32)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			made.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return &wechat.Client{BaseURL: srv.URL}, made
}

func TestCallsOfEveryKindShareAConnection(t *testing.T) {
	c, made := countConnections(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/refused":
			io.WriteString(w, `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`)
		case "/file":
			w.Write(bytes.Repeat([]byte{0xff}, 100_000))
		case "/garbage":
			io.WriteString(w, strings.Repeat("garbage", 1000))
		default:
			io.WriteString(w, `{"errcode":0}`)
		}
	})
	for range 10 {
		var file []byte
		require.NoError(t, c.Get(t.Context(), "/x", nil, nil))
		require.NoError(t, c.Post(t.Context(), "/x", nil, map[string]int{"a": 1}, new(struct{})))
		require.NoError(t, c.Post(t.Context(), "/x", nil, wechat.File{Name: "a.jpg", Content: strings.NewReader("x")}, nil))
		require.NoError(t, c.Get(t.Context(), "/file", nil, &file))
		require.ErrorIs(t, c.Get(t.Context(), "/refused", nil, nil), wechat.ErrQuota)
		require.ErrorIs(t, c.Get(t.Context(), "/refused", nil, &file), wechat.ErrQuota)
		require.Error(t, c.Get(t.Context(), "/garbage", nil, nil))
	}
	require.EqualValues(t, 1, made.Load())
}

func TestCallsAtOnceKeepTheirConnections(t *testing.T) {
	const callers, calls = 16, 20
	c, made := countConnections(t, says("", `{}`))
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range calls {
				if err := c.Get(t.Context(), "/x", nil, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, made.Load(), int32(4*callers), "of %d calls each made its own", callers*calls)
}

func TestAClientsTimeoutEndsACall(t *testing.T) {
	c := newClient(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c.HTTP = &http.Client{Timeout: 50 * time.Millisecond}
	err := c.Get(t.Context(), "/x", nil, nil)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
}

func TestARefusalMayHaveAnErrmsgThatIsNotText(t *testing.T) {
	for _, body := range []string{`{"errcode":40001,"errmsg":{"a":1}}`, `{"errcode":40001,"errmsg":null}`, `{"errcode":"40001"}`} {
		require.ErrorIs(t, newClient(t, says("", body)).Get(t.Context(), "/x", nil, nil), wechat.ErrInvalidCredential, body)
	}
}
