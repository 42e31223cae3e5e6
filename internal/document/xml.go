// Package document parses the XML in WeChat callbacks and payments within fixed bounds.
package document

import (
	"errors"
	"strings"
)

// Bounds of a document.
const (
	MaxDepth    = 32   // levels of elements; the deepest known message of WeChat has 6
	MaxElements = 4096 // in one document
)

// Errors of a document that is not accepted.
var (
	ErrBounds = errors.New("too many or too deep elements")
	ErrEnd    = errors.New("document ends too early")

	errXML      = errors.New("XML is not well-formed")
	errTrailing = errors.New("text follows the root element")
	errMixed    = errors.New("an element has both text and elements")
	errMarkup   = errors.New("comments, document types and instructions are not accepted")
	errEntity   = errors.New("unknown entity")
)

// Node is the representation of an element that a caller chooses.
type Node[N any] interface {
	*N
	SetName(string)
	SetText(string) // called for elements without children
	AddChild() *N   // returns a new last child, used until the next call
}

type parser struct {
	doc          string
	pos          int
	elementsLeft int // until MaxElements
}

// ParseXML parses a document into root in one pass. The strings share the memory of s.
//
// The XML of WeChat is a small part of XML: elements, text, CDATA. A document that ParseXML accepts is accepted by
// encoding/xml too, with the same text in it. ParseXML refuses more: comments, document types, processing instructions
// other than a UTF-8 <?xml?> at the start, names beyond ASCII letters, digits, '_', '-' and '.', entities other than the
// five of XML and numbers, '&' in attributes (which are otherwise skipped), text beside elements, text after the root,
// and documents beyond MaxDepth and MaxElements. It accepts characters that XML does not allow: see Clean.
func ParseXML[N any, P Node[N]](s string, root P) error {
	p := &parser{doc: s, elementsLeft: MaxElements}
	if strings.HasPrefix(s, "\ufeff") {
		p.pos = len("\ufeff")
	}
	if strings.HasPrefix(s[p.pos:], "<?xml") {
		if err := p.readProlog(); err != nil {
			return err
		}
	}
	p.skipSpace()
	if p.peek() != '<' {
		return errXML
	}
	p.pos++
	if err := readElement[N](p, root, 1); err != nil {
		return err
	}
	if p.skipSpace(); p.pos < len(s) {
		return errTrailing
	}
	return nil
}

// readElement reads an element after its '<'.
func readElement[N any, P Node[N]](p *parser, e P, depth int) error {
	if p.elementsLeft--; p.elementsLeft < 0 || depth > MaxDepth {
		return ErrBounds
	}
	name := p.readName()
	if name == "" {
		if c := p.peek(); c == '!' || c == '?' {
			return errMarkup
		}
		return errXML
	}
	e.SetName(name)
	if empty, err := p.readStartTag(); empty || err != nil {
		return err
	}
	var text segments
	children := false
	for {
		n := strings.IndexByte(p.doc[p.pos:], '<')
		if n < 0 {
			return ErrEnd
		}
		if n > 0 {
			if err := text.addText(p.doc[p.pos : p.pos+n]); err != nil {
				return err
			}
		}
		p.pos += n + 1
		switch p.peek() {
		case '/':
			p.pos++
			if p.readName() != name {
				return errXML
			}
			if p.skipSpace(); p.peek() != '>' {
				return errXML
			}
			p.pos++
			s := text.String()
			if !children {
				e.SetText(s)
			} else if !isBlank(s) {
				return errMixed
			}
			return nil
		case '!':
			rest, ok := strings.CutPrefix(p.doc[p.pos:], "![CDATA[")
			if !ok {
				return errMarkup
			}
			n := strings.Index(rest, "]]>")
			if n < 0 {
				return ErrEnd
			}
			text.addCDATA(rest[:n])
			p.pos += len("![CDATA[") + n + len("]]>")
		default:
			if !isBlank(text.String()) {
				return errMixed
			}
			text, children = segments{}, true
			if err := readElement[N](p, P(e.AddChild()), depth+1); err != nil {
				return err
			}
		}
	}
}

// readStartTag reads a start tag after its name, skips the attributes, and reports whether the element is empty.
func (p *parser) readStartTag() (empty bool, err error) {
	for {
		spaces := p.skipSpace()
		switch p.peek() {
		case 0:
			return false, ErrEnd
		case '>':
			p.pos++
			return false, nil
		case '/':
			if p.pos++; p.peek() != '>' {
				return false, errXML
			}
			p.pos++
			return true, nil
		}
		if _, _, err := p.readAttribute(); spaces == 0 || err != nil {
			return false, errXML
		}
	}
}

func (p *parser) readAttribute() (name, value string, err error) {
	name = p.readName()
	p.skipSpace()
	if name == "" || p.peek() != '=' {
		return "", "", errXML
	}
	p.pos++
	p.skipSpace()
	quote := p.peek()
	if quote != '"' && quote != '\'' {
		return "", "", errXML
	}
	p.pos++
	n := strings.IndexByte(p.doc[p.pos:], quote)
	if n < 0 || strings.ContainsAny(p.doc[p.pos:p.pos+n], "<&") {
		return "", "", errXML
	}
	value = p.doc[p.pos : p.pos+n]
	p.pos += n + 1
	return name, value, nil
}

// readProlog reads <?xml version="1.0" encoding="UTF-8"?>.
func (p *parser) readProlog() error {
	p.pos += len("<?xml")
	for {
		spaces := p.skipSpace()
		if strings.HasPrefix(p.doc[p.pos:], "?>") {
			p.pos += len("?>")
			return nil
		}
		name, value, err := p.readAttribute()
		ok := name == "version" && value == "1.0" ||
			name == "encoding" && strings.EqualFold(value, "utf-8") ||
			name == "standalone" && (value == "yes" || value == "no")
		if err != nil || spaces == 0 || !ok {
			return errMarkup
		}
	}
}

func (p *parser) readName() string {
	start := p.pos
	for p.pos < len(p.doc) {
		c := p.doc[p.pos]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (p.pos == start || !('0' <= c && c <= '9' || c == '-' || c == '.')) {
			break
		}
		p.pos++
	}
	return p.doc[start:p.pos]
}

func (p *parser) skipSpace() (n int) {
	for p.pos < len(p.doc) {
		if c := p.doc[p.pos]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			break
		}
		p.pos++
		n++
	}
	return n
}

// peek returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.doc) {
		return p.doc[p.pos]
	}
	return 0
}

func isBlank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }
