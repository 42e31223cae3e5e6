package wechat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/go-resty/resty/v2"
)

// File is a body of [Client.Post] that is sent as multipart/form-data, as WeChat's uploads want it:
//
//	wechat.File{Field: "media", Name: "cat.jpg", Content: f}
type File struct {
	Name    string // file name, whose ending tells WeChat the type
	Content io.Reader

	Field       string            // form field, default "media"
	ContentType string            // default by Name's ending and the first bytes
	Fields      map[string]string // further form fields, such as description
}

// part is the file's form field, with its content as read before.
func (f *File) part(content []byte) *resty.MultipartField {
	field := f.Field
	if field == "" {
		field = "media"
	}
	return &resty.MultipartField{Param: field, FileName: f.Name, ContentType: f.ContentType, Reader: bytes.NewReader(content)}
}

const maxBody = 32 << 20

// encode reads body into memory, so that the request can be sent twice.
func (r *request) encode(body any) (err error) {
	switch b := body.(type) {
	case nil:
	case File:
		r.file = &b
		r.body, err = readAll(b.Content, maxBody)
	case *File:
		return r.encode(*b)
	case []byte:
		r.body, r.contentType = b, "application/octet-stream"
	case io.Reader:
		r.contentType = "application/octet-stream"
		r.body, err = readAll(b, maxBody)
	default:
		r.contentType = "application/json; charset=utf-8"
		r.body, err = marshal(b)
	}
	if err == nil && len(r.body) > maxBody {
		err = fmt.Errorf("more than %d bytes", maxBody)
	}
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
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
