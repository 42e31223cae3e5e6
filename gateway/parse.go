package gateway

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ParseConfig reads a configuration from JSON. Keys match in exact case. It returns an error for an unknown key, a key that
// is given twice or without a value (null or an empty text), and a second document. Errors name keys and show no values.
func ParseConfig(data []byte) (c Config, err error) {
	if err := decodeExactly(data, &c); err != nil {
		return Config{}, fmt.Errorf("gateway: config: %w", err)
	}
	return c, nil
}

// decodeExactly reads JSON into out, a pointer to Config or to a part of it. encoding/json alone would match keys in any
// case, use the last of two equal keys, and name Go types in its errors.
func decodeExactly(data []byte, out any) error {
	s := shapeChecker{Decoder: json.NewDecoder(bytes.NewReader(data)), keys: make(map[reflect.Type]map[string]reflect.Type)}
	s.UseNumber()
	if err := s.check(reflect.TypeOf(out).Elem(), ""); err != nil {
		return err
	}
	if _, err := s.Token(); !errors.Is(err, io.EOF) {
		return errors.New("a second document follows")
	}
	if err := json.Unmarshal(data, out); err != nil {
		return errors.New("cannot be read") // check finds this error before
	}
	return nil
}

// shapeChecker compares a JSON document with the type that it is for.
type shapeChecker struct {
	*json.Decoder
	keys map[reflect.Type]map[string]reflect.Type
}

// check reads the next value, which is for type t. path names it in errors.
func (s *shapeChecker) check(t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if hasUnmarshaler(t) {
		return s.checkUnmarshaler(t, path)
	}
	token, err := s.Token()
	if err != nil {
		return syntaxError(err)
	}
	if token == nil {
		return pathError(path, textNoValue)
	}
	if got := formOf(token); got != wantedForms[t.Kind()] {
		hint := ""
		if t.Kind() == reflect.String {
			hint = formHints[got]
		}
		return pathError(path, "want "+string(wantedForms[t.Kind()])+", not "+string(got)+hint)
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.checkKeys(s.keysOf(t), nil, path)
	case reflect.Map:
		return s.checkKeys(nil, t.Elem(), path)
	case reflect.Slice:
		return s.checkList(t.Elem(), path)
	case reflect.String:
		if token == "" {
			return pathError(path, textNoValue)
		}
	case reflect.Int, reflect.Int64:
		if _, err := strconv.ParseInt(token.(json.Number).String(), 10, t.Bits()); err != nil {
			return pathError(path, "want a whole number")
		}
	}
	return nil
}

const textNoValue = "is empty: set it, or leave the key out"

// form is the JSON form of a value, in words.
type form string

const (
	formText    form = "text"
	formNumber  form = "a number"
	formBool    form = "true or false"
	formList    form = "a list"
	formMapping form = "a mapping"
)

// wantedForms are the forms by the kinds of the fields of Config.
var wantedForms = map[reflect.Kind]form{
	reflect.String: formText, reflect.Int: formNumber, reflect.Int64: formNumber, reflect.Bool: formBool,
	reflect.Slice: formList, reflect.Map: formMapping, reflect.Struct: formMapping,
}

// formHints help where text is wanted.
var formHints = map[form]string{formNumber: " (text of digits needs quotes)", formBool: " (true and false as text need quotes)"}

func formOf(token json.Token) form {
	switch token {
	case json.Delim('{'):
		return formMapping
	case json.Delim('['):
		return formList
	}
	switch token.(type) {
	case string:
		return formText
	case bool:
		return formBool
	}
	return formNumber
}

// checkKeys reads the rest of a mapping. Its keys are those of fields or, where fields is nil, any key with a value of type
// elem.
func (s *shapeChecker) checkKeys(fields map[string]reflect.Type, elem reflect.Type, path string) error {
	seen := make(map[string]bool)
	for s.More() {
		token, err := s.Token()
		if err != nil {
			return syntaxError(err)
		}
		name, ok := token.(string)
		if !ok {
			return syntaxError(nil)
		}
		t := elem
		if fields != nil {
			if t, ok = fields[name]; !ok {
				return pathError(path, unknownKey(name, fields))
			}
		}
		if seen[name] {
			return pathError(path, "key "+quoteKey(name)+" is given twice")
		}
		seen[name] = true
		if err := s.check(t, joinPath(path, name)); err != nil {
			return err
		}
	}
	return s.readEnd()
}

