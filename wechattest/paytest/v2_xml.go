package paytest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// values are the fields of a message of v2.
type values map[string]string

const maxValues = 500 // fields of a message

var (
	errNotUTF8 = errors.New("paytest: the XML is not UTF-8")
	errNotFlat = errors.New("paytest: invalid XML: want one element with a flat list of different elements")
)

// readXML reads the XML of v2: an element with a flat list of elements, each at most once, whose content is text. It
// refuses document types, and with them entities that are not XML's own.
func readXML(root string, body []byte) (values, error) {
	if !utf8.Valid(body) {
		return nil, errNotUTF8
	}
	in := xmlReader{root: root, values: make(values)}
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if err == io.EOF && in.ended {
			return in.values, nil
		}
		if err != nil {
			return nil, errNotFlat
		}
		if !in.add(token) {
			return nil, errNotFlat
		}
	}
}

// xmlReader collects the fields of a message from its tokens.
type xmlReader struct {
	root   string
	values values
	name   string // of the field that is open
	text   strings.Builder
	depth  int
	ended  bool // whether the root has ended
}

// add adds a token and reports whether it may stand where it does.
func (in *xmlReader) add(token xml.Token) bool {
	switch token := token.(type) {
	case xml.StartElement:
		return in.open(token.Name)
	case xml.EndElement:
		in.close()
		return true
	case xml.CharData:
		if in.depth == 2 {
			in.text.Write(token)
			return true
		}
		return len(bytes.TrimSpace(token)) == 0
	case xml.ProcInst:
		return token.Target == "xml" && in.depth == 0 && !in.ended
	case xml.Comment:
		return true
	}
	return false // a document type
}

func (in *xmlReader) open(name xml.Name) bool {
	if name.Space != "" || in.ended || in.depth > 1 {
		return false
	}
	in.depth++
	if in.depth == 1 {
		return name.Local == in.root
	}
	_, twice := in.values[name.Local]
	in.name = name.Local
	in.text.Reset()
	return !twice && len(in.values) < maxValues
}

func (in *xmlReader) close() {
	if in.depth == 2 {
		in.values[in.name] = in.text.String()
	}
	in.depth--
	in.ended = in.depth == 0
}

// leading are the fields that WeChat writes first.
var leading = []string{"return_code", "return_msg", "appid", "mch_id", "sub_appid", "sub_mch_id", "device_info", "nonce_str", "sign", "result_code", "err_code", "err_code_des"}

// toXML writes fields as WeChat does, the text of each as CDATA.
func toXML(root string, v values) []byte {
	var b bytes.Buffer
	b.WriteString("<" + root + ">")
	write := func(name, text string) {
		text = strings.ReplaceAll(text, "]]>", "]]]]><![CDATA[>")
		b.WriteString("<" + name + "><![CDATA[" + text + "]]></" + name + ">\n")
	}
	for _, name := range leading {
		if text, ok := v[name]; ok {
			write(name, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if !slices.Contains(leading, name) {
			write(name, v[name])
		}
	}
	b.WriteString("</" + root + ">")
	return b.Bytes()
}
