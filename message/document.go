package message

import (
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/internal/document"
)

// parseDocument parses an XML or JSON document into root, and replaces characters in doc that XML does not allow. The
// error is a Refusal.
func parseDocument(doc *string, root *Element) (json bool, err error) {
	*root = Element{}
	start := trimDocument(*doc)
	switch {
	case start == "":
		err = document.ErrEnd
	case start[0] == '<':
		*doc = document.Clean(*doc)
		root.Children = make([]Element, 0, 8) // enough for most messages
		err = document.ParseXML(*doc, (*documentNode)(root))
	case start[0] == '{':
		json = true
		err = parseJSON(start, root)
	default:
		return json, ErrMediaType
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrBody, err)
	}
	return json, err
}

// trimDocument returns a document without blanks around it and a byte order mark in front.
func trimDocument(doc string) string {
	return strings.Trim(strings.TrimPrefix(doc, "\ufeff"), " \t\r\n")
}
