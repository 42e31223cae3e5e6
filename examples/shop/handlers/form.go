package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 16 << 10

// errBody is the error of a body that is no form and no JSON object.
var errBody = errors.New("invalid body: want a JSON object or a form")

// readFields returns the fields of a request's body, which is a JSON object or a form. Numbers are accepted where old clients send them
// for strings; lists, objects, booleans and null are not.
func readFields(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" {
		if err := r.ParseForm(); err != nil {
			return nil, bodyError(err)
		}
		fields := make(map[string]string, len(r.PostForm))
		for name, values := range r.PostForm {
			if len(values) > 1 {
				return nil, fmt.Errorf("%w: %q has several values", errBody, name)
			}
			fields[name] = values[0]
		}
		return fields, nil
	}
	var values map[string]any
	decoder := json.NewDecoder(r.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return nil, bodyError(err)
	}
	if decoder.More() {
		return nil, errBody
	}
	fields := make(map[string]string, len(values))
	for name, value := range values {
		switch v := value.(type) {
		case string:
			fields[name] = v
		case json.Number:
			fields[name] = v.String()
		default:
			return nil, fmt.Errorf("%w: %q is no string", errBody, name)
		}
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
