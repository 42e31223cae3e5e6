// Package document reads the XML that WeChat writes, from callbacks and payments alike, within fixed bounds.
package document

import (
	"errors"
	"strings"
)

// Bounds of a document.
const (
	MaxDepth    = 32   // elements within elements; the deepest known message of WeChat has 6
	MaxElements = 4096 // in one document
)

// Errors of a document that is not accepted. Callers test for those that are exported.
var (
	ErrBounds = errors.New("too many or too deep elements")
	ErrEnd    = errors.New("document ends too early")

	errXML      = errors.New("XML is not well-formed")
	errTrailing = errors.New("something follows the document")
	errMixed    = errors.New("text stands beside elements")
	errMarkup   = errors.New("comments, document types and instructions are not accepted")
	errEntity   = errors.New("unknown entity")
)

// Node is an element of a document, in the form in which a caller keeps it.
type Node[N any] interface {
	*N
	SetName(string)
	SetText(string) // of an element without children; not called for one with children
	AddChild() *N   // returns a new last child, which is used until the next one is added
}

type parser struct {
	s    string
	i    int
	left int // elements that may still come
}

// ParseXML reads a document into root in one pass. The strings share the memory of s.
//
// The XML of WeChat is a small part of XML: elements, text, CDATA. A document that ParseXML accepts is accepted by
// encoding/xml too, with the same text in it. ParseXML refuses more: comments, document types, processing instructions
// other than a UTF-8 <?xml?> at the start, names beyond ASCII letters, digits, '_', '-' and '.', entities other than the
// five and numbers, '&' in attributes (which are otherwise skipped), text beside elements, anything after the root, and
// documents beyond MaxDepth and MaxElements. It does not look for characters that XML does not allow: see Clean.
func ParseXML[N any, P Node[N]](s string, root P) error {
	p := &parser{s: s, left: MaxElements}
	if strings.HasPrefix(s, "\ufeff") {
		p.i = len("\ufeff")
	}
	if strings.HasPrefix(s[p.i:], "<?xml") {
		if err := p.prolog(); err != nil {
			return err
		}
	}
	p.space()
	if p.next() != '<' {
		return errXML
	}
	p.i++
	if err := readElement[N](p, root, 1); err != nil {
		return err
	}
	if p.space(); p.i < len(s) {
		return errTrailing
	}
	return nil
}

// readElement reads one element whose '<' has been read.
func readElement[N any, P Node[N]](p *parser, e P, depth int) error {
	if p.left--; p.left < 0 || depth > MaxDepth {
		return ErrBounds
	}
	name := p.name()
	if name == "" {
		if c := p.next(); c == '!' || c == '?' {
			return errMarkup
		}
		return errXML
	}
	e.SetName(name)
	if empty, err := p.startTag(); empty || err != nil {
		return err
	}
	var text segments
	children := false
	for {
		n := strings.IndexByte(p.s[p.i:], '<')
		if n < 0 {
			return ErrEnd
		}
		if n > 0 {
			if err := text.addText(p.s[p.i : p.i+n]); err != nil {
				return err
			}
		}
		p.i += n + 1
		switch p.next() {
		case '/':
			p.i++
			if p.name() != name {
				return errXML
			}
			if p.space(); p.next() != '>' {
				return errXML
			}
			p.i++
			s := text.String()
			if !children {
				e.SetText(s)
			} else if !blank(s) {
				return errMixed
			}
			return nil
		case '!':
			rest, ok := strings.CutPrefix(p.s[p.i:], "![CDATA[")
			if !ok {
				return errMarkup
			}
			n := strings.Index(rest, "]]>")
			if n < 0 {
				return ErrEnd
			}
			text.addCDATA(rest[:n])
			p.i += len("![CDATA[") + n + len("]]>")
		default:
			if !blank(text.String()) {
				return errMixed
			}
			text, children = segments{}, true
			if err := readElement[N](p, P(e.AddChild()), depth+1); err != nil {
				return err
			}
		}
	}
}

// startTag reads the rest of a start tag, skipping attributes, and reports whether the tag closes itself.
func (p *parser) startTag() (empty bool, err error) {
	for {
		spaces := p.space()
		switch p.next() {
		case 0:
			return false, ErrEnd
		case '>':
			p.i++
			return false, nil
		case '/':
			if p.i++; p.next() != '>' {
				return false, errXML
			}
			p.i++
			return true, nil
		}
		if _, _, err := p.attribute(); spaces == 0 || err != nil {
			return false, errXML
		}
	}
}

func (p *parser) attribute() (name, value string, err error) {
	name = p.name()
	p.space()
	if name == "" || p.next() != '=' {
		return "", "", errXML
	}
	p.i++
	p.space()
	quote := p.next()
	if quote != '"' && quote != '\'' {
		return "", "", errXML
	}
	p.i++
	n := strings.IndexByte(p.s[p.i:], quote)
	if n < 0 || strings.ContainsAny(p.s[p.i:p.i+n], "<&") {
		return "", "", errXML
	}
	value = p.s[p.i : p.i+n]
	p.i += n + 1
	return name, value, nil
}

// prolog reads <?xml version="1.0" encoding="UTF-8"?>.
func (p *parser) prolog() error {
	p.i += len("<?xml")
	for {
		spaces := p.space()
		if strings.HasPrefix(p.s[p.i:], "?>") {
			p.i += len("?>")
			return nil
		}
		name, value, err := p.attribute()
		ok := name == "version" && value == "1.0" ||
			name == "encoding" && strings.EqualFold(value, "utf-8") ||
			name == "standalone" && (value == "yes" || value == "no")
		if err != nil || spaces == 0 || !ok {
			return errMarkup
		}
	}
}

func (p *parser) name() string {
	start := p.i
	for p.i < len(p.s) {
		c := p.s[p.i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (p.i == start || !('0' <= c && c <= '9' || c == '-' || c == '.')) {
			break
		}
		p.i++
	}
	return p.s[start:p.i]
}

func (p *parser) space() (n int) {
	for p.i < len(p.s) {
		if c := p.s[p.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			break
		}
		p.i++
		n++
	}
	return n
}

// next returns the byte we stand at, 0 at the end.
func (p *parser) next() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func blank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }
