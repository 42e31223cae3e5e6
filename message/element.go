package message

import "strings"

// Element is one field of WeChat's document with everything below it, whether the document was XML or JSON. It keeps
// what the typed fields do not name. A JSON array is one Element for each of its values, all of the same name, which
// is how WeChat writes lists in XML too; a number, true or false is the Text it was written with.
type Element struct {
	Name     string
	Text     string // of an element without children
	Children []Element

	bare bool // a JSON number, true, false or null: written without quotation marks
	list bool // from a JSON array
}

// Child returns the first child of that name, nil if there is none. It may be called on nil.
func (e *Element) Child(name string) *Element {
	if e == nil {
		return nil
	}
	for i := range e.Children {
		if e.Children[i].Name == name {
			return &e.Children[i]
		}
	}
	return nil
}

// Get returns the text found by following the names down from e, "" if there is none:
//
//	result := m.Root.Get("ScanCodeInfo", "ScanResult")
func (e *Element) Get(path ...string) string {
	for _, name := range path {
		e = e.Child(name)
	}
	if e == nil {
		return ""
	}
	return e.Text
}

// find returns the first child of that name, or else the first whose name is alike.
func (e *Element) find(name string) *Element {
	if c := e.Child(name); c != nil || e == nil {
		return c
	}
	for i := range e.Children {
		if alike(e.Children[i].Name, name) {
			return &e.Children[i]
		}
	}
	return nil
}

// alike tells whether two names differ in letter case and underscores only. WeChat writes MsgId, MsgID and msgid,
// Location_X and trace_id, for fields that Go calls MsgID, LocationX and TraceID.
func alike(a, b string) bool {
	for {
		a, b = strings.TrimLeft(a, "_"), strings.TrimLeft(b, "_")
		if a == "" || b == "" {
			return a == b
		}
		if lower(a[0]) != lower(b[0]) {
			return false
		}
		a, b = a[1:], b[1:]
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func blank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }
