package token_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// newServer serves h over a real socket until the test ends.
func newServer(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
