package message

import "strings"

// Element is one field of WeChat's document with everything below it, whether the document was XML or JSON. It keeps
// the fields that have no Go field. A JSON array is one Element for each of its values, all of the same name, which
// is how WeChat writes lists in XML too, and an empty one is an Element without Text and Children; a number, true or
// false is the Text it was written with.
type Element struct {
	Name     string
	Text     string // of an element without children
	Children []Element

	bare  bool // a JSON number, true, false or null: written without quotation marks
	list  bool // from a JSON array
	empty bool // a JSON array without values
}

// node is an Element as package document fills it.
type node Element

func (n *node) SetName(name string) { n.Name = name }
func (n *node) SetText(text string) { n.Text = text }

func (n *node) AddChild() *node {
	n.Children = append(n.Children, Element{})
	return (*node)(&n.Children[len(n.Children)-1])
}

// hollow reports whether e stands for a list without items, rather than being one: <List></List>, <List/>, "List":null,
// "List":[] and "List":{}.
func (e *Element) hollow() bool { return len(e.Children) == 0 && blank(e.Text) && !e.list }

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

// findAll returns the children that have the name of the one that find returns.
func (e *Element) findAll(name string) (all []*Element) {
	first := e.find(name)
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

// alike reports whether two names differ in letter case and underscores only. WeChat writes MsgId, MsgID and msgid,
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
