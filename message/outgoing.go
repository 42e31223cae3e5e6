package message

import (
	"net/url"
	"strings"
)

// outgoing is a request to a backend.
type outgoing struct {
	id          string
	url, query  string
	contentType string
	body        []byte
}

// buildRequest returns the request for a message in the form of b.
func (f *forwarder) buildRequest(b *backend, job forwardJob) (request outgoing, err error) {
	m := job.message
	request = outgoing{id: job.id, url: b.URL, query: f.buildQuery(b, m), contentType: "text/xml; charset=utf-8"}
	switch b.Form {
	case FormRaw:
		request.body = []byte(m.origin.body)
		if m.origin.jsonEnvelope || !m.origin.sealed && m.origin.json {
			request.contentType = "application/json"
		}
	case FormJSON:
		request.contentType = "application/json"
		request.body, err = m.MarshalJSON()
	default:
		doc := m.Raw
		if m.origin.json {
			doc = toXML(&m.Root)
		}
		request.body = []byte(doc)
	}
	return request, err
}

// buildQuery returns the query of a request to b.
func (f *forwarder) buildQuery(b *backend, m *Message) string {
	query := url.Values{"appid": {f.appID}}
	names := []string{"openid", "signature", "timestamp", "nonce", "encrypt_type", "msg_signature"}
	if !b.fullQuery {
		names = names[:4]
	}
	for _, name := range names {
		if name == "signature" && b.Form != FormRaw && !f.signature {
			continue
		}
		if v := m.origin.query.Get(name); v != "" {
			query.Set(name, v)
		}
	}
	return query.Encode()
}

// withQuery returns a URL with a query appended.
func withQuery(address, query string) string {
	if strings.Contains(address, "?") {
		return address + "&" + query
	}
	return address + "?" + query
}

// toXML returns a JSON message in the XML in which WeChat would write it.
func toXML(root *Element) string {
	e := encoder{buf: make([]byte, 0, 1024)}
	e.openRoot()
	for i := range root.Children {
		e.writeXML(&root.Children[i])
	}
	e.closeRoot()
	return string(e.buf)
}

func (e *encoder) writeXML(c *Element) {
	name := strings.Map(replaceNameRune, c.Name)
	if name == "" || strings.IndexByte("-.0123456789", name[0]) >= 0 {
		name = "_" + name
	}
	if len(c.Children) == 0 && !c.unquoted {
		e.writeText(name, c.Text)
		return
	}
	e.openTag(name)
	e.buf = append(e.buf, c.Text...) // a number, true or false
	for i := range c.Children {
		e.writeXML(&c.Children[i])
	}
	e.closeTag(name)
}

// replaceNameRune replaces the characters of a JSON name that an XML name cannot have.
func replaceNameRune(r rune) rune {
	if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.' {
		return r
	}
	return '_'
}
