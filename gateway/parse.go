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

// ParseConfig reads a configuration from JSON. Keys are matched by exact case. A key that is not one of Config's is an
// error, and so are one that is given twice, one that is given no value (null or an empty text), and a second document.
// Errors name keys and show no values.
func ParseConfig(data []byte) (c Config, err error) {
	if err := decode(data, &c); err != nil {
		return Config{}, fmt.Errorf("gateway: config: %w", err)
	}
	return c, nil
}

// decode reads JSON into out, a pointer to Config or to a part of it. encoding/json alone would match keys in any case,
// take the last of two, and name Go's types in its errors.
func decode(data []byte, out any) error {
	s := shape{Decoder: json.NewDecoder(bytes.NewReader(data)), keys: make(map[reflect.Type]map[string]reflect.Type)}
	s.UseNumber()
	if err := s.check(reflect.TypeOf(out).Elem(), ""); err != nil {
		return err
	}
	if _, err := s.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the end")
	}
	if err := json.Unmarshal(data, out); err != nil {
		return errors.New("cannot be read") // which check would have found
	}
	return nil
}

// A shape compares a JSON document with the type that it is for.
type shape struct {
	*json.Decoder
	keys map[reflect.Type]map[string]reflect.Type
}

// check reads the next value, which is for a t; path names it in errors.
func (s *shape) check(t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if own(t) {
		return s.checkOwn(t, path)
	}
	token, err := s.Token()
	if err != nil {
		return unreadable(err)
	}
	if token == nil {
		return about(path, noValue)
	}
	if got := formOf(token); got != wants[t.Kind()] {
		hint := ""
		if t.Kind() == reflect.String {
			hint = hints[got]
		}
		return about(path, "want "+string(wants[t.Kind()])+", not "+string(got)+hint)
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
			return about(path, noValue)
		}
	case reflect.Int, reflect.Int64:
		if _, err := strconv.ParseInt(token.(json.Number).String(), 10, t.Bits()); err != nil {
			return about(path, "want a whole number")
		}
	}
	return nil
}

const noValue = "is empty: set it, or leave the key out"

// form is how a value is written.
type form string

const (
	aText    form = "text"
	aNumber  form = "a number"
	aTruth   form = "true or false"
	aList    form = "a list"
	aMapping form = "a mapping"
)

// wants are the forms of all kinds that Config is made of.
var wants = map[reflect.Kind]form{
	reflect.String: aText, reflect.Int: aNumber, reflect.Int64: aNumber, reflect.Bool: aTruth,
	reflect.Slice: aList, reflect.Map: aMapping, reflect.Struct: aMapping,
}

// hints help where text is wanted.
var hints = map[form]string{aNumber: " (text of digits needs quotes)", aTruth: " (true and false as text need quotes)"}

func formOf(token json.Token) form {
	switch token {
	case json.Delim('{'):
		return aMapping
	case json.Delim('['):
		return aList
	}
	switch token.(type) {
	case string:
		return aText
	case bool:
		return aTruth
	}
	return aNumber
}

// checkKeys reads the rest of a mapping. Its keys are those of fields, or any, each with an elem.
func (s *shape) checkKeys(fields map[string]reflect.Type, elem reflect.Type, path string) error {
	seen := make(map[string]bool)
	for s.More() {
		token, err := s.Token()
		if err != nil {
			return unreadable(err)
		}
		name, ok := token.(string)
		if !ok {
			return unreadable(nil)
		}
		t := elem
		if fields != nil {
			if t, ok = fields[name]; !ok {
				return about(path, unknown(name, fields))
			}
		}
		if seen[name] {
			return about(path, "key "+quote(name)+" is given twice")
		}
		seen[name] = true
		if err := s.check(t, join(path, name)); err != nil {
			return err
		}
	}
	return s.end()
}

// checkList reads the rest of a list.
func (s *shape) checkList(elem reflect.Type, path string) error {
	for i := 0; s.More(); i++ {
		if err := s.check(elem, path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return s.end()
}

func (s *shape) end() error {
	if _, err := s.Token(); err != nil {
		return unreadable(err)
	}
	return nil
}

// own reports whether a type reads its own JSON.
func own(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// checkOwn reads a value of a type that reads its own JSON, and says how it is written where it is not.
func (s *shape) checkOwn(t reflect.Type, path string) error {
	var raw json.RawMessage
	if err := s.Decode(&raw); err != nil {
		return unreadable(err)
	}
	if string(raw) == "null" || string(raw) == `""` {
		return about(path, noValue)
	}
	v := reflect.New(t)
	if err := json.Unmarshal(raw, v.Interface()); err == nil {
		return nil
	}
	switch v := v.Interface().(type) {
	case interface{ want() string }:
		return about(path, "want "+v.want())
	case *time.Time:
		return about(path, "want a time such as 2027-01-01T00:00:00Z")
	}
	return about(path, "cannot be read")
}

// keysOf are the keys of a struct, those of structs that it embeds included, and the types of their values.
func (s *shape) keysOf(t reflect.Type) map[string]reflect.Type {
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

// unknown says that there is no such key. A value that follows a colon without a blank is part of the key, and may be a
// secret.
func unknown(name string, keys map[string]reflect.Type) string {
	if key, value, ok := strings.Cut(name, ":"); ok && value != "" {
		return "unknown key " + quote(key+":…") + ": a blank must follow the colon"
	}
	for key := range keys {
		if strings.EqualFold(key, name) {
			return "unknown key " + quote(name) + ": want " + key
		}
	}
	return "unknown key " + quote(name)
}

// unreadable is an error of encoding/json without the text that it found.
func unreadable(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	return errors.New("not JSON, or cut off")
}

func about(path, problem string) error {
	if path == "" {
		return errors.New(problem)
	}
	return errors.New(path + ": " + problem)
}

// join is the path of a key, such as apps.shop.agent_id.
func join(path, key string) string {
	if len(key) > maxShown || strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

const maxShown = 64 // bytes of a key in an error

func quote(key string) string {
	if len(key) > maxShown {
		key = strings.ToValidUTF8(key[:maxShown], "") + "…"
	}
	return strconv.Quote(key)
}
