// Package wirejson reads the JSON that WeChat writes: with control characters inside strings, after a byte order mark,
// and with numbers as text. Errors contain an offset and a field, and never a part of the JSON, which may hold secrets.
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
	Offset int // bytes of the original text before the error
	Len    int // bytes of the text
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("JSON syntax error at offset %d of %d bytes", e.Offset, e.Len)
}

// Clean returns b without a byte order mark in front and without bytes below 0x20 inside strings, which encoding/json
// does not accept. It does not change b, and returns a part of b when no byte inside is dropped.
func Clean(b []byte) []byte {
	b = trimStart(b)
	var s scanner
	for i, c := range b {
		if s.keep(c) {
			continue
		}
		clean := append(make([]byte, 0, len(b)), b[:i]...)
		for _, c := range b[i+1:] {
			if s.keep(c) {
				clean = append(clean, c)
			}
		}
		return clean
	}
	return b
}

// Check returns a *[SyntaxError] if Clean(b) is not JSON.
func Check(b []byte) error {
	if clean := Clean(b); !json.Valid(clean) {
		return newSyntaxError(b, json.Unmarshal(clean, new(any)))
	}
	return nil
}

// Unmarshal decodes Clean(b) into out as encoding/json does. It returns a *[SyntaxError] if Clean(b) is not JSON.
func Unmarshal(b []byte, out any) error {
	clean := Clean(b)
	err := json.Unmarshal(clean, out)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, new(*json.SyntaxError)) && !json.Valid(clean): // otherwise an UnmarshalJSON returned it
		return newSyntaxError(b, err)
	case errors.As(err, &wrong):
		unquoted := *wrong
		unquoted.Value, _, _ = strings.Cut(wrong.Value, " ") // it is "number 123" for a number
		if wrong.Offset == 0 {                               // an UnmarshalJSON returned it
			return &unquoted
		}
		return fmt.Errorf("%w, at offset %d", &unquoted, originalOffset(b, wrong.Offset))
	}
	return err
}

func newSyntaxError(b []byte, err error) *SyntaxError {
	at := len(b)
	if wrong := (*json.SyntaxError)(nil); errors.As(err, &wrong) {
		at = originalOffset(b, wrong.Offset)
	}
	return &SyntaxError{Offset: at, Len: len(b)}
}

// originalOffset returns the offset in b of the byte that follows the first n bytes of Clean(b).
func originalOffset(b []byte, n int64) int {
	i := len(b) - len(trimStart(b))
	for s := (scanner{}); i < len(b) && n > 0; i++ {
		if s.keep(b[i]) {
			n--
		}
	}
	return i
}

func trimStart(b []byte) []byte { return bytes.TrimLeft(b, "\ufeff \t\r\n") }

// scanner decides byte by byte which bytes of JSON are kept.
type scanner struct{ inString, escaped bool }

// keep reports whether Clean keeps c, the next byte. A dropped byte does not change the state of s.
func (s *scanner) keep(c byte) bool {
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
