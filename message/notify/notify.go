// Package notify sends messages made from templates: template messages of official accounts (模板消息) and subscribe
// messages of mini programs (订阅消息). The api of each function is a client with the app's token.
//
//	id, err := notify.SendTemplate(ctx, api, notify.Template{ToUser: openID, TemplateID: t, Data: map[string]string{"thing1": "socks"}})
package notify

import (
	"context"
	"fmt"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/wechat"
)

// Template is a template message of an official account (模板消息). ToUser, TemplateID and Data are required.
// https://developers.weixin.qq.com/doc/service/api/notify/template/api_sendtemplatemessage
type Template struct {
	ToUser     string            `json:"touser"` // openid
	TemplateID string            `json:"template_id"`
	Data       map[string]string `json:"-"` // by field name of the template, such as thing1

	URL         string       `json:"url,omitempty"` // opened by a click
	MiniProgram *MiniProgram `json:"miniprogram,omitempty"`
	ClientMsgID string       `json:"client_msg_id,omitempty"` // WeChat sends one message per id in 10 minutes
}

// MiniProgram is a page of a mini program that a click on a Template opens. Template.URL is opened where the page cannot
// be.
type MiniProgram struct {
	AppID    string `json:"appid"`
	PagePath string `json:"pagepath"`
}

// SendTemplate sends t, and returns its MsgID. The event TEMPLATESENDJOBFINISH reports later whether the message arrived.
func SendTemplate(ctx context.Context, api *wechat.Client, t Template) (msgID int64, err error) {
	return sendData(ctx, api, "/cgi-bin/message/template/send", struct {
		Template
		Data map[string]value `json:"data"`
	}{t, values(t.Data)})
}

// Subscribe is a subscribe message of a mini program (订阅消息). A user receives as many as they agreed to.
// ToUser, TemplateID and Data are required.
// https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/sendMessage.html
type Subscribe struct {
	ToUser     string            `json:"touser"` // openid
	TemplateID string            `json:"template_id"`
	Data       map[string]string `json:"-"` // by field name of the template, such as thing1

	Page             string `json:"page,omitempty"`              // opened by a click; default none
	MiniProgramState string `json:"miniprogram_state,omitempty"` // formal (default), trial or developer
	Lang             string `json:"lang,omitempty"`              // zh_CN (default), en_US, zh_HK or zh_TW
}

// SendSubscribe sends s. The error is wechat.ErrUserRefused if the user has not agreed to it.
func SendSubscribe(ctx context.Context, api *wechat.Client, s Subscribe) (msgID int64, err error) {
	return sendData(ctx, api, "/cgi-bin/message/subscribe/send", struct {
		Subscribe
		Data map[string]value `json:"data"`
	}{s, values(s.Data)})
}

type value struct {
	Value string `json:"value"`
}

func values(data map[string]string) map[string]value {
	all := make(map[string]value, len(data))
	for name, v := range data {
		all[name] = value{v}
	}
	return all
}

func sendData(ctx context.Context, api *wechat.Client, path string, body any) (msgID int64, err error) {
	var sent struct {
		MsgID wirejson.Int `json:"msgid"`
	}
	if err := api.Post(ctx, path, nil, body, &sent); err != nil {
		return 0, fmt.Errorf("notify: send: %w", err)
	}
	return int64(sent.MsgID), nil
}
