package message

import (
	"context"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// Send sends r to a user of an official account or a mini program, not as an answer but of the app's own accord
// (客服消息): Text, Image, Voice, Video, Music, or the first article of News. It is for the 48 hours after the user's
// last message, five times: afterwards the error is wechat.ErrReplyWindow or wechat.ErrReplyCount.
// https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage
func Send(ctx context.Context, api *wechat.Client, openID string, r Reply) error {
	form, ok := activeForm(r, false)
	if !ok {
		return fmt.Errorf("message: send: a %T cannot be sent as a customer service message", r)
	}
	body := map[string]any{"touser": openID, "msgtype": form.msgType, form.msgType: form.content}
	if err := api.Post(ctx, "/cgi-bin/message/custom/send", nil, body, nil); err != nil {
		return fmt.Errorf("message: send: %w", err)
	}
	return nil
}

// Work is a message of a WeCom application to its members (企业微信发送应用消息). AgentID, Reply and someone to send it
// to are required.
// https://developer.work.weixin.qq.com/document/path/90236
type Work struct {
	AgentID int64
	Reply   Reply // Text, Image, Voice, Video or News

	ToUser  string // userids, with | between them; @all is everybody
	ToParty string // department ids, with | between them
	ToTag   string // tag ids, with | between them
}

// WorkSent is what WeCom answers to a Work: it was sent, but not to these, with | between them.
type WorkSent struct {
	MsgID          string `json:"msgid"` // for taking it back
	InvalidUser    string `json:"invaliduser"`
	InvalidParty   string `json:"invalidparty"`
	InvalidTag     string `json:"invalidtag"`
	UnlicensedUser string `json:"unlicenseduser"`
}

// SendWork sends m. The api is one with BaseURL wechat.WorkURL and the application's token.
func SendWork(ctx context.Context, api *wechat.Client, m Work) (WorkSent, error) {
	var sent struct {
		WorkSent
		MsgID wirejson.Text `json:"msgid"`
	}
	form, ok := activeForm(m.Reply, true)
	if !ok {
		return WorkSent{}, fmt.Errorf("message: send: WeCom has no message for a %T", m.Reply)
	}
	if m.ToUser == "" && m.ToParty == "" && m.ToTag == "" {
		return WorkSent{}, errors.New("message: send: Work has no ToUser, ToParty or ToTag")
	}
	body := map[string]any{
		"touser": m.ToUser, "toparty": m.ToParty, "totag": m.ToTag, "agentid": m.AgentID,
		"msgtype": form.msgType, form.msgType: form.content,
	}
	if err := api.Post(ctx, "/cgi-bin/message/send", nil, body, &sent); err != nil {
		return WorkSent{}, fmt.Errorf("message: send: %w", err)
	}
	sent.WorkSent.MsgID = string(sent.MsgID)
	return sent.WorkSent, nil
}

// active is a Reply as the sending APIs have it.
type active struct {
	msgType string
	content map[string]any
}

// activeForm turns a Reply into what is sent actively, which not all of them can be.
func activeForm(r Reply, work bool) (active, bool) {
	switch r := r.(type) {
	case Text:
		return active{"text", map[string]any{"content": string(r)}}, r != ""
	case Image:
		return active{"image", map[string]any{"media_id": r.MediaID}}, r.MediaID != ""
	case Voice:
		return active{"voice", map[string]any{"media_id": r.MediaID}}, r.MediaID != ""
	case Video:
		return active{"video", map[string]any{"media_id": r.MediaID, "title": r.Title, "description": r.Description}}, r.MediaID != ""
	case Music:
		content := map[string]any{"title": r.Title, "description": r.Description, "musicurl": r.MusicURL, "hqmusicurl": r.HQMusicURL}
		if r.ThumbMediaID != "" {
			content["thumb_media_id"] = r.ThumbMediaID
		}
		return active{"music", content}, !work
	case News:
		if !work && len(r) > 1 {
			r = r[:1]
		}
		articles := make([]map[string]any, len(r))
		for i, a := range r {
			articles[i] = map[string]any{"title": a.Title, "description": a.Description, "url": a.URL, "picurl": a.PicURL}
		}
		return active{"news", map[string]any{"articles": articles}}, len(r) > 0
	}
	return active{}, false
}

// sendLate sends a reply that no request was there to take.
func (r *request) sendLate(ctx context.Context, o outcome) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	if r.m.origin.work {
		_, err = SendWork(ctx, r.forward.api, Work{AgentID: r.m.AgentID, ToUser: r.m.FromUserName, Reply: o.reply})
	} else {
		err = Send(ctx, r.forward.api, r.m.FromUserName, o.reply)
	}
	if err != nil {
		r.log.ErrorContext(ctx, "message: a late reply was not sent", "message", r.m.String(), "error", err)
	}
}
