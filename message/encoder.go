package message

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wetoken/wetoken/internal/document"
)

// encoder writes documents for WeChat, in XML or in JSON. What is an element with children in one is an object in the
// other.
type encoder struct {
	buf   []byte
	json  bool
	comma bool // JSON: something stands before the next member
}

// root opens the document.
func (e *encoder) root() {
	if e.json {
		e.buf = append(e.buf, '{')
		e.comma = false
	} else {
		e.buf = append(e.buf, "<xml>"...)
	}
}

func (e *encoder) endRoot() { e.close("xml") }

// open begins an element with children.
func (e *encoder) open(name string) {
	e.tag(name)
	if e.json {
		e.buf = append(e.buf, '{')
		e.comma = false
	}
}

func (e *encoder) close(name string) {
	if e.json {
		e.buf = append(e.buf, '}')
		e.comma = true
		return
	}
	e.endTag(name)
}

// openList begins a list, whose items openItem begins.
func (e *encoder) openList(name string) {
	e.tag(name)
	if e.json {
		e.buf = append(e.buf, '[')
		e.comma = false
	}
}

func (e *encoder) openItem(name string) {
	if !e.json {
		e.tag(name)
		return
	}
	if e.comma {
		e.buf = append(e.buf, ',')
	}
	e.buf = append(e.buf, '{')
	e.comma = false
}

func (e *encoder) closeList(name string) {
	if e.json {
		e.buf = append(e.buf, ']')
		e.comma = true
		return
	}
	e.endTag(name)
}

// text writes a name and its text, which may have any characters.
func (e *encoder) text(name, value string) {
	e.begin(name)
	if e.json {
		e.buf = appendJSON(e.buf, value)
	} else {
		e.buf = appendCDATA(e.buf, value)
	}
	e.end(name)
}

// begin and end stand around text that needs no escaping.
func (e *encoder) begin(name string) {
	e.tag(name)
	if e.json {
		e.buf = append(e.buf, '"')
	} else {
		e.buf = append(e.buf, "<![CDATA["...)
	}
}

func (e *encoder) end(name string) {
	if e.json {
		e.buf = append(e.buf, '"')
		return
	}
	e.buf = append(e.buf, "]]>"...)
	e.endTag(name)
}

func (e *encoder) number(name string, n int64) {
	e.tag(name)
	e.buf = strconv.AppendInt(e.buf, n, 10)
	if !e.json {
		e.endTag(name)
	}
}

func (e *encoder) tag(name string) {
	if !e.json {
		e.buf = append(e.buf, '<')
		e.buf = append(e.buf, name...)
		e.buf = append(e.buf, '>')
		return
	}
	if e.comma {
		e.buf = append(e.buf, ',')
	}
	e.buf = append(e.buf, '"')
	e.buf = appendJSON(e.buf, name)
	e.buf = append(e.buf, '"', ':')
	e.comma = true
}

func (e *encoder) endTag(name string) {
	e.buf = append(e.buf, '<', '/')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '>')
}

// elements writes, in JSON, those of a list of elements that keep wants: a name that comes more than once, or that
// came in a JSON array, as an array.
func (e *encoder) elements(list []Element, keep func(*Element) bool) {
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
		count[name] = 0 // all of this name are written now
		e.tag(name)
		if n == 1 && !list[i].list && !list[i].empty {
			e.element(&list[i])
			continue
		}
		e.buf = append(e.buf, '[')
		e.comma = false
		for j := i; j < len(list) && n > 0; j++ {
			if list[j].Name != name || keep != nil && !keep(&list[j]) {
				continue
			}
			n--
			if list[j].empty {
				continue
			}
			if e.comma {
				e.buf = append(e.buf, ',')
			}
			e.element(&list[j])
			e.comma = true
		}
		e.buf = append(e.buf, ']')
		e.comma = true
	}
}

func (e *encoder) element(c *Element) {
	switch {
	case len(c.Children) > 0:
		e.buf = append(e.buf, '{')
		e.comma = false
		e.elements(c.Children, nil)
		e.buf = append(e.buf, '}')
		e.comma = true
	case c.bare:
		e.buf = append(e.buf, c.Text...)
	default:
		e.buf = append(e.buf, '"')
		e.buf = appendJSON(e.buf, c.Text)
		e.buf = append(e.buf, '"')
	}
}

// appendCDATA escapes the one thing that CDATA cannot hold, and replaces what XML cannot.
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

// appendJSON escapes s for the inside of a JSON string. Unlike encoding/json it leaves <, > and & alone.
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
