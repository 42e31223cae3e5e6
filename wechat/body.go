package wechat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

const maxRequest = 32 << 20

// encodeBody reads body into memory, so that the request can be repeated.
func (r *request) encodeBody(body any) (err error) {
	switch b := body.(type) {
	case nil:
	case File:
		r.body, r.contentType, err = b.encode()
	case *File:
		return r.encodeBody(*b)
	case []byte:
		r.contentType = "application/octet-stream"
		r.body, err = limitSize(b, nil)
	case io.Reader:
		r.contentType = "application/octet-stream"
		r.body, err = readAll(b, maxRequest)
	default:
		r.contentType = "application/json; charset=utf-8"
		r.body, err = limitSize(encodeJSON(b))
	}
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

func limitSize(b []byte, err error) ([]byte, error) {
	if err == nil && len(b) > maxRequest {
		err = fmt.Errorf("more than %d bytes", maxRequest)
	}
	return b, err
}

// encodeJSON encodes JSON without escapes for <, > and &, which WeChat would show to users.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// readAll reads r to its end. Content of more than limit bytes is an error.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	if r == nil {
		return nil, fmt.Errorf("no content")
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return b, err
}
