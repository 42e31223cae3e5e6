package order

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// Message is the subscribe message for a payment (订阅消息). The person must have accepted it in the mini program.
type Message struct {
	TemplateID string            // empty: none is sent
	Page       string            // that it opens
	Data       map[string]string // values by the names of the template, with {name}, {amount} and {number} of the order
}

// messageTimeout is short, since WeChat waits for the reply to its notification.
const messageTimeout = 2 * time.Second

// errRefused is WeChat's code for a person who has not accepted the message.
const errRefused = wechat.Code(43101)

// sendPaid sends the message for a payment. Nothing depends on it: a failure is logged.
func (s *Service) sendPaid(ctx context.Context, o Order) {
	if s.Message.TemplateID == "" || s.API == nil || o.AppID != s.MiniAppID {
		return
	}
	type value struct {
		Value string `json:"value"`
	}
	fill := strings.NewReplacer("{name}", o.Name, "{amount}", yuan(o.Fen), "{number}", o.OutTradeNo)
	data := make(map[string]value, len(s.Message.Data))
	for name, text := range s.Message.Data {
		data[name] = value{fill.Replace(text)}
	}
	body := map[string]any{"touser": o.OpenID, "template_id": s.Message.TemplateID, "page": s.Message.Page, "data": data}
	if s.Message.Page == "" {
		delete(body, "page")
	}
	ctx, cancel := context.WithTimeout(ctx, messageTimeout)
	defer cancel()
	if err := s.API.Post(ctx, "/cgi-bin/message/subscribe/send", nil, body, nil); err != nil && !errors.Is(err, errRefused) {
		s.log().WarnContext(ctx, "the message for a payment was not sent", "out_trade_no", o.OutTradeNo, "error", err)
	}
}

func yuan(fen int64) string { return fmt.Sprintf("¥%d.%02d", fen/100, fen%100) }
