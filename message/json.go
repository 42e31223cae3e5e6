package message

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/wetoken/wetoken/internal/document"
	"github.com/wetoken/wetoken/internal/wirejson"
)

var errJSON = errors.New("JSON is not an object, or not well-formed")

// dropControls returns a JSON document without control characters in strings, which WeChat may send. It returns any
// other document unchanged.
func dropControls(doc string) string {
	if !strings.HasPrefix(trimDocument(doc), "{") {
		return doc
	}
	b := []byte(trimDocument(doc))
	if json.Valid(b) || wirejson.Check(b) != nil {
		return doc
	}
	return string(wirejson.Clean(b))
}

// parseJSON parses a JSON object into the same tree as XML, within the same bounds.
func parseJSON(s string, root *Element) error {
	if b := []byte(s); !json.Valid(b) {
		if err := wirejson.Check(b); err != nil {
			return err
		}
		return errJSON
	}
	p := &jsonParser{dec: json.NewDecoder(strings.NewReader(s)), elementsLeft: document.MaxElements}
	p.dec.UseNumber()
	if t, err := p.dec.Token(); err != nil || t != json.Delim('{') {
		return errJSON
	}
	root.Name = "xml"
	return p.readObject(root, 1)
}

type jsonParser struct {
	dec          *json.Decoder
	elementsLeft int
}

// readObject reads the members of an object into e, after its '{'.
func (p *jsonParser) readObject(e *Element, depth int) error {
	for p.dec.More() {
		name, err := p.dec.Token()
		if err != nil {
			return errJSON
		}
		key, _ := name.(string)
		if err := p.readValue(e, key, false, depth+1); err != nil {
			return err
		}
	}
	_, err := p.dec.Token()
	return err
}

// readValue reads one value and adds it to e as a child with a name. An array adds one child for each value, nested
// arrays included.
func (p *jsonParser) readValue(e *Element, name string, list bool, depth int) error {
	if p.elementsLeft--; p.elementsLeft < 0 || depth > document.MaxDepth {
		return document.ErrBounds
	}
	t, err := p.dec.Token()
	if err != nil {
		return errJSON
	}
	if t == json.Delim('[') {
		before := len(e.Children)
		for p.dec.More() {
			if err := p.readValue(e, name, true, depth+1); err != nil {
				return err
			}
		}
		if !list && len(e.Children) == before {
			e.Children = append(e.Children, Element{Name: name, emptyArray: true})
		}
		_, err := p.dec.Token()
		return err
	}
	c := Element{Name: name, inArray: list}
	switch t := t.(type) {
	case json.Delim: // '{'
		if err := p.readObject(&c, depth); err != nil {
			return err
		}
	case string:
		c.Text = t
	case json.Number:
		c.Text, c.unquoted = t.String(), true
	case bool:
		c.Text, c.unquoted = "false", true
		if t {
			c.Text = "true"
		}
	}
	e.Children = append(e.Children, c)
	return nil
}
