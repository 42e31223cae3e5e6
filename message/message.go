// Package message receives what WeChat sends to an app: the users' messages, and events. It verifies, decrypts and
// decodes them, hands them to the functions set for them, and encrypts what these reply. Official accounts, mini
// programs, open platforms and WeCom (企业微信) differ little here, and one [Receiver] serves any of them.
//
//	in, err := message.New(message.Config{AppID: id, Token: t, EncodingAESKey: k, Store: s})
//	if err != nil {
//		return err
//	}
//	in.Handle(message.OnText("hello"), func(ctx context.Context, m *message.Message) (message.Reply, error) {
//		return message.Text("hi, " + m.FromUserName), nil
//	})
//	wetoken.Bind(http.DefaultServeMux, "/wx", in) // the URL for WeChat's console: https://your.host/wx/message
//
// A message can be forwarded to backends, with or without a handler here, and the first that replies is heard: see
// [Target]. What WeChat sends again because an answer takes its time is handled once and answered: see [HandlerFunc].
// [Send] and its fellows send to users without having been asked.
package message

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Message is one message or event, verified and decrypted. Its fields are WeChat's, in Go's capitals, and those a
// message does not have are zero; package event has the further fields of particular events, for Decode to fill, and
// Root has everything. Messages: 接收普通消息, events: 接收事件推送.
// https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_standard_messages.html
type Message struct {
	ToUserName   string    // the account's gh_ name; for WeCom the corp id
	FromUserName string    // the user's openid; for WeCom the member's userid
	CreateTime   time.Time // to the second
	MsgType      string    // text, image, voice, video, shortvideo, location, link, miniprogrampage, file, event
	MsgID        int64     // the same when WeChat sends a message again; 0 for events
	MsgDataID    string    // of a message sent from an article
	Idx          int64     // which article of that MsgDataID
	AgentID      int64     // WeCom: the application

	Content      string // text
	BizMsgMenuID string // text: the item clicked in a menu message
	MediaID      string // image, voice, video, shortvideo: for 获取临时素材, 3 days
	PicURL       string // image
	Format       string // voice: amr or speex
	Recognition  string // voice: what was said, where speech recognition is on
	MediaID16K   string // voice
	ThumbMediaID string // video, shortvideo, miniprogrampage
	LocationX    float64
	LocationY    float64 // location: latitude and longitude
	Scale        int64   // location
	Label        string  // location
	Title        string  // link, miniprogrampage, file
	Description  string  // link, file
	URL          string  // link
	AppID        string  // miniprogrampage; in a platform's notices the platform's own
	PagePath     string  // miniprogrampage
	ThumbURL     string  // miniprogrampage
	FileKey      string  // file
	FileMD5      string  // file
	FileTotalLen int64   // file

	Event     string  // subscribe, SCAN, CLICK …; WeCom writes most in small letters
	EventKey  string  // the menu key, the URL, the QR code's scene (after qrscene_ in a subscribe)
	Ticket    string  // the QR code's ticket
	Latitude  float64 // LOCATION
	Longitude float64
	Precision float64
	MenuID    string // VIEW
	InfoType  string // notices of the open platform and of WeCom suites, which have no MsgType

	Root Element // all fields, those above included
	Raw  string  // the document as WeChat wrote it, decrypted: XML or JSON. What XML does not allow in it is U+FFFD, what JSON does not allow in strings is left out

	origin origin
}

// origin is how a message came, which is how its reply must go.
type origin struct {
	sealed    bool
	json      bool    // the message is JSON
	envelope  bool    // so is what it was sealed in
	small     bool    // whose keys are in small letters
	work      bool    // WeCom
	mini      bool    // a mini program
	token     *string // which package fmt prints as an address
	key       *aesKey
	nonce     string
	receiveID string
	body      string // as it came
	query     url.Values
}

// field returns where the field of WeChat's name is kept, nil for one that only Root has.
func (m *Message) field(name string) any {
	switch name {
	case "ToUserName":
		return &m.ToUserName
	case "FromUserName":
		return &m.FromUserName
	case "CreateTime":
		return &m.CreateTime
	case "MsgType":
		return &m.MsgType
	case "MsgId":
		return &m.MsgID
	case "Content":
		return &m.Content
	case "MediaId":
		return &m.MediaID
	case "PicUrl":
		return &m.PicURL
	case "Format":
		return &m.Format
	case "Recognition":
		return &m.Recognition
	case "ThumbMediaId":
		return &m.ThumbMediaID
	case "Location_X":
		return &m.LocationX
	case "Location_Y":
		return &m.LocationY
	case "Scale":
		return &m.Scale
	case "Label":
		return &m.Label
	case "Title":
		return &m.Title
	case "Description":
		return &m.Description
	case "Url":
		return &m.URL
	case "Event":
		return &m.Event
	case "EventKey":
		return &m.EventKey
	case "Ticket":
		return &m.Ticket
	case "Latitude":
		return &m.Latitude
	case "Longitude":
		return &m.Longitude
	case "Precision":
		return &m.Precision
	case "MsgDataId":
		return &m.MsgDataID
	case "Idx":
		return &m.Idx
	case "AgentID", "AgentId":
		return &m.AgentID
	case "bizmsgmenuid":
		return &m.BizMsgMenuID
	case "MediaId16K":
		return &m.MediaID16K
	case "AppId":
		return &m.AppID
	case "PagePath":
		return &m.PagePath
	case "ThumbUrl":
		return &m.ThumbURL
	case "FileKey":
		return &m.FileKey
	case "FileMd5":
		return &m.FileMD5
	case "FileTotalLen":
		return &m.FileTotalLen
	case "MenuId", "MenuID":
		return &m.MenuID
	case "InfoType":
		return &m.InfoType
	}
	return nil
}

