package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Message is how the callbacks of an app are received (消息推送), and where they are forwarded to.
type Message struct {
	Token          string       `json:"token"`
	AESKey         string       `json:"aes_key"` // EncodingAESKey, 43 characters
	PreviousToken  string       `json:"previous_token"`
	PreviousAESKey string       `json:"previous_aes_key"` // while they are being changed
	Mode           message.Mode `json:"mode"`             // plain, compatible or secure; default secure with an aes_key, else plain
	AllowPrivate   bool         `json:"allow_private"`    // backends that requests name may have private addresses
	Forward        []Forward    `json:"forward"`
}

// Forward is a backend that gets the messages. See [message.Backend].
type Forward struct {
	URL     string       `json:"url"`
	Form    message.Form `json:"form"`               // xml (default), json or raw
	Answer  bool         `json:"answer"`             // what it answers is for the user; default it gets a copy, kept until it took it
	Late    bool         `json:"late"`               // what it answers too late is sent as a customer service message
	Timeout Duration     `json:"timeout"`            // such as 4s
	When    When         `json:"when" blanks:"kept"` // default every message
}

// When says which messages a backend gets: those that fit all that is set. Each is one text or a list, any of which fits.
type When struct {
	Type     Texts  `json:"type"` // MsgType, such as text or event
	Event    Texts  `json:"event"`
	EventKey Texts  `json:"event_key"` // of those events
	Text     Texts  `json:"text"`      // the whole of a text message
	Keyword  Texts  `json:"keyword"`   // within a text message
	Pattern  string `json:"pattern"`   // a regular expression (RE2) that a text message fits
}

// Texts is a list of texts, which in JSON may be a single text.
type Texts []string

// UnmarshalJSON takes a text or a list.
func (t *Texts) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = make(Texts, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	if json.Unmarshal(b, (*[]string)(t)) != nil {
		return errors.New("want " + t.want())
	}
	return nil
}

func (*Texts) want() string { return "text or a list of texts" }

// ReceiveIDs are ids that encrypted messages may be for, besides the app_id: of an open platform, of a WeCom suite, or ""
// of a WeCom smart robot. The one text any is all ids.
type ReceiveIDs []string

// UnmarshalJSON takes a list of texts, or the text any.
func (r *ReceiveIDs) UnmarshalJSON(b []byte) error {
	if string(b) == `"any"` {
		*r = ReceiveIDs{"any"}
		return nil
	}
	if err := json.Unmarshal(b, (*[]string)(r)); err != nil {
		return errors.New("receive_ids: want a list of ids, or any")
	}
	return nil
}

// of returns the ids that messages for an app may end with, nil for its app_id alone, or that all will do.
func (r ReceiveIDs) of(appID string) (ids []string, all bool) {
	switch {
	case len(r) == 0:
		return nil, false
	case r[0] == "any":
		return nil, true
	}
	return append([]string{appID}, r...), false
}

func (*ReceiveIDs) want() string { return "a list of ids, or any" }

// Duration is a time.Duration that is written as in 4s or 500ms.
type Duration time.Duration

// UnmarshalText takes what time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return errors.New("want " + d.want())
	}
	*d = Duration(v)
	return nil
}

func (*Duration) want() string { return "a time such as 4s" }

// receiver returns the part that receives callbacks. Its errors name keys of an app.
func (m *Message) receiver(c message.Config) (*message.Receiver, error) {
	c.Token, c.EncodingAESKey, c.Mode, c.Forward.AllowPrivate = m.Token, m.AESKey, m.Mode, m.AllowPrivate
	c.PreviousToken, c.PreviousAESKey = m.PreviousToken, m.PreviousAESKey
	for i, f := range m.Forward {
		t, err := f.backend()
		if err != nil {
			return nil, fmt.Errorf("message.forward[%d].%w", i, err)
		}
		c.Forward.Backends = append(c.Forward.Backends, t)
	}
	in, err := message.New(c)
	if wrong := (*message.ConfigError)(nil); errors.As(err, &wrong) {
		return nil, fmt.Errorf("%s: %s", keyOf(wrong.Field), wrong.Reason)
	}
	return in, err
}

var (
	modes = []message.Mode{message.Plain, message.Compatible, message.Secure}
	forms = []message.Form{message.FormXML, message.FormJSON, message.FormRaw}
)

