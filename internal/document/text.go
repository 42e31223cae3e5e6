package document

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// segments collects the text of an element. A single piece, the usual case, is not copied.
type segments struct {
	first string
	more  strings.Builder
}

func (t *segments) String() string {
	if t.more.Len() > 0 {
		return t.more.String()
	}
	return t.first
}

func (t *segments) add(s string) {
	switch {
	case t.more.Len() > 0:
		t.more.WriteString(s)
	case t.first == "":
		t.first = s
	case s != "":
		t.more.WriteString(t.first)
		t.more.WriteString(s)
	}
}

// addCDATA adds s with line ends as XML wants them: a carriage return, or one with a line feed, is a line feed.
func (t *segments) addCDATA(s string) {
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	t.add(s)
}

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
		value, err := entity(s[n+1 : n+end])
		if err != nil {
			return err
		}
		t.add(value)
		s = s[n+end+1:]
	}
}

func entity(name string) (string, error) {
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
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) || !legal(string(rune(n))) {
		return "", errEntity
	}
	return string(rune(n)), nil
}

// Clean replaces by U+FFFD the characters that XML does not allow and that WeChat passes on all the same: control
// characters that users type or paste, and broken UTF-8.
func Clean(s string) string {
	if legal(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || ' ' <= r && r != '\ufffe' && r != '\uffff' {
			return r
		}
		return utf8.RuneError
	}, s)
}

// legal reports whether s is UTF-8 and has no character that XML forbids.
func legal(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			return legalRunes(s[i:])
		}
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

func legalRunes(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < utf8.RuneSelf:
			if c < ' ' && c != '\n' && c != '\t' && c != '\r' {
				return false
			}
		case 0xe1 <= c && c <= 0xec && i+2 < len(s) && s[i+1]>>6 == 2 && s[i+2]>>6 == 2:
			i += 2 // from U+1000 to U+CFFF, Chinese among them: any two further bytes will do
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
