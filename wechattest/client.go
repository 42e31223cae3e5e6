package wechattest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// Client returns an HTTP client that reaches the Server without a socket. Every request goes to the Server, whatever its
// host, so nothing leaves the process, and https URLs need no certificate. It works inside testing/synctest bubbles. A
// request whose context ends returns the context's error at once.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: transport{s}}
}

type transport struct{ server *Server }

// RoundTrip serves the request in a goroutine of its own, because a fault or a slow body may take longer than the caller's
// context.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	closeBody := sync.OnceFunc(func() {
		if r.Body != nil {
			_ = r.Body.Close() // a request body that was read has nothing left to say
		}
	})
	if err := ctx.Err(); err != nil {
		closeBody()
		return nil, err
	}
	in := *r
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	ip := t.server.ClientIP
	if ip == "" {
		ip = "127.0.0.1"
	}
	in.RemoteAddr = net.JoinHostPort(ip, "1")

	answer := make(chan reply, 1)
	go func() {
		rep := t.server.do(&in)
		closeBody()
		answer <- rep
	}()
	select {
	case rep := <-answer:
		if err := ctx.Err(); err != nil && rep.cut {
			return nil, err
		}
		return rep.response(r)
	case <-ctx.Done():
		closeBody() // frees a reader that waits for a pipe
		return nil, ctx.Err()
	}
}

// response returns the reply as a client sees it.
func (rep reply) response(r *http.Request) (*http.Response, error) {
	if rep.err != nil {
		return nil, rep.err
	}
	if rep.cut && len(rep.body) == 0 {
		return nil, io.EOF // what net/http reports when the connection closes before an answer
	}
	header := rep.header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	body := io.Reader(bytes.NewReader(rep.body))
	length := int64(len(rep.body))
	if rep.cut {
		body = io.MultiReader(body, broken{})
		length++
	}
	return &http.Response{
		Status:        strconv.Itoa(rep.code()) + " " + http.StatusText(rep.code()),
		StatusCode:    rep.code(),
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(body),
		ContentLength: length,
		Request:       r,
	}, nil
}

// broken is the end of a reply that was cut.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