// checkList reads the rest of a list.
func (s *shapeChecker) checkList(elem reflect.Type, path string) error {
	for i := 0; s.More(); i++ {
		if err := s.check(elem, path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return s.readEnd()
}

func (s *shapeChecker) readEnd() error {
	if _, err := s.Token(); err != nil {
		return syntaxError(err)
	}
	return nil
}

// hasUnmarshaler reports whether a type reads its own JSON.
func hasUnmarshaler(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// checkUnmarshaler reads a value of a type that reads its own JSON. Its error describes the form that is wanted.
func (s *shapeChecker) checkUnmarshaler(t reflect.Type, path string) error {
	var raw json.RawMessage
	if err := s.Decode(&raw); err != nil {
		return syntaxError(err)
	}
	if string(raw) == "null" || string(raw) == `""` {
		return pathError(path, textNoValue)
	}
	v := reflect.New(t)
	if u, ok := v.Interface().(interface{ shapeOf([]byte) any }); ok { // one of several structs
		inner := shapeChecker{json.NewDecoder(bytes.NewReader(raw)), s.keys}
		inner.UseNumber()
		return inner.check(reflect.TypeOf(u.shapeOf(raw)).Elem(), path)
	}
	err := json.Unmarshal(raw, v.Interface())
	if t, ok := v.Interface().(*time.Time); err == nil && !(ok && t.IsZero()) { // which would count as unset
		return nil
	}
	switch v := v.Interface().(type) {
	case interface{ wantedForm() string }:
		return pathError(path, "want "+v.wantedForm())
	case *time.Time:
		return pathError(path, "want a time such as 2027-01-01T00:00:00Z")
	}
	return pathError(path, "cannot be read")
}

// keysOf returns the keys of a struct, with those of embedded structs, and the types of their values.
func (s *shapeChecker) keysOf(t reflect.Type) map[string]reflect.Type {
	if all, ok := s.keys[t]; ok {
		return all
	}
	all := make(map[string]reflect.Type)
	inner := make(map[string]reflect.Type)
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		embedded := f.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		switch {
		case tag == "-":
		case f.Anonymous && name == "" && embedded.Kind() == reflect.Struct:
			for name, t := range s.keysOf(embedded) {
				inner[name] = t
			}
		case f.IsExported():
			all[cmp.Or(name, f.Name)] = f.Type
		}
	}
	for name, t := range inner {
		if _, ok := all[name]; !ok {
			all[name] = t
		}
	}
	s.keys[t] = all
	return all
}

// unknownKey returns an error text for an unknown key. A value that follows a colon without a blank is part of the key, so
// it may be a secret.
func unknownKey(name string, keys map[string]reflect.Type) string {
	if key, value, ok := strings.Cut(name, ":"); ok && value != "" {
		return "unknown key " + quoteKey(key+":…") + ": a blank must follow the colon"
	}
	for key := range keys {
		if strings.EqualFold(key, name) {
			return "unknown key " + quoteKey(name) + ": want " + key
		}
	}
	return "unknown key " + quoteKey(name)
}

// syntaxError returns an error of encoding/json without the text that it quotes.
func syntaxError(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	return errors.New("not JSON, or cut off")
}

func pathError(path, problem string) error {
	if path == "" {
		return errors.New(problem)
	}
	return errors.New(path + ": " + problem)
}

// joinPath returns the path of a key, such as apps.shop.agent_id.
func joinPath(path, key string) string {
	if len(key) > maxKeyShown || strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		key = quoteKey(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

const maxKeyShown = 64 // bytes of a key in an error

func quoteKey(key string) string {
	if len(key) > maxKeyShown {
		key = strings.ToValidUTF8(key[:maxKeyShown], "") + "…"
	}
	return strconv.Quote(key)
}