// check finds what keeps m from being served.
func (m *Message) check(a App) error {
	switch {
	case m == nil && len(a.ReceiveIDs) > 0:
		return errors.New("receive_ids: needs message beside it")
	case m == nil && a.ForwardSignature:
		return errors.New("forward_signature: needs message beside it")
	case m == nil:
		return nil
	case len(a.ReceiveIDs) > 1 && slices.Contains(a.ReceiveIDs, "any"):
		return errors.New("receive_ids: any must be alone")
	case len(a.ReceiveIDs) > 0 && m.AESKey == "":
		return errors.New("receive_ids: needs message.aes_key, as only encrypted messages name an id")
	case a.Kind == wechat.Website:
		return errors.New("message: a website application gets no messages")
	case m.Mode != "" && !slices.Contains(modes, m.Mode):
		return errors.New("message.mode: want plain, compatible or secure")
	case a.Kind == wechat.Work && (m.AESKey == "" || m.Mode != "" && m.Mode != message.Secure):
		return errors.New("message: WeCom knows mode secure alone, with an aes_key")
	}
	_, err := m.receiver(message.Config{AppID: a.AppID, Kind: a.Kind, Forward: message.Forwarding{
		Records: new(store.Memory), API: new(wechat.Client), SignKeys: []string{a.SignKey, a.PreviousSignKey},
	}})
	return err
}

// keysOfFields are the keys of an app by the fields of message.Config that they set.
var keysOfFields = map[string]string{
	"AppID": "app_id", "ReceiveIDs": "receive_ids", "Forward.SignKeys[0]": "sign_key", "Forward.SignKeys[1]": "previous_sign_key",
	"Token": "message.token", "PreviousToken": "message.previous_token",
	"EncodingAESKey": "message.aes_key", "PreviousAESKey": "message.previous_aes_key",
	"Kind": "kind", "Mode": "message.mode",
}

// keyOf returns the key of an app that sets a field of message.Config, or the field if none does.
func keyOf(field string) string {
	if key, ok := keysOfFields[field]; ok {
		return key
	}
	if rest, ok := strings.CutPrefix(field, "Forward.Backends["); ok {
		return "message.forward[" + strings.ToLower(rest) // a field of message.Backend and its key differ in letter case alone
	}
	return field
}

// copies reports whether messages are copied to backends.
func (m *Message) copies() bool {
	return m != nil && slices.ContainsFunc(m.Forward, func(f Forward) bool { return !f.Answer })
}

func (f Forward) backend() (t message.Backend, err error) {
	if f.Form != "" && !slices.Contains(forms, f.Form) {
		return t, errors.New("form: want xml, json or raw")
	}
	t = message.Backend{URL: f.URL, Form: f.Form, Answer: f.Answer, Late: f.Late, Timeout: time.Duration(f.Timeout)}
	if t.When, err = f.When.match(); err != nil {
		return t, fmt.Errorf("when.%w", err)
	}
	return t, nil
}

func (w When) match() (message.Match, error) {
	for key, texts := range map[string]Texts{"type": w.Type, "event": w.Event, "event_key": w.EventKey, "text": w.Text, "keyword": w.Keyword} {
		if slices.Contains(texts, "") || texts != nil && len(texts) == 0 {
			return nil, fmt.Errorf("%s: is empty: set it, or leave the key out", key)
		}
	}
	var all []message.Match
	if len(w.Type) > 0 {
		all = append(all, message.OnType(w.Type...))
	}
	if len(w.Event) > 0 {
		all = append(all, func(m *message.Message) bool {
			return slices.ContainsFunc(w.Event, func(event string) bool { return message.OnEvent(event, w.EventKey...)(m) })
		})
	} else if len(w.EventKey) > 0 {
		return nil, errors.New("event_key: needs event beside it")
	}
	if len(w.Text) > 0 {
		all = append(all, message.OnText(w.Text...))
	}
	if len(w.Keyword) > 0 {
		all = append(all, message.OnKeyword(w.Keyword...))
	}
	if w.Pattern != "" {
		re, err := regexp.Compile(w.Pattern)
		if err != nil {
			return nil, errors.New("pattern: want a regular expression (RE2)" + causeOf(err))
		}
		all = append(all, message.OnPattern(re))
	}
	return message.All(all...), nil
}

// causeOf says why a regular expression cannot be compiled, without showing it.
func causeOf(err error) string {
	var e *syntax.Error
	if errors.As(err, &e) {
		return ": " + e.Code.String()
	}
	return ""
}
