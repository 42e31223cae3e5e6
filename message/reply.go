package message

import (
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/internal/document"
)

// Reply is what a handler answers a message with, at once, in the response to the callback (被动回复消息). It is one of
// Text, Image, Voice, Video, Music, News, TransferCustomerService and Raw, or nil, which shows the user nothing.
//
// A mini program's messages cannot be answered with any of them but TransferCustomerService and Raw, and Seal says so,
// where Config.Kind or JSON tells that it is one: its answers go by the customer service API. WeCom has no Music and no
// TransferCustomerService, and its smart robots take Text and Raw alone, and Seal says so too.
// https://developers.weixin.qq.com/doc/subscription/guide/product/message/Passive_user_reply_message.html
type Reply interface {
	encode(e *encoder, m *Message) error
}

// Text is a text reply (文本). A line feed begins a new line. An empty Text shows the user nothing. WeChat takes 2048 bytes:
// the characters beyond are left out, with a warning in the log.
type Text string

// Image is a picture that was uploaded to WeChat (图片).
type Image struct{ MediaID string }

// Voice is a recording that was uploaded to WeChat (语音).
type Voice struct{ MediaID string }

// Video is a film that was uploaded to WeChat (视频).
type Video struct {
	MediaID string

	Title       string // optional
	Description string // optional
}

// Music is a link to music (音乐), with every field optional.
type Music struct {
	Title        string
	Description  string
	MusicURL     string
	HQMusicURL   string // played on Wi-Fi
	ThumbMediaID string // an uploaded picture
}

// News is a list of articles (图文). WeChat shows one in reply to a message and up to eight in reply to an event; WeCom
// shows eight. Those beyond are left out, with a warning in the log.
type News []Article

// Article is one article of a News.
type Article struct {
	Title       string
	Description string
	PicURL      string
	URL         string
}

// TransferCustomerService hands the message, and the user, to the account's customer service (转发到客服).
type TransferCustomerService struct {
	KfAccount string // default whoever is free
}

// Raw is a whole document that is sent as it is: the replies that some events want, such as a mini program's
// xpay_goods_deliver_notify, and WeCom's updates of cards. It is XML if the message was, and JSON if that was.
type Raw string

func (t Text) encode(e *encoder, m *Message) error {
	if t == "" {
		return nil
	}
	if m.robot() {
		return m.robotText(e, string(t))
	}
	text := string(t)
	if !e.json {
		text = document.Clean(text)
	}
	if err := m.head(e, "text"); err != nil {
		return err
	}
	e.text("Content", cut(text, maxText))
	e.endRoot()
	return nil
}

func (i Image) encode(e *encoder, m *Message) error { return media(e, m, "image", "Image", i.MediaID) }

func (v Voice) encode(e *encoder, m *Message) error { return media(e, m, "voice", "Voice", v.MediaID) }

func media(e *encoder, m *Message, msgType, name, id string) error {
	if id == "" {
		return fmt.Errorf("message: reply with %s: MediaID is empty", msgType)
	}
	if err := m.head(e, msgType); err != nil {
		return err
	}
	e.open(name)
	e.text("MediaId", id)
	e.close(name)
	e.endRoot()
	return nil
}

func (v Video) encode(e *encoder, m *Message) error {
	if v.MediaID == "" {
		return errors.New("message: reply with video: MediaID is empty")
	}
	if err := m.head(e, "video"); err != nil {
		return err
	}
	e.open("Video")
	e.text("MediaId", v.MediaID)
	e.option("Title", v.Title)
	e.option("Description", v.Description)
	e.close("Video")
	e.endRoot()
	return nil
}

func (u Music) encode(e *encoder, m *Message) error {
	if err := m.head(e, "music"); err != nil {
		return err
	}
	e.open("Music")
	e.option("Title", u.Title)
	e.option("Description", u.Description)
	e.option("MusicUrl", u.MusicURL)
	e.option("HQMusicUrl", u.HQMusicURL)
	e.option("ThumbMediaId", u.ThumbMediaID) // WeChat takes an empty one for a broken reply
	e.close("Music")
	e.endRoot()
	return nil
}

func (n News) encode(e *encoder, m *Message) error {
	if len(n) == 0 {
		return errors.New("message: reply with news: it has no article")
	}
	if limit := m.articles(); len(n) > limit {
		n = n[:limit]
	}
	if err := m.head(e, "news"); err != nil {
		return err
	}
	e.number("ArticleCount", int64(len(n)))
	e.openList("Articles")
	for _, a := range n {
		e.openItem("item")
		e.text("Title", a.Title)
		e.text("Description", a.Description)
		e.text("PicUrl", a.PicURL)
		e.text("Url", a.URL)
		e.close("item")
	}
	e.closeList("Articles")
	e.endRoot()
	return nil
}

