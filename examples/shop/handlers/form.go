package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 16 << 10

// errBody is the error of a body that is no form and no JSON object.
var errBody = errors.New("invalid body: want a JSON object or a form")

// readFields returns the fields of a request's body, which is a JSON object or a form. Numbers are accepted where old clients send them
// for strings; lists, objects, booleans and null are not. The fields that lists names may be lists of these, which are joined by commas.
func readFields(w http.ResponseWriter, r *http.Request, lists ...string) (map[string]string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" {
		if err := r.ParseForm(); err != nil {
			return nil, bodyError(err)
		}
		fields := make(map[string]string, len(r.PostForm))
		for name, values := range r.PostForm {
			if len(values) > 1 && !slices.Contains(lists, name) {
				return nil, fmt.Errorf("%w: %q has several values", errBody, name)
			}
			fields[name] = strings.Join(values, ",")
		}
		return fields, nil
	}
	var values map[string]any
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return nil, bodyError(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errBody
	}
	fields := make(map[string]string, len(values))
	for name, value := range values {
		parts, isList := value.([]any)
		if !isList || !slices.Contains(lists, name) {
			parts = []any{value}
		}
		texts := make([]string, len(parts))
		for i, part := range parts {
			switch v := part.(type) {
			case string:
				texts[i] = v
			case json.Number:
				texts[i] = v.String()
			default:
				return nil, fmt.Errorf("%w: %q is no string", errBody, name)
			}
		}
		fields[name] = strings.Join(texts, ",")
	}
	return fields, nil
}

// bodyError returns the error of a body that is too long as it is, and hides those of decoders.
func bodyError(err error) error {
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		return tooLong
	}
	return errBody
}
