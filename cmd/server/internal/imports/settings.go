package imports

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/redact"
)

// setting is a setting of an app or a merchant that is set.
type setting struct {
	key    string // such as message.token
	value  any
	secret bool
}

// String returns the setting as people are shown it.
func (s setting) String() string {
	if s.secret {
		return s.key + " " + redact.Mask
	}
	if at, ok := s.value.(time.Time); ok {
		return s.key + " " + at.Format(time.RFC3339)
	}
	if text, ok := s.value.(string); ok && strings.HasPrefix(text, "-----BEGIN ") { // a certificate, which is public, but long
		return s.key + " in PEM"
	} else if ok {
		if base, query, _ := strings.Cut(text, "?"); query != "" && strings.Contains(base, "://") { // which may have a secret
			text = base + "?" + redact.Mask
		}
		return fmt.Sprintf("%s %q", s.key, text)
	}
	if list, ok := s.value.([]string); ok {
		return fmt.Sprintf("%s %q", s.key, list)
	}
	return fmt.Sprintf("%s %v", s.key, s.value)
}

// settingsOf returns the settings of an app or a merchant that are set, in the order of their fields.
func settingsOf(v any) []setting { return addSettings(nil, reflect.ValueOf(v), "") }

func addSettings(all []setting, v reflect.Value, path string) []setting {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		if !f.IsExported() || value.IsZero() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		key := path + cmp.Or(name, f.Name)
		if value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
		if _, isTime := value.Interface().(time.Time); value.Kind() == reflect.Struct && !isTime {
			all = addSettings(all, value, key+".")
			continue
		}
		all = append(all, setting{key, value.Interface(), redact.Secret(f.Name)})
	}
	return all
}

// differences returns the keys that want sets and that have has with other values, or not at all. What have sets besides does
// not count: people may have set it since. Nor does a key that have names a file for.
func differences(want, have any) (keys []string) {
	there := make(map[string]any)
	for _, s := range settingsOf(have) {
		there[s.key] = s.value
	}
	for _, s := range settingsOf(want) {
		if _, inFile := there[s.key+"_file"]; !inFile && !equalValues(s.value, there[s.key]) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

func equalValues(a, b any) bool {
	if at, ok := a.(time.Time); ok {
		bt, ok := b.(time.Time)
		return ok && at.Equal(bt)
	}
	return reflect.DeepEqual(a, b)
}

// describe returns the settings of an app or a merchant in one line, with secrets masked.
func describe(v any) string {
	var parts []string
	for _, s := range settingsOf(v) {
		parts = append(parts, s.String())
	}
	return strings.Join(parts, ", ")
}

// equalSettings reports whether two apps, or two merchants, are the same.
func equalSettings(a, b any) bool {
	return slices.EqualFunc(settingsOf(a), settingsOf(b), func(x, y setting) bool { return x.key == y.key && equalValues(x.value, y.value) })
}
