package oauth

import (
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// fault is the reason why a login failed.
type fault string

// The faults. Their values are stored.
const (
	faultDenied      fault = "denied"   // the user did not consent
	faultExpired     fault = "expired"  // the login took too long
	faultCode        fault = "code"     // WeChat refused the code
	faultUnknown     fault = "unknown"  // no such login, or no longer
	faultUsed        fault = "used"     // another browser finished the login
	faultBrowser     fault = "browser"  // another browser began the login
	faultSnapshot    fault = "snapshot" // the visitor views a snapshot of the page
	faultMember      fault = "member"   // the visitor is not a member of the company
	faultBackend     fault = "backend"  // BackendURL refused the login
	faultRisk        fault = "risk"     // WeChat's risk control blocks the user
	faultTooMany     fault = "often"    // WeChat was asked too often
	faultRefused     fault = "refused"  // WeChat refused the app
	faultUnavailable fault = "trouble"  // anything else
)

var (
	errDeclined = errors.New("oauth: the user did not consent")
	errSnapshot = errors.New("oauth: a visitor of the snapshot page is not logged in")
	errMember   = errors.New("oauth: the visitor is not a member of the company")
	errBackend  = errors.New("oauth: BackendURL refused the login")
)

// Codes that wechat does not export.
const (
	errInvalidRefreshToken wechat.Code = 40030
	errCodeBlocked         wechat.Code = 40226 // mini-program user of high risk
	errRefreshTokenExpired wechat.Code = 42002
	errCodeExpired         wechat.Code = 42003
	errKeyMissing          wechat.Code = 87007 // WeChat knows no session_key of the user
	errKeyWrong            wechat.Code = 87009 // the signature was made with another session_key
)

// faultOf returns the fault of an error.
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
	case errors.Is(err, wechat.ErrInvalidCode), errors.Is(err, wechat.ErrCodeUsed), errors.Is(err, errCodeExpired):
		return faultCode
	case errors.Is(err, errCodeBlocked):
		return faultRisk
	case errors.As(err, &refusal):
		switch answer.Of(err).Status {
		case http.StatusTooManyRequests:
			return faultTooMany
		case http.StatusBadGateway, http.StatusBadRequest:
			return faultRefused
		}
	}
	return faultUnavailable
}

// loginError returns the value of login_error, which tells the site about the fault. It is empty if the browser may not
// be the one that the site sent.
func (f fault) loginError() string {
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

// noticeFor returns the text that visitors read about a fault.
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
	case faultTooMany:
		return noticeTooMany
	case faultRefused:
		return noticeRefused
	}
	return noticeUnavailable
}
