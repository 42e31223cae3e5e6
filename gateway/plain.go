package gateway

import (
	"cmp"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/redact"
)

// encodePlain returns the JSON of a part of the configuration in the shape that ParseConfig reads, secrets included. The keys
// of unset fields are left out.
func encodePlain(v any) (json.RawMessage, error) {
	return json.Marshal(treeOf(reflect.ValueOf(v), false))
}

// maskedTree returns a struct of the configuration as maps, lists and scalars, with stars in place of its secrets. Unset fields are
// left out.
func maskedTree(v any) map[string]any { return treeOf(reflect.ValueOf(v), true).(map[string]any) }

// treeOf returns v as maps, lists and scalars.
func treeOf(v reflect.Value, masked bool) any {
	switch x := v.Interface().(type) {
	case time.Time:
		return x
	case Duration:
		return time.Duration(x).String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return treeOf(v.Elem(), masked)
	case reflect.Struct:
		fields := make(map[string]any)
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || jsonName(f) == "-" || isUnset(v.Field(i)) {
				continue
			}
			if masked && isSecret(f) {
				fields[jsonName(f)] = redact.Mask
				continue
			}
			fields[jsonName(f)] = treeOf(v.Field(i), masked)
		}
		return fields
	case reflect.Map:
		fields := make(map[string]any, v.Len())
		for key, elem := range v.Seq2() {
			fields[key.String()] = treeOf(elem, masked)
		}
		return fields
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = treeOf(v.Index(i), masked)
		}
		return list
	}
	return v.Interface()
}

func isUnset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return cmp.Or(name, f.Name)
}

// isSecret reports whether a field holds a secret.
func isSecret(f reflect.StructField) bool {
	return f.Type.Kind() == reflect.String && redact.Secret(f.Name)
}
