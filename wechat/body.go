package wechat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

const maxBody = 32 << 20

// encode reads body into memory, so that the request can be sent twice.
func (r *request) encode(body any) (err error) {
	switch b := body.(type) {
	case nil:
	case File:
		r.body, r.contentType, err = b.encode()
	case *File:
		return r.encode(*b)
	case []byte:
		r.contentType = "application/octet-stream"
		r.body, err = bounded(b, nil)
	case io.Reader:
		r.contentType = "application/octet-stream"
		r.body, err = readAll(b, maxBody)
	default:
		r.contentType = "application/json; charset=utf-8"
		r.body, err = bounded(marshal(b))
	}
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

func bounded(b []byte, err error) ([]byte, error) {
	if err == nil && len(b) > maxBody {
		err = fmt.Errorf("more than %d bytes", maxBody)
	}
	return b, err
}

// marshal writes JSON as WeChat wants it: <, > and & stand for themselves, as escapes are shown to users.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// readAll reads to the end, and fails rather than read more than limit bytes.
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
