package payv3

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/wetoken/wetoken/internal/redact"
)

// Secret is a sensitive field (敏感信息), such as the name or the card of a person. [Merchant.Do] encrypts it with WeChat's key
// when it is sent, and decrypts it with ours when it is received; an empty one stays empty. It prints without its text, in
// JSON too: string(s) is the text.
type Secret string

// Format implements fmt.Formatter.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redact.Mask) }

// MarshalText implements encoding.TextMarshaler, which encoding/json and package slog use.
func (s Secret) MarshalText() ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	if text, sealed := strings.CutPrefix(string(s), sealedMark); sealed {
		return []byte(text), nil
	}
	return []byte(redact.Mask), nil
}

const (
	sealedMark = "\x00sealed\x00" // before the text of a Secret that is encrypted
	maxDepth   = 64
)

var secretType = reflect.TypeFor[Secret]()

// holdsSecret reports whether v holds a Secret.
func holdsSecret(v reflect.Value, depth int) bool {
	if depth > maxDepth || !v.IsValid() {
		return false
	}
	if v.Type() == secretType {
		return true
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && holdsSecret(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if isWritten(v.Type().Field(i)) && holdsSecret(v.Field(i), depth+1) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if holdsSecret(v.Index(i), depth+1) {
				return true
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if holdsSecret(it.Value(), depth+1) {
				return true
			}
		}
	}
	return false
}

// isWritten reports whether encoding/json writes a field, or the fields within it.
func isWritten(f reflect.StructField) bool { return f.IsExported() || f.Anonymous }

// sealer encrypts for WeChat.
type sealer struct{ key *rsa.PublicKey }

// seal returns a copy of v in which each Secret is encrypted. Parts without one are shared with v.
func (s sealer) seal(v reflect.Value, depth int) (reflect.Value, error) {
	if !holdsSecret(v, depth) {
		return v, nil
	}
	if v.Type() == secretType {
		text, err := s.encrypt(v.String())
		return reflect.ValueOf(Secret(text)), err
	}
	out := reflect.New(v.Type()).Elem()
	set := func(to, from reflect.Value) error {
		sealed, err := s.seal(from, depth+1)
		if err == nil {
			to.Set(sealed)
		}
		return err
	}
	switch v.Kind() {
	case reflect.Pointer:
		out.Set(reflect.New(v.Type().Elem()))
		return out, set(out.Elem(), v.Elem())
	case reflect.Interface:
		return out, set(out, v.Elem())
	case reflect.Struct:
		out.Set(v)
		return out, s.sealFields(out, depth+1)
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		for i := range v.Len() {
			if err := set(out.Index(i), v.Index(i)); err != nil {
				return out, err
			}
		}
	case reflect.Map:
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for it := v.MapRange(); it.Next(); {
			value := reflect.New(v.Type().Elem()).Elem()
			if err := set(value, it.Value()); err != nil {
				return out, err
			}
			out.SetMapIndex(it.Key(), value)
		}
	}
	return out, nil
}

// sealFields encrypts each Secret in a struct, in place.
func (s sealer) sealFields(v reflect.Value, depth int) error {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		switch {
		case field.IsExported():
			sealed, err := s.seal(value, depth)
			if err != nil {
				return err
			}
			value.Set(sealed)
		case field.Anonymous && value.Kind() == reflect.Struct:
			if err := s.sealFields(value, depth+1); err != nil {
				return err
			}
		case field.Anonymous && holdsSecret(value, depth):
			return fmt.Errorf("a Secret is in embedded field %s, which cannot be set: want it exported or no pointer", field.Name)
		}
	}
	return nil
}

// encrypt returns the mark, and the text encrypted (RSAES-OAEP with SHA-1) in base64.
func (s sealer) encrypt(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if most := s.key.Size() - 2*sha1.Size - 2; len(text) > most {
		return "", fmt.Errorf("a Secret has %d bytes: want %d at most", len(text), most)
	}
	b, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, s.key, []byte(text), nil)
	return sealedMark + base64.StdEncoding.EncodeToString(b), err
}

// openSecrets decrypts each Secret in v, in place.
func (w *wire) openSecrets(v reflect.Value) error {
	if !holdsSecret(v, 0) {
		return nil
	}
	return w.open(v, 0)
}

func (w *wire) open(v reflect.Value, depth int) error {
	if depth > maxDepth || !v.IsValid() {
		return nil
	}
	if v.Type() == secretType {
		text, err := w.decrypt(v.String())
		if err == nil && v.CanSet() {
			v.SetString(text)
		}
		return err
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return w.open(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if isWritten(v.Type().Field(i)) {
				if err := w.open(v.Field(i), depth+1); err != nil {
					return fmt.Errorf("%s: %w", v.Type().Field(i).Name, err)
				}
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := w.open(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(it.Value())
			if err := w.open(value, depth+1); err != nil {
				return err
			}
			v.SetMapIndex(it.Key(), value)
		}
	}
	return nil
}

// decrypt returns the text of a sensitive field of an answer.
func (w *wire) decrypt(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	key, ok := w.key.(crypto.Decrypter)
	if !ok {
		return "", errors.New("sensitive field: Config.Key can sign but not decrypt: want a crypto.Decrypter")
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", errors.New("sensitive field: it is not base64")
	}
	plain, err := key.Decrypt(rand.Reader, b, &rsa.OAEPOptions{Hash: crypto.SHA1})
	if err != nil {
		return "", fmt.Errorf("sensitive field: %w: was it encrypted for another of our certificates?", err)
	}
	return string(plain), nil
}
