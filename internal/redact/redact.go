// Package redact keeps secrets out of printed, logged and encoded values.
package redact

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

const (
	// Mask replaces a secret that is set.
	Mask = "********"

	placeholder = "(redacted)"
)

// Struct is embedded in a struct that contains a secret. The struct then shows "(redacted)" under all verbs of package
// fmt but %p, which go vet refuses for structs, in package slog and as JSON. An exported struct embeds it by an
// unexported alias. A struct with such a struct in an unexported field must embed it too, since fmt does not call
// methods of unexported fields.
type Struct struct{}

// Format implements fmt.Formatter.
func (Struct) Format(s fmt.State, _ rune) { io.WriteString(s, placeholder) }

// MarshalText implements encoding.TextMarshaler, which package slog and encoding/json use.
func (Struct) MarshalText() ([]byte, error) { return []byte(placeholder), nil }

// Format prints v, which is a [Copy], like package fmt does.
func Format(s fmt.State, verb rune, v any) { fmt.Fprintf(s, fmt.FormatString(s, verb), v) }

// Copy returns v, a struct type without methods, in which Mask replaces each string whose field name is that of a
// secret. Nested structs print by their own methods.
func Copy[T any](v T) T {
	fields := reflect.ValueOf(&v).Elem()
	for i := range fields.NumField() {
		f := fields.Field(i)
		if Secret(fields.Type().Field(i).Name) && f.Kind() == reflect.String && f.Len() > 0 {
			f.SetString(Mask)
		}
	}
	return v
}

// Address returns the URL of a store without the part that may have a password.
func Address(url string) string {
	if scheme, rest, ok := strings.Cut(url, "://"); ok && rest != "" {
		return scheme + "://" + Mask
	}
	return url
}

// Secret reports whether field is the name of a field with a secret.
func Secret(field string) bool {
	name := strings.TrimSuffix(strings.ToLower(field), "s")
	for _, end := range []string{"secret", "token", "password", "passphrase", "aeskey", "signkey", "apikey", "apiv3key", "privatekey", "secretkey", "sessionkey"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return name == "key" || name == "previouskey" || name == "nextkey" || name == "userticket"
}
