package wirejson

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Int is an integer that is written as a number, as a float or as text: 7200, 7200.0, "7200". A fraction is dropped.
// null and "" leave it unchanged.
type Int int64

// UnmarshalJSON reads all of these forms.
func (n *Int) UnmarshalJSON(b []byte) error {
	text, kind := string(b), "number"
	switch {
	case text == "null":
		return nil
	case b[0] == '"':
		kind = "string"
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		if text = strings.TrimSpace(text); text == "" {
			return nil
		}
	}
	f, ok := parseNumber(text)
	if !ok {
		return typeError[int64](kind, b)
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		*n = Int(i)
		return nil
	}
	if math.Abs(f) > maxExact {
		return typeError[int64](kind, b)
	}
	*n = Int(f)
	return nil
}

// Text is a string that may be written as a number: "86", 86, 86.0. null leaves it unchanged.
type Text string

// UnmarshalJSON reads both forms.
func (t *Text) UnmarshalJSON(b []byte) error {
	text := string(b)
	if text == "null" {
		return nil
	}
	if b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		*t = Text(text)
		return nil
	}
	f, ok := parseNumber(text)
	if !ok {
		return typeError[string]("", b)
	}
	if _, err := strconv.ParseInt(text, 10, 64); err != nil && f == math.Trunc(f) && math.Abs(f) <= maxExact {
		text = strconv.FormatInt(int64(f), 10)
	}
	*t = Text(text)
	return nil
}

const (
	maxExact  = 1 << 53 // a float64 holds every integer up to this
	maxDigits = 64      // of a number, in bytes
)

// parseNumber parses a JSON number. strconv alone accepts more.
func parseNumber(text string) (f float64, ok bool) {
	if text == "" || len(text) > maxDigits || (text[0] != '-' && (text[0] < '0' || text[0] > '9')) || !json.Valid([]byte(text)) {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// typeError returns the error of encoding/json for a value that is not a T. encoding/json adds the name of the field.
func typeError[T any](kind string, b []byte) error {
	switch b[0] {
	case '{':
		kind = "object"
	case '[':
		kind = "array"
	case 't', 'f':
		kind = "bool"
	}
	return &json.UnmarshalTypeError{Value: kind, Type: reflect.TypeFor[T]()}
}
