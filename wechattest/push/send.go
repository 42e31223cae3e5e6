package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const maxBody = 1 << 20 // of a reply

// response is the reply of an app.
type response struct {
	status int
	body   []byte
}

// send makes one request to the app, and hangs up after the Timeout.
func (c *Callback) send(ctx context.Context, method string, n int, query url.Values, body []byte) (response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout(), fmt.Errorf("no reply within %s", c.timeout()))
	defer cancel()
	target := c.URL
	if target == "" {
		target = "http://app.example/message"
	}
	if strings.Contains(target, "?") { // keep the query of the URL in the console
		target += "&" + query.Encode()
	} else {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return response{}, errors.New("push: invalid Callback.URL")
	}
	r.Header.Set("User-Agent", "Mozilla/4.0")
	r.Header.Set("Accept", "*/*")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "text/xml")
		if c.JSON {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	round := c.overNetwork
	if c.Handler != nil {
		round = c.inMemory
	}
	answer, err := round(r, n)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return answer, err
}

// overNetwork uses a new connection for each request, as a busy load balancer may.
func (c *Callback) overNetwork(r *http.Request, n int) (response, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if len(c.Addresses) > 0 {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.Addresses[(n-1)%len(c.Addresses)])
		}
	}
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return response{}, err
	case len(body) > maxBody:
		return response{}, errors.New("the reply is longer than 1 MiB")
	}
	return response{resp.StatusCode, body}, nil
}

func (c *Callback) inMemory(r *http.Request, _ int) (response, error) {
	// A copy with the fields that a server sets.
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr, in.Host = r.URL.RequestURI(), "101.226.103.1:1", r.URL.Host
	done := make(chan *recorder, 1)
	go func() {
		w := &recorder{header: make(http.Header)}
		defer func() {
			if recover() != nil { // the server of net/http closes the connection
				w.aborted = true
			}
			done <- w
		}()
		c.Handler.ServeHTTP(w, in)
	}()
	select {
	case w := <-done:
		if w.aborted {
			return response{}, io.EOF
		}
		return w.response(), nil
	case <-r.Context().Done():
		return response{}, r.Context().Err()
	}
}

// recorder is an http.ResponseWriter.
type recorder struct {
	mu      sync.Mutex
	header  http.Header
	status  int
	body    bytes.Buffer
	aborted bool
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.body.Write(p)
}

func (w *recorder) response() response {
	w.WriteHeader(http.StatusOK)
	return response{w.status, w.body.Bytes()}
}
