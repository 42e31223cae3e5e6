package message

import (
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/document"
)

// Reply is a reply to a message, sent in the response to the callback (被动回复消息). It is one of Text, Image, Voice, Video,
// Music, News, TransferCustomerService and Raw, or nil, which shows the user nothing.
//
// WeChat accepts only TransferCustomerService and Raw in reply to a mini program's message: use the customer service
// API for others. WeCom does not accept Music and TransferCustomerService, and its smart robots accept only Text and
// Raw. Seal returns an error for a reply that is not accepted.
// https://developers.weixin.qq.com/doc/subscription/guide/product/message/Passive_user_reply_message.html
type Reply interface {
	encode(e *encoder, m *Message) error
}

// Text is a text reply (文本). A line feed begins a new line. An empty Text shows the user nothing. WeChat accepts 2048
// bytes: further characters are removed, with a warning in the log.
type Text string

// Image is a picture that was uploaded to WeChat (图片).
type Image struct{ MediaID string }

// Voice is a recording that was uploaded to WeChat (语音).
type Voice struct{ MediaID string }

// Video is a video that was uploaded to WeChat (视频).
type Video struct {
	MediaID string

	Title       string // optional
	Description string // optional
}

// Music is a link to music (音乐). All fields are optional.
type Music struct {
	Title        string
	Description  string
	MusicURL     string
	HQMusicURL   string // played on Wi-Fi
	ThumbMediaID string // an uploaded picture
}

// News is a list of articles (图文). WeChat shows one in reply to a message and up to eight in reply to an event; WeCom
// shows eight. Further articles are removed, with a warning in the log.
type News []Article

// Article is an article of News.
type Article struct {
	Title       string
	Description string
	PicURL      string
	URL         string
}

// TransferCustomerService transfers the user to the account's customer service (转发到客服).
type TransferCustomerService struct {
	KfAccount string // default any account
}

// Raw is a whole document that is sent unchanged, for replies that only some events have, such as
// xpay_goods_deliver_notify of mini programs and the card updates of WeCom. It is XML in reply to XML and JSON in reply
// to JSON.
type Raw string

func (t Text) encode(e *encoder, m *Message) error {
	if t == "" {
		return nil
	}
	if m.isForRobot() {
		return m.writeRobotText(e, string(t))
	}
	text := string(t)
	if !e.json {
		text = document.Clean(text)
	}
	if err := m.openReply(e, "text"); err != nil {
		return err
	}
	e.writeText("Content", truncate(text, maxText))
	e.closeRoot()
	return nil
}

func (i Image) encode(e *encoder, m *Message) error {
	return encodeMedia(e, m, "image", "Image", i.MediaID)
}

func (v Voice) encode(e *encoder, m *Message) error {
	return encodeMedia(e, m, "voice", "Voice", v.MediaID)
}

func encodeMedia(e *encoder, m *Message, msgType, name, id string) error {
	if id == "" {
		return fmt.Errorf("message: reply with %s: MediaID is empty", msgType)
	}
	if err := m.openReply(e, msgType); err != nil {
		return err
	}
	e.openElement(name)
	e.writeText("MediaId", id)
	e.closeElement(name)
	e.closeRoot()
	return nil
}

func (v Video) encode(e *encoder, m *Message) error {
	if v.MediaID == "" {
		return errors.New("message: reply with video: MediaID is empty")
	}
	if err := m.openReply(e, "video"); err != nil {
		return err
	}
	e.openElement("Video")
	e.writeText("MediaId", v.MediaID)
	e.writeOptional("Title", v.Title)
	e.writeOptional("Description", v.Description)
	e.closeElement("Video")
	e.closeRoot()
	return nil
}

func (u Music) encode(e *encoder, m *Message) error {
	if err := m.openReply(e, "music"); err != nil {
		return err
	}
	e.openElement("Music")
	e.writeOptional("Title", u.Title)
	e.writeOptional("Description", u.Description)
	e.writeOptional("MusicUrl", u.MusicURL)
	e.writeOptional("HQMusicUrl", u.HQMusicURL)
	e.writeOptional("ThumbMediaId", u.ThumbMediaID) // WeChat rejects an empty one
	e.closeElement("Music")
	e.closeRoot()
	return nil
}

func (n News) encode(e *encoder, m *Message) error {
	if len(n) == 0 {
		return errors.New("message: reply with news: no article")
	}
	if limit := m.maxArticles(); len(n) > limit {
		n = n[:limit]
	}
	if err := m.openReply(e, "news"); err != nil {
		return err
	}
	e.writeNumber("ArticleCount", int64(len(n)))
	e.openList("Articles")
	for _, a := range n {
		e.openItem("item")
		e.writeText("Title", a.Title)
		e.writeText("Description", a.Description)
		e.writeText("PicUrl", a.PicURL)
		e.writeText("Url", a.URL)
		e.closeElement("item")
	}
	e.closeList("Articles")
	e.closeRoot()
	return nil
}

// maxArticles returns how many articles WeChat shows in a reply to m.
func (m *Message) maxArticles() int {
	if m.origin.work || m.isEvent() {
		return 8
	}
	return 1
}

func (t TransferCustomerService) encode(e *encoder, m *Message) error {
	if err := m.openReply(e, "transfer_customer_service"); err != nil {
		return err
	}
	if t.KfAccount != "" {
		e.openElement("TransInfo")
		e.writeText("KfAccount", t.KfAccount)
		e.closeElement("TransInfo")
	}
	e.closeRoot()
	return nil
}

func (r Raw) encode(e *encoder, _ *Message) error {
	first := byte('<')
	if e.json {
		first = '{'
	}
	if r != "" && r[0] != first {
		return fmt.Errorf("message: reply with raw: it begins with %q: want %q in reply to this message", r[0], first)
	}
	e.buf = append(e.buf, r...)
	return nil
}

// openReply begins a reply to m.
func (m *Message) openReply(e *encoder, msgType string) error {
	switch o := &m.origin; {
	case m.isForRobot():
		return robotError(msgType)
	case (o.mini || o.json && !o.work) && msgType != "transfer_customer_service":
		return fmt.Errorf("message: reply with %s: WeChat accepts only transfer_customer_service in reply to a mini program's message: "+
			"send it with /cgi-bin/message/custom/send", msgType)
	case o.work && (msgType == "music" || msgType == "transfer_customer_service"):
		return fmt.Errorf("message: reply with %s: WeCom does not accept it", msgType)
	}
	e.openRoot()
	e.writeText("ToUserName", m.FromUserName)
	e.writeText("FromUserName", m.ToUserName)
	e.writeNumber("CreateTime", time.Now().Unix())
	e.writeText("MsgType", msgType)
	return nil
}
