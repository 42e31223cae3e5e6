package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// reader prepares the nodes of a document for decoding.
type reader struct {
	env     func(string) (string, bool)
	literal bool // a secret is written in the document
}

// secrets are the keys of secrets.
var secrets = []string{"api-v3-secretkey", "app-secret", "config-token", "config-aes-key", "seal-keys", "admin-key"}

// check writes the keys of a mapping with hyphens, expands its values, and returns an error that names the path of a key that to,
// a pointer to a struct, does not have.
func (r *reader) check(node *yaml.Node, to any, path string) error {
	fields := fieldsOf(reflect.TypeOf(to).Elem())
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		key.Value = hyphens(key.Value)
		name := strings.TrimPrefix(path+"."+key.Value, ".")
		field, ok := fields[key.Value]
		switch {
		case !ok:
			known := make([]string, 0, len(fields))
			for k := range fields {
				known = append(known, k)
			}
			slices.Sort(known)
			return fmt.Errorf("line %d: unknown key %s: want %s", key.Line, name, strings.Join(known, ", "))
		case value.Kind == yaml.AliasNode:
			return fmt.Errorf("line %d: %s: aliases are not supported", value.Line, name)
		case field.Kind() == reflect.Struct && value.Kind == yaml.MappingNode:
			if err := r.check(value, reflect.New(field).Interface(), name); err != nil {
				return err
			}
		case value.Kind == yaml.ScalarNode:
			text, err := expand(value.Value, r.env)
			if err != nil {
				return fmt.Errorf("line %d: %s: %w", value.Line, name, err)
			}
			r.literal = r.literal || slices.Contains(secrets, key.Value) && text == value.Value && text != ""
			if text != value.Value {
				value.Value, value.Tag = text, "" // true and false become booleans
			}
		}
	}
	return nil
}

// fieldsOf returns the types of the fields of a struct, by their keys.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		if options == "inline" {
			for k, v := range fieldsOf(f.Type) {
				fields[k] = v
			}
			continue
		}
		fields[name] = f.Type
	}
	return fields
}

// hyphens returns a key such as authorizeUrl as authorize-url.
func hyphens(key string) string {
	var b strings.Builder
	for i, r := range key {
		switch {
		case r == '_':
			r = '-'
		case unicode.IsUpper(r):
			if i > 0 {
				b.WriteByte('-')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
