// Package field checks values that people set.
package field

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// ErrBlank says that a value begins or ends with a blank, a line end or an invisible character, as values do that were
// copied from a page or read from a file whole.
var ErrBlank = errors.New("begins or ends with a blank or a line end: remove it")

// CheckBlanks returns ErrBlank, or nil.
func CheckBlanks(value string) error {
	if strings.TrimFunc(value, blank) != value {
		return ErrBlank
	}
	return nil
}

// CheckOneOf returns an error that names the values of want if value is none of them.
func CheckOneOf[T ~string](value T, want ...T) error {
	if slices.Contains(want, value) {
		return nil
	}
	names := make([]string, len(want))
	for i, w := range want {
		names[i] = string(w)
	}
	last := len(names) - 1
	return fmt.Errorf("is %.20q: want %s or %s", string(value), strings.Join(names[:last], ", "), names[last])
}

// blank reports whether a reader sees nothing where r stands.
func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}
