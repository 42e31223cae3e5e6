package gateway

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/wetoken/wetoken/internal/field"
)

// checkBlanks returns an error if a text in v begins or ends with a blank, unless its field is tagged blanks:"kept".
func checkBlanks(path string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		if err := field.CheckBlanks(v.String()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return checkBlanks(path, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Tag.Get("blanks") == "kept" {
				continue
			}
			inner := path
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				inner = joinPath(path, name)
			}
			if err := checkBlanks(inner, v.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := checkBlanks(fmt.Sprintf("%s[%d]", path, i), v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for key, elem := range v.Seq2() {
			if err := checkBlanks(joinPath(path, key.String()), elem); err != nil {
				return err
			}
		}
	}
	return nil
}
