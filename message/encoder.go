package message

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wetoken/wetoken/internal/document"
)

// encoder writes documents for WeChat, in XML or JSON. An element with children in XML is an object in JSON.
type encoder struct {
	buf       []byte
	json      bool
	needComma bool // JSON: the next member needs a comma before it
}

// openRoot begins the document.
func (e *encoder) openRoot() {
	if e.json {
		e.buf = append(e.buf, '{')
		e.needComma = false
	} else {
		e.buf = append(e.buf, "<xml>"...)
	}
}

func (e *encoder) closeRoot() { e.closeElement("xml") }

// openElement begins an element with children.
func (e *encoder) openElement(name string) {
	e.openTag(name)
	if e.json {
		e.buf = append(e.buf, '{')
		e.needComma = false
	}
}

func (e *encoder) closeElement(name string) {
	if e.json {
		e.buf = append(e.buf, '}')
		e.needComma = true
		return
	}
	e.closeTag(name)
}

// openList begins a list. openItem begins each of its items.
func (e *encoder) openList(name string) {
	e.openTag(name)
	if e.json {
		e.buf = append(e.buf, '[')
		e.needComma = false
	}
}

func (e *encoder) openItem(name string) {
	if !e.json {
		e.openTag(name)
		return
	}
	if e.needComma {
		e.buf = append(e.buf, ',')
	}
	e.buf = append(e.buf, '{')
	e.needComma = false
}

func (e *encoder) closeList(name string) {
	if e.json {
		e.buf = append(e.buf, ']')
		e.needComma = true
		return
	}
	e.closeTag(name)
}

// writeText writes a name and its text, in which all characters are escaped.
func (e *encoder) writeText(name, value string) {
	e.openText(name)
	if e.json {
		e.buf = appendJSON(e.buf, value)
	} else {
		e.buf = appendCDATA(e.buf, value)
	}
	e.closeText(name)
}

// writeOptional writes text that is not empty.
func (e *encoder) writeOptional(name, value string) {
	if value != "" {
		e.writeText(name, value)
	}
}

// openText and closeText enclose text that needs no escaping.
func (e *encoder) openText(name string) {
	e.openTag(name)
	if e.json {
		e.buf = append(e.buf, '"')
	} else {
		e.buf = append(e.buf, "<![CDATA["...)
	}
}

func (e *encoder) closeText(name string) {
	if e.json {
		e.buf = append(e.buf, '"')
		return
	}
	e.buf = append(e.buf, "]]>"...)
	e.closeTag(name)
}

func (e *encoder) writeNumber(name string, n int64) {
	e.openTag(name)
	e.buf = strconv.AppendInt(e.buf, n, 10)
	if !e.json {
		e.closeTag(name)
	}
}

func (e *encoder) openTag(name string) {
	if !e.json {
		e.buf = append(e.buf, '<')
		e.buf = append(e.buf, name...)
		e.buf = append(e.buf, '>')
		return
	}
	if e.needComma {
		e.buf = append(e.buf, ',')
	}
	e.buf = append(e.buf, '"')
	e.buf = appendJSON(e.buf, name)
	e.buf = append(e.buf, '"', ':')
	e.needComma = true
}

func (e *encoder) closeTag(name string) {
	e.buf = append(e.buf, '<', '/')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '>')
}

// writeElements writes the elements of a list that keep accepts, in JSON. Elements with the same name, or from a JSON
// array, become an array.
func (e *encoder) writeElements(list []Element, keep func(*Element) bool) {
	count := make(map[string]int, len(list))
	for i := range list {
		if keep == nil || keep(&list[i]) {
			count[list[i].Name]++
		}
	}
	for i := range list {
		name := list[i].Name
		n := count[name]
		if n == 0 || keep != nil && !keep(&list[i]) {
			continue
		}
		count[name] = 0 // all elements with this name are written now
		e.openTag(name)
		if n == 1 && !list[i].inArray && !list[i].emptyArray {
			e.writeElement(&list[i])
			continue
		}
		e.buf = append(e.buf, '[')
		e.needComma = false
		for j := i; j < len(list) && n > 0; j++ {
			if list[j].Name != name || keep != nil && !keep(&list[j]) {
				continue
			}
			n--
			if list[j].emptyArray {
				continue
			}
			if e.needComma {
				e.buf = append(e.buf, ',')
			}
			e.writeElement(&list[j])
			e.needComma = true
		}
		e.buf = append(e.buf, ']')
		e.needComma = true
	}
}

func (e *encoder) writeElement(c *Element) {
	switch {
	case len(c.Children) > 0:
		e.buf = append(e.buf, '{')
		e.needComma = false
		e.writeElements(c.Children, nil)
		e.buf = append(e.buf, '}')
		e.needComma = true
	case c.unquoted:
		e.buf = append(e.buf, c.Text...)
	default:
		e.buf = append(e.buf, '"')
		e.buf = appendJSON(e.buf, c.Text)
		e.buf = append(e.buf, '"')
	}
}

// appendCDATA appends s, with "]]>" escaped and characters that XML does not allow replaced.
func appendCDATA(buf []byte, s string) []byte {
	s = document.Clean(s)
	for {
		n := strings.Index(s, "]]>")
		if n < 0 {
			return append(buf, s...)
		}
		buf = append(append(buf, s[:n+2]...), "]]><![CDATA["...)
		s = s[n+2:]
	}
}

// appendJSON appends s escaped for a JSON string. It does not escape <, > and &, which encoding/json does.
func appendJSON(buf []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			buf = append(buf, '\\', byte(r))
		case r == '\n':
			buf = append(buf, '\\', 'n')
		case r < ' ':
			buf = append(buf, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			buf = utf8.AppendRune(buf, r)
		}
	}
	return buf
}
