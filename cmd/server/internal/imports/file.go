package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// checkPath refuses a URL, which may have a password, instead of a path, which errors show.
func checkPath(name string) error {
	if strings.Contains(name, "://") {
		return unreadable("the source is a URL: this system has a file")
	}
	return nil
}

// readFile reads a file of bounded size.
func readFile(name string) ([]byte, error) {
	if err := checkPath(name); err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable("%w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return nil, unreadable("%s is not a file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable("%w", err)
	}
	if len(data) > maxFile {
		return nil, unreadable("%s has more than %d bytes", name, maxFile)
	}
	return data, nil
}

// object is a JSON object whose values are read one by one. A value is never shown: it may be a secret.
type object map[string]json.RawMessage

// parseObject parses a JSON object, or the first one of a list.
func parseObject(data []byte) (o object, more int, err error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, 0, errors.New("is not UTF-8")
	}
	if json.Unmarshal(data, &o) == nil && o != nil {
		return o, 0, nil
	}
	var list []object
	if json.Unmarshal(data, &list) != nil {
		return nil, 0, errors.New("is not a JSON object")
	}
	if len(list) == 0 || list[0] == nil {
		return nil, 0, errors.New("is a list without an object")
	}
	return list[0], len(list) - 1, nil
}

// text returns a value that is a text, or a number as a text. An absent one and null are "".
func (o object) text(key string) (string, error) {
	raw, ok := o[key]
	if !ok || string(raw) == "null" {
		return "", nil
	}
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(raw, &s) == nil:
	case raw[0] != '"' && json.Unmarshal(raw, &n) == nil:
		s = n.String()
	default:
		return "", fmt.Errorf("%s is not a text", key)
	}
	if utf8.RuneCountInString(s) > maxValue {
		return "", fmt.Errorf("%s has more than %d characters", key, maxValue)
	}
	return s, nil
}

// row returns the values of some keys.
func (o object) row(keys ...string) (row, error) {
	r := make(row, len(keys))
	for _, key := range keys {
		value, err := o.text(key)
		if err != nil {
			return nil, err
		}
		r[key] = value
	}
	return r, nil
}
