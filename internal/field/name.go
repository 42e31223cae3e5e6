package field

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckVisible returns an error for a name that could look like another one: it has an invisible character, such as a mark of
// direction or a blank other than " ", or a blank at an end.
func CheckVisible(name string) error {
	if !utf8.ValidString(name) {
		return errors.New("is not UTF-8")
	}
	for _, r := range name {
		if r != ' ' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) {
			return fmt.Errorf("has the invisible character %U: remove it", r)
		}
	}
	if strings.Trim(name, " ") != name {
		return ErrBlank
	}
	return nil
}

// Quote returns a name as it is if it is one word without invisible characters, and otherwise in quotes, with escapes.
func Quote(name string) string {
	if name == "" || CheckVisible(name) != nil || strings.ContainsAny(name, " ,\"") {
		return strconv.Quote(name)
	}
	return name
}
