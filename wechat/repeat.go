package wechat

import (
	"bytes"
	"io"
	"net/http"
)

const maxRepeated = 1 << 20 // bytes of a request body held for a second try

// heldBody is a request body that can be sent more than once.
type heldBody struct {
	first  io.ReadCloser
	again  func() (io.ReadCloser, error) // nil if the body is sent once
	length int64
}

// holdBody returns the body of r, read into memory if it cannot be read again. It closes the body on an error.
func holdBody(r *http.Request) (heldBody, error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return heldBody{r.Body, func() (io.ReadCloser, error) { return r.Body, nil }, r.ContentLength}, nil
	case r.GetBody != nil:
		return heldBody{r.Body, r.GetBody, r.ContentLength}, nil
	case r.ContentLength > maxRepeated:
		return heldBody{r.Body, nil, r.ContentLength}, nil
	}
	held, err := readStart(r)
	if err != nil {
		return heldBody{}, err
	}
	if len(held) > maxRepeated {
		rest := struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(held), r.Body), r.Body}
		return heldBody{rest, nil, r.ContentLength}, nil
	}
	r.Body.Close()
	length := r.ContentLength
	if length <= 0 && len(held) > 0 {
		length = int64(len(held))
	}
	again := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(held)), nil }
	first, err := again()
	return heldBody{first, again, length}, err
}

// readStart reads a body to its end, or one byte more than may be held. It returns early when the context of r ends,
// since the source of the body may stall.
func readStart(r *http.Request) ([]byte, error) {
	type start struct {
		held []byte
		err  error
	}
	done := make(chan start, 1)
	go func() {
		held, err := io.ReadAll(io.LimitReader(r.Body, maxRepeated+1))
		done <- start{held, err}
	}()
	select {
	case s := <-done:
		if s.err != nil {
			r.Body.Close()
		}
		return s.held, s.err
	case <-r.Context().Done():
		go r.Body.Close() // may wait for the read
		return nil, r.Context().Err()
	}
}

func closeBody(b io.ReadCloser) {
	if b != nil {
		b.Close()
	}
}
