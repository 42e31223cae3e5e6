// Package message receives the messages and events that WeChat sends to an app. It verifies, decrypts and decodes them,
// calls the handlers, and encrypts the replies. One [Receiver] serves one official account, mini program, open platform
// or WeCom application (企业微信).
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
// A Receiver can forward messages to backends, with or without handlers: see [Backend]. [Send] and [SendWork] send
// messages that are not replies, and package notify sends messages made from templates.
//
// # Several processes
//
// WeChat sends a message again when it gets no response within five seconds. Processes that share a [Config].Store
// handle each message once, and any of them responds with the reply: see [HandlerFunc]. Copies for backends survive
// restarts and are delivered by [Receiver.Run] in any of the processes.
//
// # Errors
//
// [New] returns a *[ConfigError], which names the field. A callback that is not accepted is a [Refusal], found with
// errors.Is, and has an HTTP status. The log names the likely cause once a minute; the sender learns only the Refusal.
// A handler that returns an error makes WeChat send the message again.
//
// # Rotating keys
//
// Set the new Token and EncodingAESKey in Config with the current values as PreviousToken and PreviousAESKey, restart,
// and then change them in WeChat's console. Messages with either are accepted, and a reply uses those of its message.
// Sign keys for backends rotate in [Forwarding].SignKeys.
package message

import (
	"fmt"
	"net/url"
	"time"
)

// Message is a message or an event, verified and decrypted. Its fields have WeChat's names in Go's capitals, and are
// zero if the message does not have them. Package event has structs for the fields of each event, for Decode, and Root
// has all fields. Messages: 接收普通消息, events: 接收事件推送.
// https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_standard_messages.html
type Message struct {
	ToUserName   string    // the account's gh_ name; for WeCom the corp id
	FromUserName string    // the user's openid; for WeCom the member's userid
	CreateTime   time.Time // to the second
	MsgType      string    // text, image, voice, video, shortvideo, location, link, miniprogrampage, file, event
	MsgID        int64     // equal when WeChat sends the message again; 0 for events
	MsgDataID    string    // of a message sent from an article
	Idx          int64     // number of the article of MsgDataID
	AgentID      int64     // WeCom: the application

	Content      string // text
	BizMsgMenuID string // text: the item clicked in a menu message
	MediaID      string // image, voice, video, shortvideo: for 获取临时素材, valid for 3 days
	PicURL       string // image
	Format       string // voice: amr or speex
	Recognition  string // voice: the recognized text, if speech recognition is enabled
	MediaID16K   string // voice
	ThumbMediaID string // video, shortvideo, miniprogrampage
	LocationX    float64
	LocationY    float64 // location: latitude and longitude
	Scale        int64   // location
	Label        string  // location
	Title        string  // link, miniprogrampage, file
	Description  string  // link, file
	URL          string  // link
	AppID        string  // miniprogrampage; in notices to a platform, the platform's
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

	Root Element // all fields

	// Raw is WeChat's document, decrypted: XML or JSON. Characters that XML does not allow are replaced by U+FFFD, and
	// control characters in JSON strings are removed.
	Raw string

	origin origin
}

// origin is the form in which a message came. The reply has the same form.
type origin struct {
	sealed       bool
	json         bool    // the document is JSON
	jsonEnvelope bool    // the encrypted envelope is JSON
	lowerCase    bool    // the names in the envelope are lower case
	work         bool    // WeCom
	mini         bool    // a mini program
	token        *string // a pointer, so that package fmt does not print it
	key          *aesKey
	nonce        string
	receiveID    string
	body         string // as received
	query        url.Values
}

// isEvent reports whether m is an event.
func (m *Message) isEvent() bool { return m.MsgType == "event" || m.MsgType == "device_event" }

// String returns a description of the message without its content, for logs.
func (m *Message) String() string {
	switch {
	case m.InfoType != "":
		return m.InfoType
	case m.Event != "":
		return "event " + m.Event
	}
	return fmt.Sprintf("%s %d", m.MsgType, m.MsgID)
}
