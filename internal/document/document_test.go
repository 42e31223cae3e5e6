package document_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/document"
)

// element is a Node of this test. Package message has another one.
type element struct {
	Name, Text string
	Children   []*element
}

func (e *element) SetName(name string) { e.Name = name }
func (e *element) SetText(text string) { e.Text = text }

func (e *element) AddChild() *element {
	c := new(element)
	e.Children = append(e.Children, c)
	return c
}

// readWithEncodingXML returns the tree that encoding/xml reads, without blanks beside elements.
func readWithEncodingXML(t testing.TB, doc string) *element {
	top := new(element)
	open := []*element{top}
	for d := xml.NewDecoder(strings.NewReader(doc)); ; {
		token, err := d.Token()
		if err == io.EOF {
			require.Len(t, top.Children, 1, "%q", doc)
			return top.Children[0]
		}
		require.NoError(t, err, "%q", doc)
		e := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			c := e.AddChild()
			c.Name = token.Name.Local
			open = append(open, c)
		case xml.EndElement:
			if len(e.Children) > 0 && strings.Trim(e.Text, " \t\r\n") == "" {
				e.Text = ""
			}
			open = open[:len(open)-1]
		case xml.CharData:
			e.Text += string(token)
		}
	}
}

// payment is a response of WeChat Pay.
const payment = `<xml>
   <return_code><![CDATA[SUCCESS]]></return_code>
   <attach/>
   <coupon_fee_0>1</coupon_fee_0>
   <attach_1>a&lt;b&#x4f60;<![CDATA[&amp;]]></attach_1>
   <sub><item>1</item><item>2</item></sub>
</xml>
`

func TestParseXMLFillsAnyNode(t *testing.T) {
	for _, doc := range []string{payment, "<xml/>", "<a>x</a>", `<?xml version="1.0" encoding="utf-8"?>` + "\n<xml><a> \r\n</a></xml>"} {
		var root element
		require.NoError(t, document.ParseXML(doc, &root), "%q", doc)
		require.Equal(t, readWithEncodingXML(t, doc), &root, "%q", doc)
	}
}

func TestUnusualDocumentsAreRefused(t *testing.T) {
	for doc, want := range map[string]string{
		"":                             "XML is not well-formed",
		"<xml>":                        "document ends too early",
		"<xml></xm>":                   "XML is not well-formed",
		"<xml/><xml/>":                 "text follows the root element",
		"<xml>text<a/></xml>":          "an element has both text and elements",
		"<xml>&e;</xml>":               "unknown entity",
		"<xml><!-- c --></xml>":        "comments, document types and instructions are not accepted",
		`<!DOCTYPE x SYSTEM "x"><x/>`:  "comments, document types and instructions are not accepted",
		strings.Repeat("<a>", 1000000): "too many or too deep elements",
		"<xml>" + strings.Repeat("<a/>", document.MaxElements) + "</xml>": "too many or too deep elements",
	} {
		require.EqualError(t, document.ParseXML(doc, new(element)), want, "%.40q", doc)
	}
	require.ErrorIs(t, document.ParseXML("<xml>", new(element)), document.ErrEnd)
	require.ErrorIs(t, document.ParseXML(strings.Repeat("<a>", document.MaxDepth+1), new(element)), document.ErrBounds)
}

func TestCleanReplacesCharactersThatXMLForbids(t *testing.T) {
	for s, want := range map[string]string{
		"你好\t\r\n": "你好\t\r\n", "a\x02b": "a\ufffdb", "cut \xe6": "cut \ufffd", "\uffff\ufffe": "\ufffd\ufffd", "\xed\xa0\x80": "\ufffd\ufffd\ufffd",
	} {
		require.Equal(t, want, document.Clean(s), "%q", s)
	}
}

func FuzzParseXML(f *testing.F) {
	f.Add(payment)
	f.Add(`<a b="c" d='e'>&#13;]]&gt;</a>`)
	f.Fuzz(func(t *testing.T, doc string) {
		doc = document.Clean(doc)
		var root element
		if document.ParseXML(doc, &root) == nil {
			require.Equal(t, readWithEncodingXML(t, doc), &root, "%q", doc)
		}
	})
}
