package message

import "strings"

// Element is a field of a WeChat document, XML or JSON, with all fields below it. A JSON array is one Element for each
// of its values, with the same name, as WeChat writes lists in XML; an empty array is an Element without Text and
// Children. A number, true or false is Text as WeChat wrote it.
type Element struct {
	Name     string
	Text     string // of an element without children
	Children []Element

	unquoted   bool // a JSON number, true, false or null
	inArray    bool // from a JSON array
	emptyArray bool // an empty JSON array
}

// documentNode is an Element with the methods that package document needs.
type documentNode Element

func (n *documentNode) SetName(name string) { n.Name = name }
func (n *documentNode) SetText(text string) { n.Text = text }

func (n *documentNode) AddChild() *documentNode {
	n.Children = append(n.Children, Element{})
	return (*documentNode)(&n.Children[len(n.Children)-1])
}

// isEmptyList reports whether e means a list without items: <List></List>, <List/>, "List":null, "List":[] and
// "List":{}.
func (e *Element) isEmptyList() bool { return len(e.Children) == 0 && isBlank(e.Text) && !e.inArray }

// Child returns the first child with a name, nil if there is none. e may be nil.
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

// Get returns the text of the element at a path of names below e, "" if there is none:
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

// findChild returns the first child with a name, or else the first with a similar name: see sameName.
func (e *Element) findChild(name string) *Element {
	if c := e.Child(name); c != nil || e == nil {
		return c
	}
	for i := range e.Children {
		if sameName(e.Children[i].Name, name) {
			return &e.Children[i]
		}
	}
	return nil
}

// findChildren returns all children with the name of the one that findChild returns.
func (e *Element) findChildren(name string) (all []*Element) {
	first := e.findChild(name)
	if first == nil {
		return nil
	}
	for i := range e.Children {
		if c := &e.Children[i]; c.Name == first.Name {
			all = append(all, c)
		}
	}
	return all
}

// sameName reports whether two names differ only in letter case and underscores. WeChat writes MsgId, MsgID and msgid,
// Location_X and trace_id, for fields whose Go names are MsgID, LocationX and TraceID.
func sameName(a, b string) bool {
	for {
		a, b = strings.TrimLeft(a, "_"), strings.TrimLeft(b, "_")
		if a == "" || b == "" {
			return a == b
		}
		if toLower(a[0]) != toLower(b[0]) {
			return false
		}
		a, b = a[1:], b[1:]
	}
}

func toLower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isBlank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }
