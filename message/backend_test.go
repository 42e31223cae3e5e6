package message_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
)

// backends are handlers by host. They are called in memory, so that they work in synctest bubbles. A host without a
// handler refuses connections.
type backends struct {
	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	received []received
}

// received is a request to a backend.
type received struct {
	*http.Request
	Body string
	At   time.Time
}

var errRefused = &url.Error{Op: "dial", URL: "http://secret/", Err: io.EOF}

func (b *backends) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.received = append(b.received, received{r, string(body), time.Now()})
	h := b.handlers[r.URL.Host]
	b.mu.Unlock()
	if h == nil {
		return nil, errRefused
	}
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h(w, in)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// requests returns the requests to a host.
func (b *backends) requests(host string) (list []received) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.received {
		if s.URL.Host == host {
			list = append(list, s)
		}
	}
	return list
}

func (b *backends) set(host string, h http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.handlers == nil {
		b.handlers = make(map[string]http.HandlerFunc)
	}
	b.handlers[host] = h
}

func (b *backends) client() *http.Client { return &http.Client{Transport: b} }

// respondAfter responds with a body after a time.
func respondAfter(after time.Duration, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(after):
			io.WriteString(w, body)
		case <-r.Context().Done():
		}
	}
}

func replyJSON(content string) string { return `{"MsgType":"text","Content":"` + content + `"}` }

// forwarding returns a Receiver that forwards to targets, at the hosts a, b, c … in order where no URL is given.
func forwarding(t testing.TB, b *backends, targets []message.Backend, more ...func(*message.Config)) (*message.Receiver, *logBuffer) {
	for i := range targets {
		if targets[i].URL == "" {
			targets[i].URL = "http://" + string(rune('a'+i)) + "/wx"
		}
	}
	return receiver(t, func(c *message.Config) {
		c.Forward = message.Forwarding{Backends: targets, HTTP: b.client(), SignKeys: []string{"sign key"}}
		c.Store = new(store.Memory)
		for _, f := range more {
			f(c)
		}
	})
}

func ask(n int) (list []message.Backend) {
	for range n {
		list = append(list, message.Backend{Answer: true})
	}
	return list
}
