package paytest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
)

// Client returns an HTTP client that reaches the Server without a socket. Every request goes to the Server whatever its
// host, so nothing leaves the process, and https URLs need no certificate. It works inside testing/synctest bubbles.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: InMemory(s)}
}

// InMemory returns a transport that reaches a handler of this process without a socket, whatever the host of the URL. A
// request whose context ends returns the context's error at once. It sets for the handler what a server sets: a
// RequestURI, a User-Agent, a copy of the headers.
func InMemory(h http.Handler) http.RoundTripper {
	return inMemory{handler: h}
}

type inMemory struct {
	handler http.Handler
	state   *tls.ConnectionState
}

// errRefused and errReset are the errors of a faulted call without an answer.
var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
)

// RoundTrip serves the request on a goroutine of its own, because the handler may take longer than the caller's context
// lasts. A long answer is held whole, except one that is flushed.
func (t inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	closeBody := sync.OnceFunc(func() {
		if r.Body != nil {
			_ = r.Body.Close() // the body was read already
		}
	})
	if err := ctx.Err(); err != nil {
		closeBody()
		return nil, err
	}
	in := r.Clone(ctx)
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Header == nil {
		in.Header = make(http.Header)
	}
	if _, set := in.Header["User-Agent"]; !set {
		in.Header.Set("User-Agent", "Go-http-client/1.1")
	}
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	in.TLS = t.state

	reader, writer := io.Pipe()
	forget := context.AfterFunc(ctx, func() { _ = writer.CloseWithError(ctx.Err()) })
	w := &memoryWriter{header: make(http.Header), body: writer, started: make(chan *http.Response, 1), failed: make(chan error, 1), request: r, reader: reader}
	go func() {
		defer closeBody()
		defer w.end()
		defer forget()
		t.handler.ServeHTTP(w, in)
	}()
	select {
	case res := <-w.started:
		return res, nil
	case err := <-w.failed:
		return nil, err
	case <-ctx.Done():
		closeBody() // frees a reader that waits for a pipe
		return nil, ctx.Err()
	}
}

// memoryWriter is a ResponseWriter whose answer is a Response. Bytes are buffered until there are many, so that a short
// answer needs no reader to be complete.
type memoryWriter struct {
	header  http.Header
	status  int
	buffer  bytes.Buffer
	body    *io.PipeWriter
	reader  *io.PipeReader
	request *http.Request
	open    bool // whether the answer was returned; the body is a pipe
	started chan *http.Response
	failed  chan error
}

const bufferUpTo = 64 << 10

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *memoryWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.open {
		return w.body.Write(b)
	}
	w.buffer.Write(b)
	if w.buffer.Len() > bufferUpTo {
		w.Flush()
	}
	return len(b), nil
}

// Flush returns the answer to the caller and streams the rest.
func (w *memoryWriter) Flush() {
	w.WriteHeader(http.StatusOK)
	if !w.open {
		w.open = true
		w.started <- w.response(w.reader, -1)
	}
	if w.buffer.Len() > 0 {
		_, _ = w.body.Write(w.buffer.Bytes()) // a closed reader stops the next write
		w.buffer.Reset()
	}
}

func (w *memoryWriter) response(body io.ReadCloser, length int64) *http.Response {
	return &http.Response{
		Status:        strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header.Clone(),
		Body:          body,
		ContentLength: length,
		Request:       w.request,
	}
}

// end completes the answer, or breaks it when the handler broke off.
func (w *memoryWriter) end() {
	var err error
	switch v := recover().(type) {
	case nil:
	case broken:
		err = v.err
	case error:
		err = v
		if errors.Is(v, http.ErrAbortHandler) {
			err = io.EOF // as net/http reports a connection that closes before an answer
		}
	default:
		panic(v)
	}
	switch {
	case err != nil && w.open:
		_ = w.body.CloseWithError(io.ErrUnexpectedEOF)
	case err != nil:
		w.failed <- err
	case w.open:
		_ = w.body.CloseWithError(w.request.Context().Err()) // nil: the end of the answer
	default:
		w.WriteHeader(http.StatusOK)
		w.started <- w.response(io.NopCloser(&w.buffer), int64(w.buffer.Len()))
	}
}

// broken is the value with which a handler of this package panics to end a connection.
type broken struct{ err error }

// breakOff ends the connection of w without an answer.
func breakOff(w http.ResponseWriter, err error) {
	if _, ok := w.(*memoryWriter); ok {
		panic(broken{err})
	}
	if hijacker, ok := w.(http.Hijacker); ok {
		if conn, _, err := hijacker.Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // resets
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}
