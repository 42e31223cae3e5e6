package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// exchangeWorkCode returns the grant for a code in WeCom: a member has a userid, anybody else an openid.
//
// See https://developer.work.weixin.qq.com/document/path/91023 (获取访问用户身份).
func (l *Login) exchangeWorkCode(ctx context.Context, code string) (Grant, error) {
	if l.Tokens == nil {
		return Grant{}, errors.New("oauth: exchange code: Tokens must be set for WeCom")
	}
	var a struct {
		UserID         string `json:"userid"`
		UserTicket     string `json:"user_ticket"`
		OpenID         string `json:"openid"`
		ExternalUserID string `json:"external_userid"`
	}
	err := l.api().Get(ctx, "/cgi-bin/auth/getuserinfo", url.Values{"code": {code}}, &a)
	if err == nil && a.UserID == "" && a.OpenID == "" {
		err = errors.New("WeCom's answer has neither userid nor openid")
	}
	if err != nil {
		return Grant{}, fmt.Errorf("oauth: exchange code: %w", err)
	}
	g := Grant{OpenID: a.OpenID, Scope: ScopeBase, UserID: a.UserID, ExternalUserID: a.ExternalUserID, UserTicket: a.UserTicket}
	if g.UserTicket != "" {
		g.Scope = ScopePrivateInfo
	}
	return g, nil
}

// fetchWorkUser is UserInfo in WeCom. A grant without a ticket has scope snsapi_base, or is of a member that the
// application may not see: the grant then has all the fields there are.
//
// See https://developer.work.weixin.qq.com/document/path/95833 (获取访问用户敏感信息).
func (l *Login) fetchWorkUser(ctx context.Context, g Grant) (User, error) {
	if g.UserTicket == "" {
		return g.user(), nil
	}
	a := userAnswer{User: g.user()}
	body := struct {
		UserTicket string `json:"user_ticket"`
	}{g.UserTicket}
	if err := l.api().Post(ctx, "/cgi-bin/auth/getuserdetail", nil, body, &a); err != nil {
		return User{}, fmt.Errorf("oauth: user info: %w", err)
	}
	u := a.user()
	if u.UserID != g.UserID {
		return User{}, errors.New("oauth: user info: WeCom's answer is another member")
	}
	return u, nil
}
