package message_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/wetoken/wetoken/message"
)

// parseWithEncodingXML reads a document with encoding/xml into the tree that package message should return.
func parseWithEncodingXML(doc string) (message.Element, error) {
	var top message.Element
	stack := []*message.Element{&top}
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(top.Children) != 1 {
				return top, fmt.Errorf("%d roots", len(top.Children))
			}
			return top.Children[0], nil
		}
		if err != nil {
			return top, err
		}
		e := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			e.Children = append(e.Children, message.Element{Name: t.Name.Local})
			stack = append(stack, &e.Children[len(e.Children)-1])
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			e.Text += string(t)
		}
	}
}

// requireSameTree compares a tree of package message with that of encoding/xml. Text beside elements is not accepted, so
// that it is blank in want.
func requireSameTree(t testing.TB, want, got message.Element, doc string) {
	require.Equal(t, want.Name, got.Name, "%q", doc)
	require.Len(t, got.Children, len(want.Children), "%q", doc)
	if len(want.Children) > 0 {
		require.Empty(t, strings.Trim(want.Text, " \t\r\n"), "%q", doc)
		want.Text = ""
	}
	require.Equal(t, want.Text, got.Text, "%q", doc)
	for i := range want.Children {
		requireSameTree(t, want.Children[i], got.Children[i], doc)
	}
}

func opener(t testing.TB) func(doc string) (*message.Message, error) {
	w := official()
	w.key = ""
	in := w.newReceiver(t)
	return func(doc string) (*message.Message, error) { return in.Open(w.plain(), []byte(doc)) }
}

var acceptedXML = []string{
	"<xml></xml>", "<xml/>", "<xml />", "<x\t\n>\r\n</x >", "\ufeff<xml/>", " \n<xml/>\n ",
	`<?xml version="1.0" encoding="UTF-8"?><xml/>`, `<?xml version='1.0' standalone='yes' ?>` + "\n<xml/>",
	"<xml><a>1</a></xml>", "<xml>\n <a> 1 </a>\n</xml>", "<a-b.c_1/>", "<_/>",
	"<xml><a><![CDATA[]]></a><b></b><c/></xml>",
	"<xml><a><![CDATA[<b>&amp;</b>]]></a></xml>",
	"<xml><a><![CDATA[a]]]]><![CDATA[>b]]></a></xml>",
	"<xml><a>x<![CDATA[y]]>z<![CDATA[]]></a></xml>",
	"<xml><a>]]<![CDATA[]]]]>&gt;</a></xml>", "<a>]]</a>", "<a>]]&gt;</a>", "<a>></a>",
	"<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x41;&#x4f60;&#10;&#13;</a>", "<a>&#xFFFD;&#x10FFFF;</a>",
	"<a>\r\n\r\r\n</a>", "<a><![CDATA[\r\n\r]]></a>", "<a>\r&#10;&#13;\n</a>", "<a>x&#32;</a>",
	`<a b="c" d='e"' f = ">"  >x</a>`, `<a b=""/>`,
	"<xml>&#32;<a/>&#10;<b/><![CDATA[ ]]></xml>",
	"<xml><Content>💖 你好 \u200b\ufffd\U0010ffff</Content></xml>", "<a>\x7f</a>",
	"<xml><a>1</a><a>2</a><a><a>3</a></a></xml>",
}

var refusedXML = []string{
	"", " ", "\ufeff", "<", "<xml", "<xml>", "<xml></xm>", "<xml></XML>", "</xml>", "<xml></xml", "<xml><a></xml></a>", "<>", "< xml/>", "<xml/ >",
	"<xml></ xml>", "<1/>", "<-/>", "<a:b/>", "<你/>", "<xml/><xml/>", "<xml/>x", "<xml/>\x00",
	"<!DOCTYPE x><x/>", "<x><!-- c --></x>", "<!-- c --><x/>", "<x><?pi?></x>", "<?pi?><x/>", `<?xml version="1.1"?><x/>`,
	`<?xml version="1.0" encoding="gbk"?><x/>`, `<?xml version="1.0"`, `<?xml?`, `<?xmlx?><x/>`, ` <?xml version="1.0"?><x/>`,
	`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>`, "<x>&e;</x>", "<x>&</x>", "<x>&;</x>", "<x>&#;</x>", "<x>&#x;</x>",
	"<x>&#0;</x>", "<x>&#xD800;</x>", "<x>&#x110000;</x>", "<x>&#99999999999;</x>", "<x>&#xfffe;</x>", "<x>&#-1;</x>", "<x>&#+1;</x>", "<x>&#X41;</x>", "<x>&lt</x>", "<x>&LT;</x>",
	"<x>]]></x>", "<x><![CDATA[</x>", "<x><![cdata[]]></x>", "<x><![CDATA[]]</x>", "<![CDATA[]]>", "<x><![CDATA[\x01]></x>",
	"<x\x00/>", "<x/>\xff", "<x a\x00=''/>", "<x>&\x01;</x>",
	"<xml>text<a/></xml>", "<xml><a/>text</xml>", "<xml><a/><![CDATA[x]]></xml>",
	"<a b/>", "<a b=c/>", `<a b="c/>`, `<a b="<"/>`, `<a b="&"/>`, `<a b="c"d="e"/>`, `<a"/>`, `<a =""/>`, `<a b "c"/>`,
	strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33),
	"<xml>" + strings.Repeat("<a/>", 4096) + "</xml>",
}

