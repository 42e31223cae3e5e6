package relay_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/relay"
)

func TestAHandlerKnowsTheRequestsOfItsOwnProcess(t *testing.T) {
	var local []bool
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local = append(local, relay.IsLocal(r.Context()))
		_, _ = io.Copy(w, r.Body)
	})
	c := http.Client{Transport: relay.Local{Handler: h}}
	resp, err := c.Post("http://localhost/x", "text/plain", strings.NewReader("hi"))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "hi", string(body))
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://localhost/x", http.NoBody)
	require.NoError(t, err)
	h(nopWriter{}, r)
	require.Equal(t, []bool{true, false}, local)
}

type nopWriter struct{ http.ResponseWriter }

func (nopWriter) Write(p []byte) (int, error) { return len(p), nil }
