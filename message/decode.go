package message

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Decode sets the fields of the struct that into points to from the fields of the message, XML or JSON. Package event
// has structs for WeChat's events; any other struct works too:
//
//	var e struct {
//		MsgID  int64
//		Status string
//	}
//	err := m.Decode(&e)
//
// A Go field takes the WeChat field with its name, or else one whose name differs only in letter case and underscores:
// TraceID takes trace_id. A tag sets other names: `wechat:"SubscribeMsgPopupEvent>List,List"` lists paths from one
// element to the next, of which the first that exists is used. Fields are strings, booleans, numbers, time.Time
// (seconds since 1970), Element, structs, and slices of these. A slice takes all elements with the name below all
// elements of the path; a single element is one item, and an empty list (<List></List>, null, []) is none. A field that
// WeChat did not send is not changed. The error names the field with an invalid value.
func (m *Message) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("message: decode into %T: want a pointer to a struct", into)
	}
	if err := decodeStruct(&m.Root, v.Elem()); err != nil {
		return fmt.Errorf("message: decode %w", err)
	}
	return nil
}

func decodeStruct(e *Element, v reflect.Value) error {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			if err := decodeStruct(e, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		if !f.IsExported() {
			continue
		}
		paths, ok := f.Tag.Lookup("wechat")
		if !ok {
			paths = f.Name
		}
		found := findPath(e, paths)
		if len(found) == 0 {
			continue
		}
		if err := decodeField(found, v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

// findPath returns the elements at the first path that exists.
func findPath(e *Element, paths string) []*Element {
	for path := range strings.SplitSeq(paths, ",") {
		at := []*Element{e}
		for name := range strings.SplitSeq(path, ">") {
			var below []*Element
			for _, parent := range at {
				below = append(below, parent.findChildren(name)...)
			}
			at = below
		}
		if len(at) > 0 {
			return at
		}
	}
	return nil
}

func decodeField(found []*Element, v reflect.Value) error {
	if v.Kind() != reflect.Slice {
		return decodeValue(found[0], v)
	}
	found = withoutEmptyLists(found, v.Type().Elem().Kind() == reflect.Struct)
	list := reflect.MakeSlice(v.Type(), len(found), len(found))
	for i, e := range found {
		if err := decodeValue(e, list.Index(i)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// withoutEmptyLists removes the elements that mean an empty list. Of structs these are all empty elements. Of other
// values an empty element is a value, unless all are empty.
func withoutEmptyLists(found []*Element, structs bool) []*Element {
	full := slices.DeleteFunc(slices.Clone(found), (*Element).isEmptyList)
	if structs || len(full) == 0 {
		return full
	}
	return slices.DeleteFunc(found, func(e *Element) bool { return e.emptyArray })
}

func decodeValue(e *Element, v reflect.Value) error {
	switch to := v.Addr().Interface().(type) {
	case *Element:
		*to = *e
		return nil
	case *time.Time:
		if n := strings.TrimSpace(e.Text); n != "" && n != "0" && !parseInto(to, n) {
			return fmt.Errorf("invalid time %.40q: want seconds since 1970", e.Text)
		}
		return nil
	}
	text := strings.TrimSpace(e.Text)
	var err error
	switch v.Kind() {
	case reflect.Struct:
		return decodeStruct(e, v)
	case reflect.String:
		v.SetString(e.Text)
		return nil
	case reflect.Bool:
		switch text {
		case "true", "1":
			v.SetBool(true)
		case "false", "0", "":
			v.SetBool(false)
		default:
			return fmt.Errorf("invalid boolean %.40q: want true or false", text)
		}
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var n int64
		if text != "" {
			n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var n uint64
		if text != "" {
			n, err = strconv.ParseUint(text, 10, v.Type().Bits())
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		var n float64
		if text != "" {
			n, err = strconv.ParseFloat(text, v.Type().Bits())
		}
		v.SetFloat(n)
	default:
		return fmt.Errorf("unsupported type %s of a Go field", v.Type())
	}
	if err != nil {
		return fmt.Errorf("invalid value %.40q: want %s", text, v.Type())
	}
	return nil
}
