package wechattest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Message is a message that an app sent to its users.
type Message struct {
	AppID   string    `json:"app"`
	AgentID int       `json:"agent_id,omitempty"` // Work
	Path    string    `json:"path"`               // such as /cgi-bin/message/custom/send
	Body    []byte    `json:"-"`                  // byte for byte, with escapes such as \u003c
	MsgID   string    `json:"msgid,omitempty"`    // the msgid of the reply; empty if WeChat replies with none
	Time    time.Time `json:"time"`
}

const maxSentMessages = 10_000

// Sent returns the messages that the apps sent, oldest first, at least the last 10000. It includes only calls that were
// served, also if a fault then lost the reply.
func (s *Server) Sent() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.sent)
	for i := range list {
		list[i].Body = bytes.Clone(list[i].Body)
	}
	return list
}

func messageRoutes() []route {
	return []route{
		{path: "/cgi-bin/message/custom/send", on: apiHost, method: http.MethodPost, body: jsonBody, plain: true, serve: (*Server).customSend},
		{path: "/cgi-bin/message/template/send", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: []Kind{Official}, serve: (*Server).templateSend},
		{path: "/cgi-bin/message/subscribe/send", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: []Kind{Mini}, serve: (*Server).subscribeSend},
		{path: "/cgi-bin/message/send", on: workHost, method: http.MethodPost, body: jsonBody, serve: (*Server).workSend},
	}
}

// Limits of what is sent. WeChat's pages give no number for an openid and 2048 bytes for a text.
const (
	maxOpenID = 128
	maxText   = 2048
)

func (s *Server) customSend(c *call) reply {
	if !validOpenID(c.text("touser")) {
		return c.refuse(40003)
	}
	kind := c.text("msgtype")
	var part struct {
		Content  string            `json:"content"`
		MediaID  string            `json:"media_id"`
		Articles []json.RawMessage `json:"articles"`
	}
	raw, present := c.fields[kind]
	if present && json.Unmarshal(raw, &part) != nil {
		return c.refuse(47001)
	}
	switch kind {
	case "text":
		if part.Content == "" {
			return c.refuse(44004)
		}
		if len(part.Content) > maxText {
			return c.refuse(45002)
		}
	case "image", "voice", "video", "mpnews":
		if part.MediaID == "" {
			return c.refuse(40007)
		}
	case "news":
		if len(part.Articles) != 1 {
			return c.refuse(45008)
		}
	case "music", "mpnewsarticle", "msgmenu", "wxcard", "miniprogrampage", "link":
		if !present {
			return c.refuse(44004)
		}
	default:
		return c.refuse(40008)
	}
	s.keep(c, "")
	return c.done(nil)
}

func (s *Server) templateSend(c *call) reply {
	if !validOpenID(c.text("touser")) {
		return c.refuse(40003)
	}
	if c.text("template_id") == "" {
		return c.refuse(40037)
	}
	return s.sendTemplate(c)
}

func (s *Server) subscribeSend(c *call) reply {
	if !validOpenID(c.text("touser")) {
		return c.refuse(40003)
	}
	if c.text("template_id") == "" {
		return c.refuse(40037)
	}
	if page := c.text("page"); page != "" && !c.app.published(page) {
		return c.refuse(41030)
	}
	if len(c.app.Templates) == 0 {
		return s.sendTemplate(c)
	}
	key := c.text("touser") + " " + c.text("template_id")
	switch {
	case !slices.Contains(c.app.Templates, c.text("template_id")):
		return c.refuse(40037)
	case s.people.accepted[key] == 0:
		return c.refuse(43101)
	}
	last := s.serial
	rep := s.sendTemplate(c)
	if s.serial != last { // it was sent
		s.people.accepted[key]--
	}
	return rep
}

// Accept makes a person of a mini program accept one more subscribe message of a template (一次性订阅).
func (s *Server) Accept(appID, name, templateID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.person(name); ok {
		s.accept(appID, p.Name, templateID)
	}
}

func (s *Server) accept(appID, name, templateID string) {
	if s.people.accepted == nil {
		s.people.accepted = make(map[string]int)
	}
	s.people.accepted[s.OpenID(appID, name)+" "+templateID]++
}

func (s *Server) workSend(c *call) reply {
	var in struct {
		ToUser  string `json:"touser"`
		ToParty string `json:"toparty"`
		ToTag   string `json:"totag"`
		MsgType string `json:"msgtype"`
		AgentID number `json:"agentid"`
		Text    struct {
			Content string `json:"content"`
		} `json:"text"`
	}
	if json.Unmarshal(c.body, &in) != nil {
		return c.refuse(47001)
	}
	switch {
	case c.app.AgentID == 0:
		return c.refuse(48002)
	case int(in.AgentID) != c.app.AgentID:
		return c.refuse(40056)
	case in.ToUser == "" && in.ToParty == "" && in.ToTag == "":
		return c.refuse(81013)
	}
	switch in.MsgType {
	case "text":
		if in.Text.Content == "" {
			return c.refuse(44004)
		}
	case "image", "voice", "video", "file", "textcard", "news", "mpnews", "markdown", "miniprogram_notice", "template_card":
		if _, present := c.fields[in.MsgType]; !present {
			return c.refuse(44004)
		}
	default:
		return c.refuse(40008)
	}
	id := newID("msgid", 64)
	s.keep(c, id)
	return c.done(fields{"invaliduser": "", "invalidparty": "", "invalidtag": "", "unlicenseduser": "", "msgid": id})
}

// number is an integer in JSON, or a text of one.
type number int

func (n *number) UnmarshalJSON(raw []byte) error {
	var text *string
	if json.Unmarshal(raw, &text) == nil && text != nil {
		raw = []byte(*text)
	}
	return json.Unmarshal(raw, (*int)(n))
}

// data checks the values of a template: {"data":{"name":{"value":"…"}}}. bad is the name of the first invalid one.
func (c *call) data() (bad string, ok bool) {
	var data map[string]struct {
		Value *string `json:"value"`
	}
	if json.Unmarshal(c.fields["data"], &data) != nil || len(data) == 0 {
		return "data", false
	}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if data[name].Value == nil {
			return "data." + name + ".value", false
		}
	}
	return "", true
}

func validOpenID(id string) bool {
	return id != "" && len(id) <= maxOpenID
}

// sendTemplate keeps a template message and replies with its msgid.
func (s *Server) sendTemplate(c *call) reply {
	if bad, ok := c.data(); !ok {
		return c.refuseAs(47003, "argument invalid! "+bad+" invalid")
	}
	s.serial++
	id := 2_000_000_000_000_000_000 + s.serial // beyond 2^53, as WeChat's are
	s.keep(c, strconv.FormatInt(id, 10))
	return c.done(fields{"msgid": id})
}

func (s *Server) keep(c *call, id string) {
	if len(s.sent) >= 2*maxSentMessages {
		s.sent = slices.Clone(s.sent[maxSentMessages:])
	}
	s.sent = append(s.sent, Message{
		AppID: c.app.ID, AgentID: c.app.AgentID, Path: c.path, Body: c.body, MsgID: id, Time: c.now,
	})
}
