package gateway

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/message"
)

// Before a platform is released to all accounts, WeChat checks it by messages of its own accounts (全网发布检测). A platform with
// release_check answers them by itself.
const (
	releaseText    = "TESTCOMPONENT_MSG_TYPE_TEXT"
	releaseQuery   = "QUERY_AUTH_CODE:"
	releaseTimeout = 10 * time.Second
	maxReleases    = 4 // answers by customer service message at once
)

// releaseAccounts are accounts of WeChat's that the check writes from. Their messages reach no backend.
var releaseAccounts = []string{"wx570bc396a51b8ff8", "wxd101a85aa106f53e"}

// isReleaseAccount reports whether an account is one that WeChat checks a platform with.
func (p *platformPart) isReleaseAccount(appID string) bool {
	return p.app.releaseCheck && slices.Contains(releaseAccounts, appID)
}

// answerRelease has a receiver of messages answer the release check, where no backend answers. events are answered only for accounts without
// backends, since real users cause them, too.
func (p *platformPart) answerRelease(in *message.Receiver, events bool) {
	in.Handle(message.OnText(releaseText), func(context.Context, *message.Message) (message.Reply, error) {
		return message.Text(releaseText + "_callback"), nil
	})
	in.Handle(func(m *message.Message) bool {
		return m.MsgType == "text" && strings.HasPrefix(m.Content, releaseQuery)
	},
		func(ctx context.Context, m *message.Message) (message.Reply, error) {
			code := strings.TrimPrefix(m.Content, releaseQuery)
			select {
			case p.releases <- struct{}{}:
				go func() { // WeChat wants an empty answer first
					defer func() { <-p.releases }()
					ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
					defer cancel()
					if err := p.sendCode(ctx, m.FromUserName, code); err != nil {
						p.app.gateway.log.WarnContext(ctx, "a query of the release check is not answered", "app", p.app.name, "error", err)
					}
				}()
			default: // more than the check sends
			}
			return nil, nil
		})
	if events {
		in.Handle(func(m *message.Message) bool { return m.MsgType == "event" && m.Event != "" },
			func(_ context.Context, m *message.Message) (message.Reply, error) {
				return message.Text(m.Event + "from_callback"), nil
			})
	}
}

// sendCode exchanges an authorization code, and sends it to a user as its account.
func (p *platformPart) sendCode(ctx context.Context, openID, code string) error {
	account, err := p.platform.Authorize(ctx, code, time.Time{})
	if err != nil {
		return err
	}
	if _, err := p.open(ctx, account.AppID, "", time.Now().Add(-time.Minute)); err != nil {
		return err
	}
	a, err := p.appOf(ctx, account.AppID)
	if err != nil || a == nil {
		return errRecordsAway
	}
	api := a.newClient()
	api.Tokens = a.managers().tokens
	return api.Post(ctx, "/cgi-bin/message/custom/send", nil, map[string]any{
		"touser": openID, "msgtype": "text", "text": map[string]string{"content": code + "_from_api"},
	}, nil)
}
