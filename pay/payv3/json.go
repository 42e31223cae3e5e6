package payv3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/pay"
)

// decode reads JSON. A value of another type than expected is left out.
func decode(body []byte, out any) error {
	err := json.Unmarshal(body, out)
	if err == nil {
		return nil
	}
	if errors.As(err, new(*json.SyntaxError)) {
		err = wirejson.Unmarshal(body, out)
	}
	if errors.As(err, new(*json.UnmarshalTypeError)) {
		return nil
	}
	return err
}

// encode writes JSON without escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// numbers are the fields that hold our own numbers. In a path the same name, with hyphens, precedes a number.
var numbers = []string{"out_trade_no", "out_refund_no", "out_bill_no", "out_order_no", "out_return_no", "out_request_no", "combine_out_trade_no"}

// numberIn returns our number that a call names, such as "out_trade_no order-1", or "".
func numberIn(path string, body []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) == nil {
		for _, name := range slices.Backward(numbers) {
			var no string
			if json.Unmarshal(fields[name], &no) == nil && no != "" {
				return name + " " + printable(no, 64)
			}
		}
	}
	path, _, _ = strings.Cut(path, "?")
	words := strings.Split(path, "/")
	for i, word := range words[:len(words)-1] {
		if name := strings.ReplaceAll(word, "-", "_"); slices.Contains(numbers, name) && words[i+1] != "" {
			return name + " " + printable(words[i+1], 64)
		}
	}
	return ""
}

// merge adds extra to fields. Objects are merged, and no value is replaced: its error names field.
func merge(fields, extra map[string]any, field string) error {
	for name, value := range extra {
		old, taken := fields[name]
		inner, object := old.(map[string]any)
		more, objects := value.(map[string]any)
		switch {
		case !taken:
			fields[name] = value
		case object && objects:
			if err := merge(inner, more, field+"."+name); err != nil {
				return err
			}
		default:
			return &pay.FieldError{Field: field, Reason: fmt.Sprintf("sets %q, which another field sets already", name)}
		}
	}
	return nil
}

// beijing is the time zone in which WeChat states times and days.
var beijing = time.FixedZone("CST", 8*60*60)

// moment is a time in any form that WeChat uses. Any other value is the zero time.
type moment struct{ time.Time }

// UnmarshalJSON reads b, and never fails.
func (m *moment) UnmarshalJSON(b []byte) error {
	m.Time = time.Time{}
	b = bytes.Trim(b, `"`)
	if m.UnmarshalText(b) == nil {
		return nil
	}
	for _, layout := range []string{time.RFC3339, "20060102150405", time.DateTime} {
		if t, err := time.ParseInLocation(layout, string(b), beijing); err == nil {
			m.Time = t
			return nil
		}
	}
	m.Time = time.Time{}
	return nil
}

// word is a text that is mostly one of words, for which nothing is allocated.
type word string

var words = []word{"AEAD_AES_256_GCM", "TRANSACTION.SUCCESS", "SUCCESS", "JSAPI", "NATIVE", "APP", "MWEB", "MICROPAY", "REFUND.SUCCESS"}

// UnmarshalJSON reads b. It ignores a value that is not a text.
func (w *word) UnmarshalJSON(b []byte) error {
	for _, known := range words {
		if len(b) == len(known)+2 && string(b[1:len(b)-1]) == string(known) {
			*w = known
			return nil
		}
	}
	var text string
	if json.Unmarshal(b, &text) == nil {
		*w = word(text)
	}
	return nil
}
