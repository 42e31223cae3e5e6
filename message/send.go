package message

import (
	"context"
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// Send sends r to a user of an official account or a mini program as a customer service message (客服消息): Text, Image,
// Voice, Video, Music, or the first article of News. WeChat accepts five in the 48 hours after the user's last message:
// afterwards the error is wechat.ErrReplyWindow, or wechat.Code(45047) after the fifth.
// https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage
func Send(ctx context.Context, api *wechat.Client, openID string, r Reply) error {
	form, ok := toAPIMessage(r, false)
	if !ok {
		return fmt.Errorf("message: send: a %T cannot be sent as a customer service message", r)
	}
	body := map[string]any{"touser": openID, "msgtype": form.msgType, form.msgType: form.content}
	if err := api.Post(ctx, "/cgi-bin/message/custom/send", nil, body, nil); err != nil {
		return fmt.Errorf("message: send: %w", err)
	}
	return nil
}

// WorkMessage is a message of a WeCom application to members (企业微信发送应用消息). AgentID, Reply and one of ToUser, ToParty
// and ToTag are required.
// https://developer.work.weixin.qq.com/document/path/90236
type WorkMessage struct {
	AgentID int64
	Reply   Reply // Text, Image, Voice, Video or News

	ToUser  string // userids, separated by |; @all is all members
	ToParty string // department ids, separated by |
	ToTag   string // tag ids, separated by |
}

// WorkResult is the response of WeCom to a WorkMessage. The invalid and unlicensed receivers, separated by |, did not
// get it.
type WorkResult struct {
	MsgID          string `json:"msgid"` // for withdrawing it
	InvalidUser    string `json:"invaliduser"`
	InvalidParty   string `json:"invalidparty"`
	InvalidTag     string `json:"invalidtag"`
	UnlicensedUser string `json:"unlicenseduser"`
}

// SendWork sends m. api has BaseURL wechat.WorkURL and the application's token.
func SendWork(ctx context.Context, api *wechat.Client, m WorkMessage) (WorkResult, error) {
	var sent struct {
		WorkResult
		MsgID wirejson.Text `json:"msgid"`
	}
	form, ok := toAPIMessage(m.Reply, true)
	if !ok {
		return WorkResult{}, fmt.Errorf("message: send: a %T cannot be sent in WeCom", m.Reply)
	}
	if m.ToUser == "" && m.ToParty == "" && m.ToTag == "" {
		return WorkResult{}, errors.New("message: send: WorkMessage has no ToUser, ToParty or ToTag")
	}
	body := map[string]any{
		"touser": m.ToUser, "toparty": m.ToParty, "totag": m.ToTag, "agentid": m.AgentID,
		"msgtype": form.msgType, form.msgType: form.content,
	}
	if err := api.Post(ctx, "/cgi-bin/message/send", nil, body, &sent); err != nil {
		return WorkResult{}, fmt.Errorf("message: send: %w", err)
	}
	sent.WorkResult.MsgID = string(sent.MsgID)
	return sent.WorkResult, nil
}

// apiMessage is a Reply in the form of the sending APIs.
type apiMessage struct {
	msgType string
	content map[string]any
}

// toAPIMessage returns r in the form of the sending APIs. ok is false if they cannot send it.
func toAPIMessage(r Reply, work bool) (m apiMessage, ok bool) {
	switch r := r.(type) {
	case Text:
		return apiMessage{"text", map[string]any{"content": string(r)}}, r != ""
	case Image:
		return apiMessage{"image", map[string]any{"media_id": r.MediaID}}, r.MediaID != ""
	case Voice:
		return apiMessage{"voice", map[string]any{"media_id": r.MediaID}}, r.MediaID != ""
	case Video:
		return apiMessage{"video", map[string]any{"media_id": r.MediaID, "title": r.Title, "description": r.Description}}, r.MediaID != ""
	case Music:
		content := map[string]any{"title": r.Title, "description": r.Description, "musicurl": r.MusicURL, "hqmusicurl": r.HQMusicURL}
		if r.ThumbMediaID != "" {
			content["thumb_media_id"] = r.ThumbMediaID
		}
		return apiMessage{"music", content}, !work
	case News:
		if !work && len(r) > 1 {
			r = r[:1]
		}
		articles := make([]map[string]any, len(r))
		for i, a := range r {
			articles[i] = map[string]any{"title": a.Title, "description": a.Description, "url": a.URL, "picurl": a.PicURL}
		}
		return apiMessage{"news", map[string]any{"articles": articles}}, len(r) > 0
	}
	return apiMessage{}, false
}

// sendLate sends a reply that no request has taken.
func (r *request) sendLate(ctx context.Context, o outcome) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var err error
	if r.m.origin.work {
		_, err = SendWork(ctx, r.forward.api, WorkMessage{AgentID: r.m.AgentID, ToUser: r.m.FromUserName, Reply: o.reply})
	} else {
		err = Send(ctx, r.forward.api, r.m.FromUserName, o.reply)
	}
	if err != nil {
		r.log.ErrorContext(ctx, "message: late reply was not sent", "message", r.m.String(), "error", err)
	}
}