func TestAcceptedXMLIsReadLikeEncodingXML(t *testing.T) {
	open := opener(t)
	deep := strings.Repeat("<a>", 32) + "x" + strings.Repeat("</a>", 32)
	wide := "<xml>" + strings.Repeat("<a/>", 4095) + "</xml>"
	for _, doc := range append(acceptedXML, deep, wide, textMessage) {
		m, err := open(doc)
		require.NoError(t, err, "%q", doc)
		want, err := parseWithEncodingXML(doc)
		require.NoError(t, err, "%q", doc)
		requireSameTree(t, want, m.Root, doc)
	}
}

func TestUnusualXMLIsRefused(t *testing.T) {
	open := opener(t)
	for _, doc := range refusedXML {
		_, err := open(doc)
		require.ErrorIs(t, err, message.ErrBody, "%q", doc)
	}
}

// isLegal reports whether XML allows all characters of s.
func isLegal(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\ufffe' || r == '\uffff'
	})
}

// TestIllegalXMLCharactersAreReplaced has control characters, which WeChat passes on from users.
func TestIllegalXMLCharactersAreReplaced(t *testing.T) {
	w := official()
	in := w.newReceiver(t)
	for content, want := range map[string]string{
		"往后\x10余生": "往后\ufffd余生", "a\x02b": "a\ufffdb", " \x1dc": " \ufffdc", "\x00": "\ufffd", "\x1f\n": "\ufffd\n",
		"cut \xe6": "cut \ufffd", "\xff": "\ufffd", "\xc0\x80": "\ufffd\ufffd", "\xf4\x90\x80\x80": "\ufffd\ufffd\ufffd\ufffd",
		"\uffff\ufffe": "\ufffd\ufffd", "\xed\xa0\x80": "\ufffd\ufffd\ufffd",
	} {
		query, body := w.send("<xml><MsgType>text</MsgType><Content><![CDATA[" + content + "]]></Content></xml>")
		m, err := in.Open(query, body)
		require.NoError(t, err, "%q", content)
		require.Equal(t, want, m.Content, "%q", content)
		require.True(t, isLegal(m.Raw), "backends are sent it")
	}
}

func TestManyPiecesOfTextTakeLinearTime(t *testing.T) {
	piece := "<![CDATA[a]]>"
	m, err := opener(t)("<xml><Content>" + strings.Repeat(piece, 80000) + "</Content></xml>")
	require.NoError(t, err)
	require.Len(t, m.Content, 80000)
}

func TestJSONIsBounded(t *testing.T) {
	open := opener(t)
	for _, doc := range []string{"{", "{}x", `{"a":}`, `{"a":1,}`, `{"a":01}`, `{a:1}`, `{"a":` + "\x00" + `"b"}`,
		`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, `{"a":` + strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 33),
		`{"a":[` + strings.Repeat("1,", 5000) + `1]}`} {
		_, err := open(doc)
		require.ErrorIs(t, err, message.ErrBody, "%.40q", doc)
	}
	m, err := open("\ufeff {\"a\":[[1,2],[3]],\"b\":{},\"c\":[],\"d\":false}\n")
	require.NoError(t, err)
	require.Len(t, m.Root.Children, 6, "nested arrays are flat, and an empty array is kept")
	require.Empty(t, m.Root.Child("c").Children)
	require.Equal(t, "false", m.Root.Get("d"))
}
