package compat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const maxBody = 64 << 10 // bytes

// errBody reports a body that is not read. Its text is for old clients.
var errBody = errors.New("the body is neither JSON nor a form, or is longer than 64 KiB")

// params are the parameters of a request: those of its query, and those of its body.
type params struct{ query, body url.Values }

// text returns a parameter. The query wins.
func (p params) text(name string) string {
	if p.query.Has(name) {
		return p.query.Get(name)
	}
	return p.body.Get(name)
}

// conflicts reports whether the query and the body have different values, or one of them has several.
func (p params) conflicts(name string) bool {
	all := append(append([]string(nil), p.query[name]...), p.body[name]...)
	for _, v := range all {
		if v != all[0] {
			return true
		}
	}
	return false
}

// readQuery returns the parameters of the query. Old clients send unknown ones, and some without a value.
func readQuery(r *http.Request) params { return params{query: r.URL.Query()} }

// readParams returns the parameters of the query and of the body. The error is errBody.
func readParams(w http.ResponseWriter, r *http.Request) (params, error) {
	p := readQuery(r)
	if r.Method != http.MethodPost || r.Body == nil || r.ContentLength == 0 {
		return p, nil
	}
	body, err := readBody(w, r)
	if err != nil {
		return p, errBody
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return p, nil
	}
	kind, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("Content-Type") == "" && body[0] == '{', err == nil && kind == "application/json":
		p.body, err = readJSON(body)
	case r.Header.Get("Content-Type") == "", err == nil && kind == "application/x-www-form-urlencoded":
		p.body, err = url.ParseQuery(string(body))
	case err == nil && kind == "multipart/form-data" && options["boundary"] != "":
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err = r.ParseMultipartForm(maxBody); err == nil {
			p.body = r.MultipartForm.Value
		}
	default:
		err = errBody
	}
	if err != nil {
		return p, errBody
	}
	return p, nil
}

// bodyTimeout is the time for a body to arrive.
const bodyTimeout = 10 * time.Second

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // fails without a connection, as in tests
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// readJSON returns the texts, numbers and truth values of an object as text.
func readJSON(body []byte) (url.Values, error) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&object); err != nil || object == nil {
		return nil, errBody
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errBody
	}
	return flatten(object), nil
}

func flatten(object map[string]any) url.Values {
	all := make(url.Values, len(object))
	for name, v := range object {
		switch v.(type) {
		case string, json.Number, bool:
			all.Set(name, fmt.Sprint(v))
		}
	}
	return all
}

// newBody returns a body for a request that this process serves itself.
func newBody(text string) io.ReadCloser { return io.NopCloser(strings.NewReader(text)) }
