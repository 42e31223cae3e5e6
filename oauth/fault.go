package oauth

import (
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// fault is why a login failed.
type fault string

// The faults that a login may end with.
const (
	faultDenied   fault = "denied"   // the user did not consent
	faultExpired  fault = "expired"  // the login took too long
	faultCode     fault = "code"     // WeChat's code is of no use
	faultUnknown  fault = "unknown"  // there is no such login, or no longer
	faultUsed     fault = "used"     // another browser has ended it
	faultBrowser  fault = "browser"  // another browser has begun it
	faultSnapshot fault = "snapshot" // the visitor looks at a snapshot of the page
	faultMember   fault = "member"   // the visitor is no member of the corp
	faultBackend  fault = "backend"  // Backend did not take the login
	faultRisk     fault = "risk"     // WeChat's risk control blocks the user
	faultOften    fault = "often"    // WeChat was asked too often
	faultRefused  fault = "refused"  // WeChat refused the app
	faultTrouble  fault = "trouble"  // anything else
)

var (
	errDeclined = errors.New("oauth: the user did not consent")
	errSnapshot = errors.New("oauth: a visitor of the snapshot page is not logged in")
	errMember   = errors.New("oauth: the visitor is no member of the company")
	errBackend  = errors.New("oauth: Backend did not take the login")
)

// faultOf returns the fault that err stands for.
func faultOf(err error) fault {
	refusal := (*wechat.Error)(nil)
	switch {
	case errors.Is(err, errUnknown):
		return faultUnknown
	case errors.Is(err, errExpired):
		return faultExpired
	case errors.Is(err, errUsed):
		return faultUsed
	case errors.Is(err, errBrowser):
		return faultBrowser
	case errors.Is(err, errDeclined):
		return faultDenied
	case errors.Is(err, errSnapshot):
		return faultSnapshot
	case errors.Is(err, errMember):
		return faultMember
	case errors.Is(err, errBackend):
		return faultBackend
	case errors.Is(err, wechat.ErrInvalidCode), errors.Is(err, wechat.ErrCodeUsed), errors.Is(err, wechat.ErrCodeExpired):
		return faultCode
	case errors.Is(err, wechat.ErrCodeBlocked):
		return faultRisk
	case errors.As(err, &refusal):
		switch answer.Of(err).Status {
		case http.StatusTooManyRequests:
			return faultOften
		case http.StatusBadGateway, http.StatusBadRequest:
			return faultRefused
		}
	}
	return faultTrouble
}

// word is the value of login_error, by which a site is told of the fault. It is empty where the browser is not known to
// be the one that the site sent.
func (f fault) word() string {
	switch f {
	case faultDenied:
		return "denied"
	case faultExpired, faultCode:
		return "expired"
	case faultUnknown, faultUsed, faultBrowser:
		return ""
	}
	return "failed"
}

// noticeFor returns the text that people read about a fault.
func noticeFor(f fault) notice {
	switch f {
	case faultDenied:
		return noticeDeclined
	case faultExpired, faultUnknown:
		return noticeExpired
	case faultCode:
		return noticeCode
	case faultUsed:
		return noticeUsed
	case faultBrowser:
		return noticeBrowser
	case faultSnapshot:
		return noticeSnapshot
	case faultMember:
		return noticeMember
	case faultBackend:
		return noticeBackend
	case faultRisk:
		return noticeRisk
	case faultOften:
		return noticeOften
	case faultRefused:
		return noticeRefused
	}
	return noticeTrouble
}
