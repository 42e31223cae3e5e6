package event

import "time"

// Notices of the open platform (第三方平台) and of WeCom's service providers (服务商), which have an InfoType
// instead of MsgType and Event.

// ComponentVerifyTicket is component_verify_ticket, sent every 10 minutes: component_access_token is requested with it.
// https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/component_verify_ticket.html
type ComponentVerifyTicket struct {
	AppID                 string // the platform's
	ComponentVerifyTicket string
}

// Authorized is authorized, updateauthorized and unauthorized: an account has authorized the platform, changed the
// authorization, or revoked it (授权变更通知).
type Authorized struct {
	AppID                        string // the platform's
	AuthorizerAppID              string
	AuthorizationCode            string
	AuthorizationCodeExpiredTime time.Time
	PreAuthCode                  string
}

// FastRegister is notify_third_fasteregister: the platform registered a mini program, or failed to (快速注册).
type FastRegister struct {
	AppID    string `wechat:"appid"` // the new mini program's
	Status   int    // 0 registered
	AuthCode string
	Msg      string
	Info     struct {
		Name               string
		Code               string
		CodeType           int
		LegalPersonaWechat string
		LegalPersonaName   string
		ComponentPhone     string
	}
}

// SuiteTicket is suite_ticket, sent every 10 minutes: suite_access_token is requested with it (企业微信).
type SuiteTicket struct {
	SuiteID     string
	SuiteTicket string
}

// SuiteAuth is create_auth, change_auth, cancel_auth and reset_permanent_code (企业微信授权通知).
type SuiteAuth struct {
	SuiteID    string
	AuthCode   string
	AuthCorpID string
	State      string
}
