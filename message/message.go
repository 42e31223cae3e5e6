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
// [Backend]. What WeChat sends again because an answer takes its time is handled once and answered: see [HandlerFunc].
// [Send] and [SendWork] send to users of the app's own accord, and package notify by a template.
package message

import (
	"fmt"
	"net/url"
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
