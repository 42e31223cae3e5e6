package wechat

import "strconv"

// Code is WeChat's errcode, itself an error: errors.Is(err, wechat.ErrQuota).
//
// See https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html (全局返回码).
type Code int

// The codes that a caller acts on. Others are compared as numbers: errors.Is(err, wechat.Code(45002)).
const (
	ErrBusy                Code = -1    // WeChat is busy: try again later
	ErrInvalidCredential   Code = 40001 // token superseded or unknown; WeCom: wrong secret
	ErrInvalidGrantType    Code = 40002
	ErrInvalidOpenID       Code = 40003
	ErrInvalidAppID        Code = 40013
	ErrInvalidToken        Code = 40014 // not a token
	ErrInvalidCode         Code = 40029 // login code unknown or too old
	ErrInvalidRefreshToken Code = 40030
	ErrInvalidTemplate     Code = 40037
	ErrInvalidWorkSecret   Code = 40091 // WeCom: the secret is not this corp's
	ErrInvalidTicket       Code = 40093
	ErrInvalidSecret       Code = 40125
	ErrCodeUsed            Code = 40163 // login code used before
	ErrInvalidIP           Code = 40164 // caller's IP address is not whitelisted
	ErrCodeBlocked         Code = 40226 // mini-program user of high risk
	ErrSecretFrozen        Code = 40243
	ErrMissingToken        Code = 41001
	ErrTokenExpired        Code = 42001
	ErrRefreshTokenExpired Code = 42002
	ErrCodeExpired         Code = 42003
	ErrRevoked             Code = 42007 // the user changed the password or withdrew consent
	ErrNotFollowing        Code = 43004 // the user does not follow the account
	ErrUserRefused         Code = 43101 // the user did not accept this subscribe message
	ErrQuota               Code = 45009 // the day's quota of this call is used up
	ErrMinuteQuota         Code = 45011
	ErrReplyWindow         Code = 45015 // the user has been silent for 48 hours
	ErrConcurrency         Code = 45033
	ErrReplyCount          Code = 45047 // too many customer-service messages since the user's last
	ErrUnauthorized        Code = 48001 // the account lacks this permission
	ErrForbidden           Code = 48004 // the API is closed to this account
	ErrWorkIP              Code = 60020 // WeCom: caller's IP address is not trusted
	ErrComponentToken      Code = 61024 // a platform's app gets its token another way
	ErrNeedsConfirmation   Code = 89503 // an administrator must confirm this IP address
)

func (c Code) Error() string {
	if what := codes[c].what; what != "" {
		return "wechat: " + strconv.Itoa(int(c)) + " " + what
	}
	return "wechat: errcode " + strconv.Itoa(int(c))
}

// refusesToken tells whether a call answered with c may succeed with another token.
func (c Code) refusesToken() bool {
	return c == ErrInvalidCredential || c == ErrInvalidToken || c == ErrTokenExpired
}

// codes says in words what a code means and what a person can do about it.
var codes = map[Code]struct{ what, cure string }{
	ErrBusy:                {"system busy", "try again in a few seconds"},
	ErrInvalidCredential:   {"invalid credential", "the token is not the latest one (of WeCom's gettoken: the secret is wrong)"},
	ErrInvalidGrantType:    {"invalid grant_type", ""},
	ErrInvalidOpenID:       {"invalid openid", "check that the openid belongs to this app"},
	ErrInvalidAppID:        {"invalid appid", "check the app id"},
	ErrInvalidToken:        {"invalid access_token", "check that the token is sent whole and to the right host"},
	ErrInvalidCode:         {"invalid code", "send the user through login again"},
	ErrInvalidRefreshToken: {"invalid refresh_token", "send the user through login again"},
	ErrInvalidTemplate:     {"invalid template_id", "check that the template belongs to this app"},
	ErrInvalidWorkSecret:   {"invalid secret", "check that the secret belongs to this corp id and application"},
	ErrInvalidTicket:       {"invalid ticket", ""},
	ErrInvalidSecret:       {"invalid appsecret", "check the app's secret, or reset it in WeChat's console and configure the new one"},
	ErrCodeUsed:            {"code used", "a code works once: send the user through login again"},
	ErrInvalidIP:           {"IP address not whitelisted", "add this server's IP address to the app's whitelist in WeChat's console"},
	ErrCodeBlocked:         {"code blocked", "WeChat's risk control blocks this user"},
	ErrSecretFrozen:        {"appsecret frozen", "unfreeze the secret in WeChat's console"},
	ErrMissingToken:        {"access_token missing", "set Client.Tokens"},
	ErrTokenExpired:        {"access_token expired", ""},
	ErrRefreshTokenExpired: {"refresh_token expired", "send the user through login again"},
	ErrCodeExpired:         {"code expired", "send the user through login again"},
	ErrRevoked:             {"consent withdrawn", "send the user through login again"},
	ErrNotFollowing:        {"user does not follow", ""},
	ErrUserRefused:         {"user refuses the message", "ask the user for a subscription first"},
	ErrQuota:               {"daily quota used up", "wait for midnight in China, or clear the quota (clear_quota, 10 times a month)"},
	ErrMinuteQuota:         {"minute quota used up", "wait a minute"},
	ErrReplyWindow:         {"reply window closed", "the user must write first"},
	ErrConcurrency:         {"too many calls at once", "wait a few seconds"},
	ErrReplyCount:          {"too many replies", "the user must write again first"},
	ErrUnauthorized:        {"API not authorized", "the account's type or verification does not include this API"},
	ErrForbidden:           {"API forbidden", "see the notice in WeChat's console"},
	ErrWorkIP:              {"IP address not trusted", "add this server's IP address to the application's trusted addresses in WeCom's console"},
	ErrComponentToken:      {"component app", "this app id is a third-party platform's"},
	ErrNeedsConfirmation:   {"needs confirmation", "an administrator of the app must confirm this server's IP address in WeChat"},
}
