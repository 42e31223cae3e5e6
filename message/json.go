package message

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/wetoken/wetoken/internal/document"
	"github.com/wetoken/wetoken/internal/wirejson"
)

var errJSON = errors.New("JSON is not an object, or not well-formed")

// withoutControls returns a JSON document of WeChat without the control characters that it may have in strings. Any
// other document is returned as it is.
func withoutControls(doc string) string {
	if !strings.HasPrefix(trim(doc), "{") {
		return doc
	}
	b := []byte(trim(doc))
	if json.Valid(b) || wirejson.Check(b) != nil {
		return doc
	}
	return string(wirejson.Clean(b))
}

// parseJSON reads a JSON object into the same tree as XML, within the same bounds.
func parseJSON(s string, root *Element) error {
	if b := []byte(s); !json.Valid(b) {
		if err := wirejson.Check(b); err != nil {
			return err
		}
		return errJSON
	}
	p := &jsonParser{dec: json.NewDecoder(strings.NewReader(s)), left: document.MaxElements}
	p.dec.UseNumber()
	if t, err := p.dec.Token(); err != nil || t != json.Delim('{') {
		return errJSON
	}
	root.Name = "xml"
	return p.object(root, 1)
}

type jsonParser struct {
	dec  *json.Decoder
	left int
}

// object reads the members of an object whose '{' is behind us into e.
func (p *jsonParser) object(e *Element, depth int) error {
	for p.dec.More() {
		name, err := p.dec.Token()
		if err != nil {
			return errJSON
		}
		key, _ := name.(string)
		if err := p.value(e, key, false, depth+1); err != nil {
			return err
		}
	}
	_, err := p.dec.Token()
	return err
}

// value reads one value as children of e called name: one, or one for each value of an array, arrays within it included.
func (p *jsonParser) value(e *Element, name string, list bool, depth int) error {
	if p.left--; p.left < 0 || depth > document.MaxDepth {
		return document.ErrBounds
	}
	t, err := p.dec.Token()
	if err != nil {
		return errJSON
	}
	if t == json.Delim('[') {
		before := len(e.Children)
		for p.dec.More() {
			if err := p.value(e, name, true, depth+1); err != nil {
				return err
			}
		}
		if !list && len(e.Children) == before {
			e.Children = append(e.Children, Element{Name: name, empty: true})
		}
		_, err := p.dec.Token()
		return err
	}
	c := Element{Name: name, list: list}
	switch t := t.(type) {
	case json.Delim: // '{'
		if err := p.object(&c, depth); err != nil {
			return err
		}
	case string:
		c.Text = t
	case json.Number:
		c.Text, c.bare = t.String(), true
	case bool:
		c.Text, c.bare = "false", true
		if t {
			c.Text = "true"
		}
	}
	e.Children = append(e.Children, c)
	return nil
}
