package document

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// segments collects the pieces of text of an element. A single piece, the usual case, is not copied.
type segments struct {
	first  string
	joined strings.Builder
}

func (t *segments) String() string {
	if t.joined.Len() > 0 {
		return t.joined.String()
	}
	return t.first
}

func (t *segments) add(s string) {
	switch {
	case t.joined.Len() > 0:
		t.joined.WriteString(s)
	case t.first == "":
		t.first = s
	case s != "":
		t.joined.WriteString(t.first)
		t.joined.WriteString(s)
	}
}

// addCDATA adds s with the line ends of XML: a carriage return, alone or before a line feed, becomes a line feed.
func (t *segments) addCDATA(s string) {
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	t.add(s)
}

// addText adds s with its entities decoded.
func (t *segments) addText(s string) error {
	if strings.Contains(s, "]]>") {
		return errXML
	}
	for {
		n := strings.IndexByte(s, '&')
		if n < 0 {
			t.addCDATA(s)
			return nil
		}
		t.addCDATA(s[:n])
		end := strings.IndexByte(s[n:], ';')
		if end < 0 || end > 10 {
			return errEntity
		}
		value, err := decodeEntity(s[n+1 : n+end])
		if err != nil {
			return err
		}
		t.add(value)
		s = s[n+end+1:]
	}
}

func decodeEntity(name string) (string, error) {
	switch name {
	case "lt":
		return "<", nil
	case "gt":
		return ">", nil
	case "amp":
		return "&", nil
	case "apos":
		return "'", nil
	case "quot":
		return `"`, nil
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return "", errEntity
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) || !isLegal(string(rune(n))) {
		return "", errEntity
	}
	return string(rune(n)), nil
}

// Clean replaces characters that XML does not allow by U+FFFD. WeChat passes on control characters that users type or
// paste, and invalid UTF-8.
func Clean(s string) string {
	if isLegal(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || ' ' <= r && r != '\ufffe' && r != '\uffff' {
			return r
		}
		return utf8.RuneError
	}, s)
}

// isLegal reports whether s is UTF-8 and all its characters are allowed in XML.
func isLegal(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			return areLegalRunes(s[i:])
		}
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

func areLegalRunes(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < utf8.RuneSelf:
			if c < ' ' && c != '\n' && c != '\t' && c != '\r' {
				return false
			}
		case 0xe1 <= c && c <= 0xec && i+2 < len(s) && s[i+1]>>6 == 2 && s[i+2]>>6 == 2:
			i += 2 // U+1000 to U+CFFF, with Chinese: any two continuation bytes are valid
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || r == '\ufffe' || r == '\uffff' {
				return false
			}
			i += n - 1
		}
	}
	return true
}
