package message

import (
	"errors"
	"strings"
)

// WeChat's XML is a small part of XML: elements, text, CDATA. parseXML reads that part in one pass, and its strings
// share the document's memory. What it accepts, encoding/xml accepts too, and finds the same text in it. It refuses
// more: comments, document types, processing instructions other than an UTF-8 <?xml?> at the start, names beyond
// ASCII letters, digits, '_', '-' and '.', entities other than the five and numbers, '&' in attributes (which are
// otherwise skipped), text beside elements, anything after the root, and documents beyond the bounds below. Characters
// that XML does not allow are not looked for: see clean.
const (
	maxDepth    = 32   // elements within elements; WeChat's deepest known message has 6
	maxElements = 4096 // in one document
)

var (
	errXML      = errors.New("XML is not well-formed")
	errBounds   = errors.New("too many or too deep elements")
	errEnd      = errors.New("document ends too early")
	errTrailing = errors.New("something follows the document")
	errMixed    = errors.New("text stands beside elements")
	errMarkup   = errors.New("comments, document types and instructions are not accepted")
	errEntity   = errors.New("unknown entity")
)

type xmlParser struct {
	s    string
	i    int
	left int // elements that may still come
}

func parseXML(s string) (Element, error) {
	var root Element
	p := &xmlParser{s: s, left: maxElements}
	if strings.HasPrefix(s, "\ufeff") {
		p.i = len("\ufeff")
	}
	if strings.HasPrefix(s[p.i:], "<?xml") {
		if err := p.prolog(); err != nil {
			return root, err
		}
	}
	p.space()
	if p.next() != '<' {
		return root, errXML
	}
	p.i++
	if err := p.element(&root, 1); err != nil {
		return root, err
	}
	if p.space(); p.i < len(s) {
		return root, errTrailing
	}
	return root, nil
}

// element reads one element whose '<' is behind us.
func (p *xmlParser) element(e *Element, depth int) error {
	if p.left--; p.left < 0 || depth > maxDepth {
		return errBounds
	}
	if e.Name = p.name(); e.Name == "" {
		if c := p.next(); c == '!' || c == '?' {
			return errMarkup
		}
		return errXML
	}
	if empty, err := p.startTag(); empty || err != nil {
		return err
	}
	var text segments
	for {
		n := strings.IndexByte(p.s[p.i:], '<')
		if n < 0 {
			return errEnd
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
			if p.name() != e.Name {
				return errXML
			}
			if p.space(); p.next() != '>' {
				return errXML
			}
			p.i++
			s := text.String()
			if len(e.Children) == 0 {
				e.Text = s
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
				return errEnd
			}
			text.addCDATA(rest[:n])
			p.i += len("![CDATA[") + n + len("]]>")
		default:
			if !blank(text.String()) {
				return errMixed
			}
			text = segments{}
			if e.Children == nil && depth == 1 {
				e.Children = make([]Element, 0, 8) // as many as an ordinary message has
			}
			e.Children = append(e.Children, Element{})
			if err := p.element(&e.Children[len(e.Children)-1], depth+1); err != nil {
				return err
			}
		}
	}
}

// startTag reads the rest of a start tag, skipping attributes, and tells whether the tag closes itself.
func (p *xmlParser) startTag() (empty bool, err error) {
	for {
		spaces := p.space()
		switch p.next() {
		case 0:
			return false, errEnd
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

func (p *xmlParser) attribute() (name, value string, err error) {
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
func (p *xmlParser) prolog() error {
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

func (p *xmlParser) name() string {
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

func (p *xmlParser) space() (n int) {
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
func (p *xmlParser) next() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}
