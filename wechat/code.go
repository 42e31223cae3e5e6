package wechat

import "strconv"

// Code is WeChat's errcode, and an error: errors.Is(err, wechat.ErrQuota).
//
// See https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html (全局返回码).
type Code int

// The codes that callers act on most often. Others are compared as numbers: errors.Is(err, wechat.Code(45002)).
const (
	ErrBusy              Code = -1    // WeChat is busy: try again later
	ErrInvalidCredential Code = 40001 // token superseded or unknown; WeCom: wrong secret
	ErrInvalidCode       Code = 40029 // login code unknown or too old
	ErrInvalidSecret     Code = 40125 // wrong AppSecret
	ErrCodeUsed          Code = 40163 // login code used before
	ErrInvalidIP         Code = 40164 // caller's IP address is not whitelisted
	ErrTokenExpired      Code = 42001 // token expired
	ErrRevoked           Code = 42007 // the user changed the password or withdrew consent
	ErrUserRefused       Code = 43101 // the user did not accept this subscribe message
	ErrQuota             Code = 45009 // the day's quota of this call is used up
	ErrMinuteQuota       Code = 45011 // the minute's quota of this call is used up
	ErrReplyWindow       Code = 45015 // the user has been silent for 48 hours
	ErrNotAuthorized     Code = 61003 // the account has not authorized the third-party platform, or has revoked it
)

// Codes that only this package compares.
const (
	errInvalidToken Code = 40014 // not a token
	errWorkIP       Code = 60020 // WeCom: caller's IP address is not trusted
)

func (c Code) Error() string {
	if meaning := codes[c].meaning; meaning != "" {
		return "wechat: " + strconv.Itoa(int(c)) + " " + meaning
	}
	return "wechat: errcode " + strconv.Itoa(int(c))
}

// refusesToken reports whether a call that was refused with c may succeed with another token.
func (c Code) refusesToken() bool {
	return c == ErrInvalidCredential || c == errInvalidToken || c == ErrTokenExpired
}

// codes holds the meaning of each known code, and the action that resolves it.
var codes = map[Code]struct{ meaning, cure string }{
	-1:    {"system busy", "try again in a few seconds"},
	40001: {"invalid credential", "the token is not the latest one (of WeCom's gettoken: the secret is wrong)"},
	40002: {"invalid grant_type", ""},
	40003: {"invalid openid", "check that the openid belongs to this app"},
	40013: {"invalid appid", "check the app id"},
	40014: {"invalid access_token", "check that the token is sent whole and to the right host"},
	40029: {"invalid code", "send the user through login again"},
	40030: {"invalid refresh_token", "send the user through login again"},
	40037: {"invalid template_id", "check that the template belongs to this app"},
	40091: {"invalid secret", "check that the secret belongs to this corp id and application"},
	40093: {"invalid ticket", ""},
	40125: {"invalid appsecret", "check the app's secret, or reset it in WeChat's console and configure the new one"},
	40163: {"code used", "a code works once: send the user through login again"},
	40164: {"IP address not whitelisted", "add this server's IP address to the app's whitelist in WeChat's console"},
	40226: {"code blocked", "WeChat's risk control blocks this user"},
	40243: {"appsecret frozen", "unfreeze the secret in WeChat's console"},
	41001: {"access_token missing", "set Client.Tokens"},
	42001: {"access_token expired", ""},
	42002: {"refresh_token expired", "send the user through login again"},
	42003: {"code expired", "send the user through login again"},
	42007: {"consent withdrawn", "send the user through login again"},
	42006: {"component_access_token expired", ""},
	43004: {"user does not follow", ""},
	43101: {"user refuses the message", "ask the user for a subscription first"},
	45009: {"daily quota used up", "wait for midnight in China, or clear the quota (clear_quota, 10 times a month)"},
	45011: {"minute quota used up", "wait a minute"},
	45015: {"reply window closed", "the user must write first"},
	45033: {"too many calls at once", "wait a few seconds"},
	45047: {"too many replies", "the user must write again first"},
	48001: {"API not authorized", "the account's type or verification does not include this API"},
	48004: {"API forbidden", "see the notice in WeChat's console"},
	60020: {"IP address not trusted", "add this server's IP address to the application's trusted addresses in WeCom's console"},
	61003: {"platform not authorized", "have the account's administrator authorize the platform again"},
	61004: {"IP address not registered", "add this server's IP address to the platform's whitelist in the console of the open platform"},
	61005: {"component ticket expired", "WeChat sends a new one every 10 minutes: check the platform's event URL, or call api_start_push_ticket"},
	61006: {"component ticket invalid", "WeChat sends a new one every 10 minutes: check the platform's event URL, or call api_start_push_ticket"},
	61007: {"API not authorized to the platform", "the account did not give this permission: have it authorize the platform again with it"},
	61009: {"authorization code invalid", "open the authorization page again"},
	61010: {"authorization code expired", "open the authorization page again"},
	61011: {"invalid component", "check the platform's appid"},
	61023: {"refresh token invalid", "read it again with server platform sync, or have the account authorize the platform again"},
	61024: {"component app", "this app id is a third-party platform's"},
	89503: {"needs confirmation", "an administrator of the app must confirm this server's IP address in WeChat"},
}
