// Package redact keeps secrets out of what is printed, logged and encoded.
package redact

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

const (
	// Mask stands in place of a secret that is set.
	Mask = "********"

	whole = "(redacted)"
)

// Struct is embedded in a struct that holds a secret, and shows "(redacted)" in place of it under all verbs of package
// fmt but %p, which go vet refuses for structs, in package slog and as JSON. In an exported struct it is embedded by an unexported alias. A struct that holds
// such a one in an unexported field embeds it too, since fmt calls no methods there.
type Struct struct{}

// Format implements fmt.Formatter.
func (Struct) Format(s fmt.State, _ rune) { io.WriteString(s, whole) }

// MarshalText implements encoding.TextMarshaler, which package slog and encoding/json use.
func (Struct) MarshalText() ([]byte, error) { return []byte(whole), nil }

// Format prints v, which is a [Copy], as package fmt would.
func Format(s fmt.State, verb rune, v any) { fmt.Fprintf(s, fmt.FormatString(s, verb), v) }

// Copy returns v, a struct type without methods, with Mask in place of each string that is a secret by the name of its
// field. Structs within show themselves.
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

// Address returns the URL of a store without what may hold a password.
func Address(url string) string {
	if scheme, rest, ok := strings.Cut(url, "://"); ok && rest != "" {
		return scheme + "://" + Mask
	}
	return url
}

// Secret reports whether a field of this name holds a secret. Keys of other names than these are no secrets.
func Secret(field string) bool {
	name := strings.TrimSuffix(strings.ToLower(field), "s")
	for _, end := range []string{"secret", "token", "password", "passphrase", "aeskey", "signkey", "apikey", "apiv3key", "privatekey", "secretkey", "sessionkey"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return name == "key" || name == "previouskey" || name == "nextkey" || name == "userticket"
}
