package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// ParseConfig reads a configuration from JSON. A key that is not one of Config's is an error, as is a second document.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("gateway: config: %w", plain(err, data))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("gateway: config: there is more after the end")
	}
	return c, nil
}

// plain says what encoding/json found in the words of someone who wrote YAML.
func plain(err error, data []byte) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		what, hint := strings.Fields(t.Value)[0], "" // and not the value, which may follow
		if what == "number" && t.Type.Kind() == reflect.String {
			hint = " (text of digits needs quotes)"
		}
		return fmt.Errorf("%s: want %s, not %s%s", cmp.Or(where(data, t.Offset), t.Field), t.Type, what, hint)
	}
	var at *time.ParseError
	if errors.As(err, &at) {
		return fmt.Errorf("expires_at: want a time such as 2027-01-01T00:00:00Z, not %s", at.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if key, value, ok := strings.Cut(name, ":"); ok && value != "" { // which may be a secret
			return fmt.Errorf("unknown key %s…\": a blank must follow the colon", key+":")
		}
		return fmt.Errorf("unknown key %s", name)
	}
	return err
}

// where is the path to what ends or begins at offset of a JSON text, such as apps.shop.agent_id. encoding/json leaves out
// the names of apps.
func where(data []byte, offset int64) string {
	type level struct {
		list  bool
		named bool // the name of what comes next was read
		name  string
		n     int
	}
	var in []level
	path := func() string {
		var b strings.Builder
		for i, l := range in {
			switch {
			case l.list:
				b.WriteString("[" + strconv.Itoa(l.n) + "]")
			case i > 0:
				b.WriteString("." + l.name)
			default:
				b.WriteString(l.name)
			}
		}
		return b.String()
	}
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		top := len(in) - 1
		if name, ok := token.(string); ok && top >= 0 && !in[top].list && !in[top].named {
			in[top].name, in[top].named = name, true
			continue
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			in = in[:top]
			top--
		} else if d.InputOffset() >= offset {
			return path()
		} else if delim, ok := token.(json.Delim); ok {
			in = append(in, level{list: delim == '['})
			continue
		}
		if top >= 0 { // a value has ended
			in[top].named = false
			in[top].n++
		}
	}
}
