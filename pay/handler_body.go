package pay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
)

const (
	maxBody     = 256 << 10 // bytes
	bodyTimeout = 10 * time.Second
)

// readBody decodes the JSON of a request, or replies 400 or 413 and returns false.
func readBody(w http.ResponseWriter, r *http.Request, out any) bool {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // fails without a connection
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		writeError(w, http.StatusRequestEntityTooLarge, ErrTooLarge, "", fmt.Sprintf("pay: the body has more than %d bytes", maxBody), nil)
		return false
	}
	if err == nil {
		err = keyChecker{json.NewDecoder(bytes.NewReader(body))}.check(keysOf(reflect.TypeOf(out).Elem()), 0)
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber() // sends a number in extra unchanged
		if err = d.Decode(out); err == nil {
			if _, more := d.Token(); !errors.Is(more, io.EOF) {
				err = errors.New("unexpected data after the JSON value")
			}
		}
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, "", "", "pay: invalid body: want the JSON of this route: "+describeJSONError(err), nil)
		return false
	}
	return true
}

// keyError describes a wrong key of a body.
type keyError string

func (e keyError) Error() string { return string(e) }

// keyChecker reads a body to find the wrong keys that encoding/json accepts.
type keyChecker struct{ *json.Decoder }

// check reads the next value. It returns an error for a key that is given twice and, if known is not nil, for one that is not
// known in this case. The outermost value must be an object.
func (k keyChecker) check(known map[string]bool, depth int) error {
	opened, err := k.Token()
	switch {
	case err != nil:
		return err
	case depth == 0 && opened != json.Delim('{'):
		return keyError("it is not an object")
	case opened != json.Delim('{') && opened != json.Delim('['):
		return nil
	case depth == maxDepth:
		return keyError("it is nested too deeply")
	}
	seen := make(map[string]bool)
	for k.More() {
		if opened == json.Delim('{') {
			token, err := k.Token()
			if err != nil {
				return err
			}
			key, _ := token.(string) // the decoder accepts no other token here
			switch {
			case seen[key]:
				return keyError(fmt.Sprintf("key %q is given twice", key))
			case known != nil && !known[key]:
				return keyError(fmt.Sprintf("unknown field %q", key))
			}
			seen[key] = true
		}
		if err := k.check(nil, depth+1); err != nil {
			return err
		}
	}
	_, err = k.Token()
	return err
}

// keysOf returns the keys of the JSON of a struct.
func keysOf(t reflect.Type) map[string]bool {
	keys := make(map[string]bool)
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		keys[name] = true
	}
	return keys
}

const maxDepth = 32 // of objects and lists in a body

// describeJSONError returns the reason of a decoding error without values from the body.
func describeJSONError(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		kind, _, _ := strings.Cut(wrong.Value, " ")
		return fmt.Sprintf("%s is a %s", wrong.Field, kind)
	case errors.As(err, new(keyError)):
		return shorten(err.Error())
	case strings.HasPrefix(err.Error(), "parsing time"), strings.HasPrefix(err.Error(), "Time."):
		return "expires_at is not a time such as 2026-01-02T03:04:05+08:00"
	}
	return "it is not JSON, or cut off"
}
