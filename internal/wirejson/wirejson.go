// Package wirejson reads JSON as WeChat writes it: with control characters inside strings, behind a byte order mark,
// and with numbers as text. Its errors name an offset and a field, and never quote the JSON, which may hold secrets.
package wirejson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// SyntaxError reports text that is not JSON.
type SyntaxError struct {
	Offset int // bytes read before the error, of the text as it came
	Len    int // bytes of the text
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("JSON syntax error at offset %d of %d bytes", e.Offset, e.Len)
}

// Clean returns b without what keeps encoding/json from reading it: a byte order mark in front, and bytes below 0x20
// inside strings. It leaves b as it is, and returns a part of it when there is nothing to drop within.
func Clean(b []byte) []byte {
	b = trim(b)
	var s scanner
	for i, c := range b {
		if s.keeps(c) {
			continue
		}
		clean := append(make([]byte, 0, len(b)), b[:i]...)
		for _, c := range b[i+1:] {
			if s.keeps(c) {
				clean = append(clean, c)
			}
		}
		return clean
	}
	return b
}

// Check returns a *[SyntaxError] if b, cleaned, is not JSON.
func Check(b []byte) error {
	if clean := Clean(b); !json.Valid(clean) {
		return syntaxError(b, json.Unmarshal(clean, new(any)))
	}
	return nil
}

// Unmarshal decodes b, cleaned, into out as encoding/json does. It returns a *[SyntaxError] if that is not JSON.
func Unmarshal(b []byte, out any) error {
	clean := Clean(b)
	err := json.Unmarshal(clean, out)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, new(*json.SyntaxError)) && !json.Valid(clean): // else it is of an UnmarshalJSON
		return syntaxError(b, err)
	case errors.As(err, &wrong):
		unquoted := *wrong
		unquoted.Value, _, _ = strings.Cut(wrong.Value, " ") // which is "number 123" for a number
		if wrong.Offset == 0 {                               // of an UnmarshalJSON
			return &unquoted
		}
		return fmt.Errorf("%w, at offset %d", &unquoted, offsetIn(b, wrong.Offset))
	}
	return err
}

func syntaxError(b []byte, err error) *SyntaxError {
	at := len(b)
	if wrong := (*json.SyntaxError)(nil); errors.As(err, &wrong) {
		at = offsetIn(b, wrong.Offset)
	}
	return &SyntaxError{Offset: at, Len: len(b)}
}

// offsetIn returns the offset in b of what is behind n bytes of b when cleaned.
func offsetIn(b []byte, n int64) int {
	i := len(b) - len(trim(b))
	for s := (scanner{}); i < len(b) && n > 0; i++ {
		if s.keeps(b[i]) {
			n--
		}
	}
	return i
}

func trim(b []byte) []byte { return bytes.TrimLeft(b, "\ufeff \t\r\n") }

// scanner reads JSON byte by byte.
type scanner struct{ inString, escaped bool }

// keeps reports whether c, the next byte, is kept. A byte that is not kept changes nothing, so that the rest is read as
// though it had never been there.
func (s *scanner) keeps(c byte) bool {
	switch {
	case !s.inString:
		s.inString = c == '"'
	case c < ' ':
		return false
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.inString = false
	}
	return true
}
