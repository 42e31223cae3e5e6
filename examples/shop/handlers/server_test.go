package handlers_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/handlers"
	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/store"
	"github.com/wetoken/wetoken/pay"
)

// server is a shop that takes no payments.
type server struct {
	handler http.Handler
	shop    *shop.Shop
	db      *store.Store
	tokens  *handlers.Tokens
	phones  *shoptest.Phones
}

func newServer(t testing.TB, name string) *server {
	s, db := shoptest.Open(t, name)
	s.Cashier = &pay.Cashier{Store: s.Shared}
	tokens := &handlers.Tokens{Key: s.Key, Users: db}
	h := &handlers.Handlers{Shop: s, Sessions: tokens}
	return &server{h.Handler(), s, db, tokens, s.Sender.(*shoptest.Phones)}
}

// answer is what clients read.
type answer struct {
	http   int
	header http.Header
	text   string
	fields map[string]any
}

// send sends a request from an address. A body that begins with a brace is JSON, another is a form.
func (s *server) send(t *testing.T, method, path, body string, change ...func(*http.Request)) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.1:1234"
	switch {
	case strings.HasPrefix(body, "{"), strings.HasPrefix(body, "["):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	a := answer{http: w.Code, header: w.Header(), text: string(text)}
	_ = json.Unmarshal(text, &a.fields)
	return a
}

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address + ":1234" }
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

// code returns a new code of a mobile.
func (s *server) code(t *testing.T, mobile string) string {
	t.Helper()
	require.NoError(t, s.shop.SendCode(t.Context(), mobile, "198.51.100.1"))
	return s.phones.Code(mobile)
}

// register adds a user whose password is abc123.
func (s *server) register(t *testing.T, username, mobile string) shop.User {
	t.Helper()
	u, err := s.shop.Register(t.Context(), shop.Registration{Username: username, Password: "abc123", Mobile: mobile, Code: s.code(t, mobile)})
	require.NoError(t, err)
	return u
}

// count returns the rows of a table.
func (s *server) count(t *testing.T, table string) (n int) {
	t.Helper()
	require.NoError(t, s.db.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n))
	return n
}