// names are the names that field knows, in the order in which MarshalJSON writes them.
var names = [...]string{"ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId", "Content", "MediaId", "PicUrl",
	"Format", "Recognition", "ThumbMediaId", "Location_X", "Location_Y", "Scale", "Label", "Title", "Description", "Url",
	"Event", "EventKey", "Ticket", "Latitude", "Longitude", "Precision", "MsgDataId", "Idx", "AgentID", "bizmsgmenuid",
	"MediaId16K", "AppId", "PagePath", "ThumbUrl", "FileKey", "FileMd5", "FileTotalLen", "MenuId", "InfoType"}

// fill sets the typed fields from Root. A number that is none stays zero and is to be found in Root: WeChat has
// surprised before, and a message is worth more than one field of it.
func (m *Message) fill() {
	for i := len(m.Root.Children) - 1; i >= 0; i-- { // backwards, so that the first of a name stays
		c := &m.Root.Children[i]
		if to := m.field(m.known(c.Name)); to != nil && len(c.Children) == 0 {
			assign(to, c.Text)
		}
	}
	if m.CreateTime.IsZero() { // notices of WeCom suites
		assign(&m.CreateTime, m.Root.Get("TimeStamp"))
	}
}

// assign parses text into to, and tells whether it could.
func assign(to any, text string) bool {
	switch to := to.(type) {
	case *string:
		*to = text
		return true
	case *float64:
		f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return false
		}
		*to = f
		return true
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return false
	}
	switch to := to.(type) {
	case *int64:
		*to = n
	case *time.Time:
		*to = time.Unix(n, 0)
	}
	return true
}

// known returns name as field knows it: some of WeCom's JSON is in small letters throughout.
func (m *Message) known(name string) string {
	if m.origin.small {
		for _, n := range names {
			if strings.EqualFold(n, name) {
				return n
			}
		}
	}
	return name
}

// MarshalJSON writes m as one flat JSON object of WeChat's names, the form in which backends of wechat-proxy have
// been sent messages at /msg/json: CreateTime, MsgId and the coordinates are numbers, empty fields are left out, and
// fields that Message does not name follow as they came, lists as arrays. MsgIdStr is MsgId once more, as text: numbers
// above 2^53 lose their last digits in JavaScript and in other languages.
func (m *Message) MarshalJSON() ([]byte, error) {
	w := encoder{buf: make([]byte, 0, 512), json: true}
	w.root()
	for _, name := range names {
		switch v := m.field(name).(type) {
		case *string:
			if *v != "" || name == "ToUserName" || name == "FromUserName" || name == "MsgType" {
				w.text(name, *v)
			}
		case *int64:
			if *v != 0 {
				w.number(name, *v)
				if name == "MsgId" {
					w.text("MsgIdStr", strconv.FormatInt(*v, 10))
				}
			}
		case *float64:
			if *v != 0 {
				w.tag(name)
				w.buf = strconv.AppendFloat(w.buf, *v, 'f', -1, 64)
			}
		case *time.Time:
			w.number(name, unix(*v))
		}
	}
	w.elements(m.Root.Children, m.rest)
	w.endRoot()
	return w.buf, nil
}

// rest reports whether MarshalJSON must write e because the typed fields did not.
func (m *Message) rest(e *Element) bool {
	if e.Name == "MsgIdStr" && m.MsgID != 0 {
		return false
	}
	if e.empty {
		return m.field(m.known(e.Name)) == nil
	}
	if e.Text == "" && len(e.Children) == 0 {
		return false
	}
	to := m.field(m.known(e.Name))
	if to == nil || len(e.Children) > 0 {
		return true
	}
	n, ok := to.(*int64)
	return ok && *n == 0 && strings.TrimSpace(e.Text) != "0"
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// isEvent reports whether m is an event.
func (m *Message) isEvent() bool { return m.MsgType == "event" || m.MsgType == "device_event" }

// String names the message without its content, for logs.
func (m *Message) String() string {
	switch {
	case m.InfoType != "":
		return m.InfoType
	case m.Event != "":
		return "event " + m.Event
	}
	return fmt.Sprintf("%s %d", m.MsgType, m.MsgID)
}
