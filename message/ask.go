package message

import (
	"context"
	"errors"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/relay"
)

// question is what a backend is asked.
type question struct {
	id          string
	url, query  string
	contentType string
	body        []byte
}

// question puts a message into the form that t wants.
func (f *forwarder) question(t *backend, o outgoing) (q question, err error) {
	m := o.m
	q.id, q.url, q.contentType = o.id, t.URL, "text/xml; charset=utf-8"
	switch t.Form {
	case FormRaw:
		q.body = []byte(m.origin.body)
		if m.origin.envelope || !m.origin.sealed && m.origin.json {
			q.contentType = "application/json"
		}
	case FormJSON:
		q.contentType = "application/json"
		q.body, err = m.MarshalJSON()
	default:
		doc := m.Raw
		if m.origin.json {
			doc = xmlOf(&m.Root)
		}
		q.body = []byte(doc)
	}
	query := url.Values{"appid": {f.appID}}
	names := []string{"openid", "signature", "timestamp", "nonce", "encrypt_type", "msg_signature"}
	if !t.all {
		names = names[:4]
	}
	for _, name := range names {
		if name == "signature" && t.Form != FormRaw && !f.signature {
			continue
		}
		if v := m.origin.query.Get(name); v != "" {
			query.Set(name, v)
		}
	}
	q.query = query.Encode()
	return q, err
}

// address is the URL with the query.
func address(base, query string) string {
	if strings.Contains(base, "?") {
		return base + "&" + query
	}
	return base + "?" + query
}

// ask asks a backend until it has answered or its time is over, and tells news.
func (f *forwarder) ask(ctx context.Context, m *Message, t *backend, i int, q question, news chan<- step) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil { // of one message, not of all that this process serves
			f.log.ErrorContext(ctx, "message: asking a backend panicked", "backend", host(t.URL), "panic", v, "stack", string(debug.Stack()))
			news <- step{i: i, state: over, err: errors.New("panic")}
		}
	}()
	for told := false; ; told = true {
		body, err := t.sender.Deliver(ctx, q.id, address(q.url, q.query), q.contentType, q.body)
		if err == nil {
			reply, err := f.replyOf(ctx, m, t, body)
			if err != nil {
				f.log.WarnContext(ctx, "message: a backend's answer is not a reply", "backend", host(t.URL), "message", m.String(), "error", err)
			}
			news <- step{i: i, state: over, reply: reply}
			return
		}
		if relay.Temporary(err) {
			if !told {
				news <- step{i: i, state: again}
			}
			timer := time.NewTimer(askAgain)
			select {
			case <-timer.C:
				continue
			case <-ctx.Done():
				timer.Stop()
			}
		}
		f.log.WarnContext(ctx, "message: a backend did not take a message", "backend", host(t.URL), "message", m.String(), "error", err)
		news <- step{i: i, state: over, err: err}
		return
	}
}

// replyOf reads what a backend answered, and makes sure that it can be a reply to m.
func (f *forwarder) replyOf(ctx context.Context, m *Message, t *backend, body []byte) (Reply, error) {
	doc := trim(string(body))
	if doc == "" || doc == "success" {
		return nil, nil
	}
	var root Element
	if _, err := parse(&doc, &root); err != nil {
		return nil, err
	}
	if root.Name != "xml" {
		return nil, errors.New("the root element is not xml")
	}
	sealed := root.Get("Encrypt")
	if sealed == "" {
		sealed = root.Get("encrypt")
	}
	if sealed != "" { // by a backend that has the app's key
		text, _, _, err := f.keys.unseal(sealed)
		if err != nil {
			return nil, err
		}
		doc = trim(string(text))
	}
	r, err := ParseReply([]byte(doc))
	if err != nil || r == nil {
		return nil, err
	}
	if _, ok := r.(Raw); ok {
		if err := ownReply(m, doc); err != nil {
			return nil, err
		}
	}
	r = fit(ctx, f.log, m, r, host(t.URL))
	text, err := plaintext(m, r)
	if err != nil {
		if _, sendable := activeForm(r, m.origin.work); sendable && t.Late {
			return r, nil
		}
		return nil, err
	}
	if text == "" {
		return nil, nil
	}
	return r, nil
}

// ownReply returns nil if doc looks like the reply that some events have of their own: ErrCode to a mini program's xpay
// and trade events, a MsgType such as update_button to WeCom's cards, a msgtype to WeCom's smart robots.
func ownReply(m *Message, doc string) error {
	var root Element
	_, err := parse(&doc, &root)
	switch {
	case err != nil:
		return err
	case m.isEvent() && (root.Child("ErrCode") != nil || root.Get("MsgType") != ""):
		return nil
	case m.robot() && root.Get("msgtype") != "":
		return nil
	}
	return unlike(&root)
}

// xmlOf writes a JSON message as WeChat would have written it in XML.
func xmlOf(root *Element) string {
	e := encoder{buf: make([]byte, 0, 1024)}
	e.root()
	for i := range root.Children {
		e.xml(&root.Children[i])
	}
	e.endRoot()
	return string(e.buf)
}

func (e *encoder) xml(c *Element) {
	name := strings.Map(nameRune, c.Name)
	if name == "" || strings.IndexByte("-.0123456789", name[0]) >= 0 {
		name = "_" + name
	}
	if len(c.Children) == 0 && !c.bare {
		e.text(name, c.Text)
		return
	}
	e.tag(name)
	e.buf = append(e.buf, c.Text...) // of a number, true or false
	for i := range c.Children {
		e.xml(&c.Children[i])
	}
	e.endTag(name)
}

// nameRune keeps what a member's name and an element's name may both have.
func nameRune(r rune) rune {
	if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.' {
		return r
	}
	return '_'
}

// host returns the part of a backend's address that may be logged.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	return u.Host
}
