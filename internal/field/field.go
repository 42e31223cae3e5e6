// Package field checks configured values.
package field

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// ErrBlank is the error of a value that begins or ends with a blank, a line end or an invisible character, as copied
// values often do.
var ErrBlank = errors.New("begins or ends with a blank or a line end: remove it")

// CheckBlanks returns ErrBlank if value begins or ends with a blank.
func CheckBlanks(value string) error {
	if strings.TrimFunc(value, isBlank) != value {
		return ErrBlank
	}
	return nil
}

// CheckOneOf returns an error that names the values of want if value is not one of them.
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

// isBlank reports whether r is invisible.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}