// articles is how many articles WeChat shows in a reply to m.
func (m *Message) articles() int {
	if m.origin.work || m.isEvent() {
		return 8
	}
	return 1
}

func (t TransferCustomerService) encode(e *encoder, m *Message) error {
	if err := m.head(e, "transfer_customer_service"); err != nil {
		return err
	}
	if t.KfAccount != "" {
		e.open("TransInfo")
		e.text("KfAccount", t.KfAccount)
		e.close("TransInfo")
	}
	e.endRoot()
	return nil
}

func (r Raw) encode(e *encoder, _ *Message) error {
	first := byte('<')
	if e.json {
		first = '{'
	}
	if r != "" && r[0] != first {
		return fmt.Errorf("message: reply with raw: it begins with %q, and a reply to this message must begin with %q", r[0], first)
	}
	e.buf = append(e.buf, r...)
	return nil
}

// head begins a reply to m.
func (m *Message) head(e *encoder, msgType string) error {
	switch o := &m.origin; {
	case m.robot():
		return robotError(msgType)
	case (o.mini || o.json && !o.work) && msgType != "transfer_customer_service":
		return fmt.Errorf("message: reply with %s: WeChat takes none to a mini program's message but transfer_customer_service: "+
			"send it with /cgi-bin/message/custom/send", msgType)
	case o.work && (msgType == "music" || msgType == "transfer_customer_service"):
		return fmt.Errorf("message: reply with %s: WeCom has none", msgType)
	}
	e.root()
	e.text("ToUserName", m.FromUserName)
	e.text("FromUserName", m.ToUserName)
	e.number("CreateTime", time.Now().Unix())
	e.text("MsgType", msgType)
	return nil
}

// option writes text that may be left out.
func (e *encoder) option(name, value string) {
	if value != "" {
		e.text(name, value)
	}
}

// ParseReply reads a reply that another program has written, in WeChat's XML or as JSON of the same names, so that
// Seal can send it in the form, and with the encryption, that the message needs; who it is from and for is taken from
// the message. An empty body and the word success are the nil Reply. In JSON the articles of News may be written
// [{"Title":…}] or [{"Item":{"Title":…}}]. A MsgType of which there is no type here becomes Raw. The error to a reply that
// lacks a key names it, and shows a whole one.
func ParseReply(body []byte) (Reply, error) {
	doc := trim(string(body))
	if doc == "" || doc == "success" {
		return nil, nil
	}
	if len(doc) > maxBody {
		return nil, fmt.Errorf("message: parse reply: %w", ErrTooLarge)
	}
	var root Element
	if _, err := parse(&doc, &root); err != nil {
		return nil, fmt.Errorf("message: parse reply: %w", err)
	}
	msgType := root.Get("MsgType")
	if err := complete(&root, msgType); err != nil {
		return nil, fmt.Errorf("message: parse reply: %w", err)
	}
	switch msgType {
	case "text":
		return Text(root.Get("Content")), nil
	case "image":
		return Image{MediaID: root.Get("Image", "MediaId")}, nil
	case "voice":
		return Voice{MediaID: root.Get("Voice", "MediaId")}, nil
	case "video":
		v := root.Child("Video")
		return Video{MediaID: v.Get("MediaId"), Title: v.Get("Title"), Description: v.Get("Description")}, nil
	case "music":
		u := root.Child("Music")
		return Music{Title: u.Get("Title"), Description: u.Get("Description"), MusicURL: u.Get("MusicUrl"),
			HQMusicURL: u.Get("HQMusicUrl"), ThumbMediaID: u.Get("ThumbMediaId")}, nil
	case "news":
		return parseNews(&root), nil
	case "transfer_customer_service":
		return TransferCustomerService{KfAccount: root.Get("TransInfo", "KfAccount")}, nil
	}
	return Raw(doc), nil
}

// articles finds articles in the shapes they come in: items in one Articles, an Articles for each, with or without an
// Item inside.
func articles(root *Element) (all []*Element) {
	for i := range root.Children {
		list := &root.Children[i]
		if list.Name != "Articles" {
			continue
		}
		items := 0
		for j := range list.Children {
			if item := &list.Children[j]; alike(item.Name, "item") {
				all = append(all, item)
				items++
			}
		}
		if items == 0 && len(list.Children) > 0 {
			all = append(all, list)
		}
	}
	return all
}

func parseNews(root *Element) (n News) {
	for _, e := range articles(root) {
		n = append(n, article(e))
	}
	return n
}

func article(e *Element) Article {
	return Article{Title: e.Get("Title"), Description: e.Get("Description"), PicURL: e.Get("PicUrl"), URL: e.Get("Url")}
}
