package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/redact"
)

// mergeSettings returns the app, or other settings, that a JSON body describes, with the secrets of old that it leaves out.
func mergeSettings[T any](body []byte, old *T) (next T, err error) {
	if len(body) > maxRegisterBody {
		return next, &SettingError{Reason: "the body has more than 1 MiB"}
	}
	var given, before map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&given) != nil || given == nil {
		return next, &SettingError{Reason: "the body is not a JSON object"}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return next, &SettingError{Reason: "the body is not a JSON object alone"}
	}
	if key := fileKey(given, ""); key != "" {
		return next, &SettingError{key, "must be unset: want the text of the file, in PEM, in the setting without _file"}
	}
	if old != nil {
		plain, err := encodePlain(*old)
		if err == nil {
			err = json.Unmarshal(plain, &before)
		}
		if err != nil {
			return next, fmt.Errorf("gateway: read a registration: %w", err)
		}
	}
	if missing := mergeSecrets(reflect.TypeFor[T](), given, before, ""); missing != "" {
		return next, &SettingError{missing, "is masked, but there is no value to keep: want the secret"}
	}
	if err := checkTwice(body); err != nil {
		return next, err
	}
	merged, err := json.Marshal(given)
	if err != nil {
		return next, fmt.Errorf("gateway: read settings: %w", err)
	}
	if err := decodeExactly(merged, &next); err != nil {
		var none T
		return none, &SettingError{Reason: err.Error()}
	}
	return next, nil
}

// fileKey returns the path of the first key that names a file of the server, such as v3.cert_file, or "".
func fileKey(v any, path string) string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if strings.HasSuffix(key, "_file") {
				return joinPath(path, key)
			}
			if found := fileKey(v[key], joinPath(path, key)); found != "" {
				return found
			}
		}
	case []any:
		for _, elem := range v {
			if found := fileKey(elem, path); found != "" {
				return found
			}
		}
	}
	return ""
}

// checkAny reads the next value, which may have any shape, and returns an error for a key that is given twice.
func (s *shapeChecker) checkAny(path string) error {
	token, err := s.Token()
	if err != nil {
		return syntaxError(err)
	}
	switch token {
	case json.Delim('{'):
		seen := make(map[string]bool)
		for s.More() {
			key, err := s.Token()
			if err != nil {
				return syntaxError(err)
			}
			name, _ := key.(string)
			if seen[name] {
				return pathError(path, "key "+quoteKey(name)+" is given twice")
			}
			seen[name] = true
			if err := s.checkAny(joinPath(path, name)); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for s.More() {
			if err := s.checkAny(path); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	return s.readEnd()
}

// checkTwice returns an error for a key that is given twice, of which a map has only the last.
func checkTwice(body []byte) error {
	s := shapeChecker{Decoder: json.NewDecoder(bytes.NewReader(body))}
	s.UseNumber()
	if err := s.checkAny(""); err != nil {
		return &SettingError{Reason: err.Error()}
	}
	return nil
}

// mergeSecrets completes body, the JSON of a value of type t that replaces old. A secret that is absent or masked stays as it is
// in old, and one that is null is removed. It returns the key of a masked secret that old does not have, or "".
func mergeSecrets(t reflect.Type, body, old map[string]any, path string) (missing string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name := jsonName(f)
		given, present := body[name]
		before, had := old[name]
		if isSecret(f) {
			switch {
			case present && given == nil:
				delete(body, name)
			case had && (!present || given == redact.Mask):
				body[name] = before
			case given == redact.Mask:
				return joinPath(path, name)
			}
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if below, ok := given.(map[string]any); ok && inner.Kind() == reflect.Struct {
			before, _ := before.(map[string]any)
			if missing := mergeSecrets(inner, below, before, joinPath(path, name)); missing != "" {
				return missing
			}
		}
	}
	return ""
}
