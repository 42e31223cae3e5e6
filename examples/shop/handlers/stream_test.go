package handlers_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/handlers"
	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/store"
)

// stream is an open stream of an order, as its client reads it.
type stream struct {
	http.ResponseWriter
	mu   sync.Mutex
	text strings.Builder
	done chan struct{}
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *stream) Flush() {}

// read returns what has come since the last call.
func (s *stream) read() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.text.Reset()
	return s.text.String()
}

// openStream opens the stream of an order, until ctx ends.
func openStream(ctx context.Context, t *testing.T, h http.Handler, token, no string) *stream {
	t.Helper()
	r := httptest.NewRequestWithContext(ctx, "GET", "/orders/"+no+"/events", nil)
	r.Header.Set("Accept", "text/event-stream")
	r.AddCookie(&http.Cookie{Name: "shop_token", Value: token})
	s := &stream{ResponseWriter: httptest.NewRecorder(), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		h.ServeHTTP(s, r)
	}()
	return s
}

var codeText = regexp.MustCompile(`<code>(weixin://[^<]+)</code>`)

// code returns the QR code of the only event in a text.
func (s *stream) code(t *testing.T) string {
	t.Helper()
	text := s.read()
	require.Equal(t, 1, strings.Count(text, "event: state\n"), text)
	m := codeText.FindStringSubmatch(text)
	require.NotNil(t, m, text)
	return m[1]
}

// inBubble places an order in a bubble of synctest.
func inBubble(t *testing.T, test func(t *testing.T, db *sql.DB, h http.Handler, b *shoptest.Bank, token string, o shop.Order)) {
	synctest.Test(t, func(t *testing.T) {
		s := shoptest.OpenInBubble(t)
		b := shoptest.NewBank(t)
		b.Connect(t, s, "v3")
		tokens := &handlers.Tokens{Key: s.Key, Users: s.Store}
		u := shoptest.AddUser(t, s, "alice")
		token, err := tokens.Issue(u)
		require.NoError(t, err)
		o, err := s.PlaceOrder(t.Context(), u.ID, "", 5)
		require.NoError(t, err)
		o, err = s.Pay(t.Context(), o.OutTradeNo)
		require.NoError(t, err)
		test(t, s.Store.(*store.Store).DB, (&handlers.Handlers{Shop: s, Sessions: tokens, Phone: "https://phone.example.com"}).Handler(), b, token, o)
	})
}

func TestAStreamHasANewQRCodeBeforeTheOldOneEndsAndThenThePayment(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *sql.DB, h http.Handler, b *shoptest.Bank, token string, o shop.Order) {
		s := openStream(t.Context(), t, h, token, o.OutTradeNo)
		require.Equal(t, o.CodeURL, s.code(t))
		time.Sleep(25 * time.Minute)
		beats := s.read()
		require.NotContains(t, beats, "event:", "nothing has changed")
		require.Equal(t, 75, strings.Count(beats, ":\n\n"), "the connection is not silent")
		time.Sleep(10 * time.Minute)
		<-s.done // after half an hour; the browser opens another one
		require.NotContains(t, s.read(), "event: end")

		time.Sleep(time.Until(o.CodeExpires) - time.Minute)
		s = openStream(t.Context(), t, h, token, o.OutTradeNo)
		require.Equal(t, o.CodeURL, s.code(t))
		time.Sleep(2 * time.Minute)
		renewed := s.code(t)
		require.NotEqual(t, o.CodeURL, renewed)
		scanAndPay(t, b, renewed)
		<-s.done
		last := s.read()
		require.Contains(t, last, "id: SUCCESS "+renewed+"\n")
		require.Contains(t, last, `data-state="SUCCESS"`)
		require.True(t, strings.HasSuffix(last, "event: end\ndata:\n\n"), last)
	})
}

func TestAUserHasAFewStreamsAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *sql.DB, h http.Handler, b *shoptest.Bank, token string, o shop.Order) {
		ctx, leave := context.WithCancel(t.Context())
		var open []*stream
		for range 8 {
			s := openStream(ctx, t, h, token, o.OutTradeNo)
			require.Equal(t, o.CodeURL, s.code(t))
			open = append(open, s)
		}
		one := openStream(t.Context(), t, h, token, o.OutTradeNo)
		<-one.done
		require.Equal(t, "Too Many Requests\n", one.read())
		leave()
		for _, s := range open {
			<-s.done // a client that leaves ends its stream
		}
		s := openStream(t.Context(), t, h, token, o.OutTradeNo)
		require.Equal(t, o.CodeURL, s.code(t))
		scanAndPay(t, b, o.CodeURL)
		<-s.done
	})
}

func TestAStreamThatFailsIsNotTheLastOne(t *testing.T) {
	inBubble(t, func(t *testing.T, db *sql.DB, h http.Handler, _ *shoptest.Bank, token string, o shop.Order) {
		s := openStream(t.Context(), t, h, token, o.OutTradeNo)
		require.Equal(t, o.CodeURL, s.code(t))
		_, err := db.ExecContext(t.Context(), "DROP TABLE payorder")
		require.NoError(t, err)
		<-s.done
		require.Empty(t, s.read(), "the browser opens another one")
	})
}
