package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Message configures how the callbacks (消息推送) of an app are received, and where they are forwarded to.
type Message struct {
	Token  string       `json:"token"`
	AESKey string       `json:"aes_key"` // EncodingAESKey, 43 characters
	Mode   message.Mode `json:"mode"`    // plain, compatible or secure; default secure with an aes_key, else plain

	// PreviousToken and PreviousAESKey are accepted too, during a change of Token and AESKey.
	PreviousToken  string `json:"previous_token"`
	PreviousAESKey string `json:"previous_aes_key"`

	AllowPrivate bool      `json:"allow_private"` // backends that requests name may have private addresses
	Forward      []Forward `json:"forward"`
}

// Forward is a backend that messages are forwarded to. See [message.Backend].
type Forward struct {
	URL  string       `json:"url"`
	Form message.Form `json:"form"` // xml (default), json or raw

	// Answer makes the backend's reply the reply to the user. A backend without it gets a copy, which is kept until the
	// backend has accepted it.
	Answer bool `json:"answer"`

	Late    bool     `json:"late"`               // a reply that comes too late is sent as a customer service message
	Timeout Duration `json:"timeout"`            // such as 4s
	When    When     `json:"when" blanks:"kept"` // default every message
}

// When selects the messages that a backend gets: those that match all fields that are set. A field with several texts
// matches any of them.
type When struct {
	Type     Texts  `json:"type"` // MsgType, such as text or event
	Event    Texts  `json:"event"`
	EventKey Texts  `json:"event_key"` // of those events
	Text     Texts  `json:"text"`      // the whole content of a text message
	Keyword  Texts  `json:"keyword"`   // part of the content of a text message
	Pattern  string `json:"pattern"`   // regular expression (RE2) for the content of a text message
}

// Texts is a list of texts. In JSON it may be a single text.
type Texts []string

// UnmarshalJSON reads a text or a list.
func (t *Texts) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = make(Texts, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	if json.Unmarshal(b, (*[]string)(t)) != nil {
		return errors.New("want " + t.wantedForm())
	}
	return nil
}

func (*Texts) wantedForm() string { return "text or a list of texts" }

// ReceiveIDs are ids that encrypted messages may be for, besides the app_id: of an open platform, of a WeCom suite, or ""
// of a WeCom smart robot. The single element "any", in JSON the text any, means all ids.
type ReceiveIDs []string

// UnmarshalJSON reads a list of texts, or the text any.
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

// accepted returns the ids that messages for an app may be for, nil for its app_id alone, or all.
func (r ReceiveIDs) accepted(appID string) (ids []string, all bool) {
	switch {
	case len(r) == 0:
		return nil, false
	case r[0] == "any":
		return nil, true
	}
	return append([]string{appID}, r...), false
}

func (*ReceiveIDs) wantedForm() string { return "a list of ids, or any" }

// Duration is a time.Duration. In JSON it is a text such as 4s or 500ms.
type Duration time.Duration

// UnmarshalText reads the texts of time.ParseDuration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return errors.New("want " + d.wantedForm())
	}
	*d = Duration(v)
	return nil
}

func (*Duration) wantedForm() string { return "a duration such as 4s" }

// newReceiver returns the part that receives callbacks. Its errors name keys of an app.
func (m *Message) newReceiver(c message.Config) (*message.Receiver, error) {
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
		return nil, fmt.Errorf("%s: %s", configKey(wrong.Field), wrong.Reason)
	}
	return in, err
}

var (
	modes = []message.Mode{message.Plain, message.Compatible, message.Secure}
	forms = []message.Form{message.FormXML, message.FormJSON, message.FormRaw}
)

// check returns an error for the first setting that cannot be served.
func (m *Message) check(a App) error {
	switch {
	case m == nil && len(a.ReceiveIDs) > 0:
		return errors.New("receive_ids: needs message")
	case m == nil && a.ForwardSignature:
		return errors.New("forward_signature: needs message")
	case m == nil:
		return nil
	case len(a.ReceiveIDs) > 1 && slices.Contains(a.ReceiveIDs, "any"):
		return errors.New("receive_ids: want any alone, or a list of ids")
	case len(a.ReceiveIDs) > 0 && m.AESKey == "":
		return errors.New("receive_ids: needs message.aes_key: only encrypted messages have an id")
	case a.Kind == wechat.Authorized:
		return m.checkAuthorized(a)
	case a.Kind == wechat.Platform && (m.AESKey == "" || m.Mode != "" && m.Mode != message.Secure):
		return errors.New("message: want mode secure and an aes_key for a platform: the Token and the Key of its page in the open platform")
	case a.Kind == wechat.Website:
		return errors.New("message: must be unset for a website, which gets no messages")
	case m.Mode != "" && !slices.Contains(modes, m.Mode):
		return errors.New("message.mode: want plain, compatible or secure")
	case a.Kind == wechat.Work && (m.AESKey == "" || m.Mode != "" && m.Mode != message.Secure):
		return errors.New("message: want mode secure and an aes_key for WeCom")
	}
	_, err := m.newReceiver(message.Config{AppID: a.AppID, Kind: a.accountKind(), Forward: message.Forwarding{
		Records: new(store.Memory), API: new(wechat.Client), SignKeys: []string{a.SignKey, a.PreviousSignKey},
	}})
	return err
}

// configKeys are the keys of an app, by the field of message.Config that each sets.
var configKeys = map[string]string{
	"AppID": "app_id", "ReceiveIDs": "receive_ids", "Forward.SignKeys[0]": "sign_key", "Forward.SignKeys[1]": "previous_sign_key",
	"Token": "message.token", "PreviousToken": "message.previous_token",
	"EncodingAESKey": "message.aes_key", "PreviousAESKey": "message.previous_aes_key",
	"Kind": "kind", "Mode": "message.mode",
}

// configKey returns the key of an app that sets a field of message.Config, or the field if there is none.
func configKey(field string) string {
	if key, ok := configKeys[field]; ok {
		return key
	}
	if rest, ok := strings.CutPrefix(field, "Forward.Backends["); ok {
		return "message.forward[" + strings.ToLower(rest) // fields of message.Backend and their keys differ only in letter case
	}
	return field
}

// hasCopies reports whether messages are copied to backends.
func (m *Message) hasCopies() bool {
	return m != nil && slices.ContainsFunc(m.Forward, func(f Forward) bool { return !f.Answer })
}

func (f Forward) backend() (t message.Backend, err error) {
	if f.Form != "" && !slices.Contains(forms, f.Form) {
		return t, errors.New("form: want xml, json or raw")
	}
	if u, err := url.Parse(f.URL); err == nil && u.User != nil { // a password that would be shown
		return t, errors.New("url: want one without a user and a password: backends verify the signature that sign_key makes")
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
		return nil, errors.New("event_key: needs event")
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
			return nil, errors.New("pattern: want a regular expression (RE2)" + regexpProblem(err))
		}
		all = append(all, message.OnPattern(re))
	}
	return message.All(all...), nil
}

// regexpProblem describes an error of regexp.Compile without the expression.
func regexpProblem(err error) string {
	var e *syntax.Error
	if errors.As(err, &e) {
		return ": " + e.Code.String()
	}
	return ""
}
