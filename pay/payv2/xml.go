package payv2

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/document"
	"github.com/wetoken/wetoken/pay"
)

// field is an element of a message.
type field struct {
	name, value string
	inner       *message // elements in it: of the root element only
}

// SetName implements document.Node, as do the next two.
func (f *field) SetName(name string) { f.name = name }

// SetText sets the value.
func (f *field) SetText(text string) { f.value = text }

// AddChild adds an element.
func (f *field) AddChild() *field {
	if f.inner == nil {
		f.inner = new(message)
	}
	*f.inner = append(*f.inner, field{})
	return &(*f.inner)[len(*f.inner)-1]
}

// message is the fields of a flat document.
type message []field

// usualFields is the number of fields for which a message has room.
const usualFields = 32

// get returns the value of a field, or "".
func (m message) get(name string) string {
	for i := range m {
		if m[i].name == name {
			return m[i].value
		}
	}
	return ""
}

func (m message) has(name string) bool {
	return slices.ContainsFunc(m, func(f field) bool { return f.name == name })
}

// add adds a field, unless its value is empty.
func (m *message) add(name, value string) {
	if value != "" {
		*m = append(*m, field{name: name, value: value})
	}
}

// sort sorts the fields by name, and returns a name that occurs twice, or "".
func (m message) sort() (twice string) {
	slices.SortFunc(m, func(a, b field) int { return strings.Compare(a.name, b.name) })
	for i := range m {
		if i > 0 && m[i].name == m[i-1].name {
			return m[i].name
		}
	}
	return ""
}

// readMessage reads a document whose root element is named root. The fields are sorted by name.
func readMessage(text, root string) (message, error) {
	m := make(message, 0, usualFields)
	top := field{inner: &m}
	if err := document.ParseXML(text, &top); err != nil {
		return nil, err
	}
	switch {
	case top.name != root:
		return nil, fmt.Errorf("the root element is %.40q: want %s", top.name, root)
	case len(m) == 0:
		return nil, errors.New("it has no fields")
	}
	for i := range m {
		if m[i].inner != nil {
			return nil, fmt.Errorf("element %.40q contains elements", m[i].name)
		}
	}
	if twice := m.sort(); twice != "" {
		return nil, fmt.Errorf("element %.40q occurs twice", twice)
	}
	return m, nil
}

// encode sorts and signs a message, and returns it as XML. Its error is a *pay.FieldError.
func (m message) encode(by SignType, key string) ([]byte, error) {
	if twice := m.sort(); twice != "" {
		return nil, &pay.FieldError{Field: twice, Reason: "is set twice"}
	}
	size := len("<xml><sign></sign></xml>") + 64
	for i := range m {
		if err := checkField(m[i]); err != nil {
			return nil, err
		}
		size += 2*len(m[i].name) + len(m[i].value) + len("<></><![CDATA[]]>")
	}
	b := append(make([]byte, 0, size), "<xml>"...)
	for i := range m {
		if m[i].value != "" {
			b = m[i].append(b)
		}
	}
	b = append(b, "<sign>"...)
	b = m.appendSign(b, by, key)
	return append(b, "</sign></xml>"...), nil
}

// append appends a field as XML.
func (f field) append(b []byte) []byte {
	b = append(append(append(b, '<'), f.name...), '>')
	if isPlain(f.value) {
		b = append(b, f.value...)
	} else {
		b = appendCDATA(b, f.value)
	}
	return append(append(append(b, "</"...), f.name...), '>')
}

// isPlain reports whether a value needs no CDATA.
func isPlain(value string) bool {
	for i := 0; i < len(value); i++ {
		c := value[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

// appendCDATA appends a value as CDATA. It splits the section at "]]>", which would end it, and at a carriage return, which a
// reader of XML would drop.
func appendCDATA(b []byte, value string) []byte {
	const start, end = "<![CDATA[", "]]>"
	b = append(b, start...)
	for {
		n := strings.IndexAny(value, "]\r")
		switch {
		case n < 0:
			return append(append(b, value...), end...)
		case value[n] == '\r':
			b = append(append(append(append(b, value[:n]...), end...), "&#13;"...), start...)
			value = value[n+1:]
		case strings.HasPrefix(value[n:], end):
			b = append(append(append(b, value[:n+2]...), end...), start...)
			value = value[n+2:]
		default:
			b = append(b, value[:n+1]...)
			value = value[n+1:]
		}
	}
}

// checkField refuses a field that cannot be written as XML.
func checkField(f field) error {
	if !isName(f.name) {
		return &pay.FieldError{Field: fmt.Sprintf("%.40q", f.name), Reason: "is not the name of a field"}
	}
	if document.Clean(f.value) != f.value {
		return &pay.FieldError{Field: f.name, Reason: "has a character that XML does not allow, or is not UTF-8"}
	}
	return nil
}

func isName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
