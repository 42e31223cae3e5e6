package relay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// Local is a transport that serves each request with a handler of this process, for targets on this server. The handler can tell such a
// request by IsLocal.
type Local struct{ http.Handler }

type localKey struct{}

// IsLocal reports whether a Local serves the request with this context: this process has made the request for a target that somebody else
// may have named.
func IsLocal(ctx context.Context) bool { return ctx.Value(localKey{}) != nil }

func (p Local) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(context.WithValue(r.Context(), localKey{}, true))
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	w := &responseBuffer{header: make(http.Header)}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("the handler panicked: %v", v)
			}
		}()
		p.Handler.ServeHTTP(w, in)
		w.WriteHeader(http.StatusOK)
		done <- nil
	}()
	select {
	case err := <-done:
		if err != nil {
			return nil, err
		}
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r}, nil
}

// responseBuffer is an http.ResponseWriter that stores the response.
type responseBuffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *responseBuffer) Header() http.Header { return w.header }

func (w *responseBuffer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *responseBuffer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len() <= MaxResponse { // the sender refuses a longer response
		w.body.Write(p)
	}
	return len(p), nil
}
