package handlers

import (
	"errors"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/examples/miniapp/order"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechat"
)

// Refusals of these handlers.
var (
	errBody     = errors.New("handlers: invalid body")
	errTooLarge = errors.New("handlers: the body is too large")
	errAdmin    = errors.New("handlers: invalid admin key")
	errUsedData = errors.New("handlers: encryptedData was used before, or is old")
	errOtherApp = errors.New("handlers: the session is of another app")
	errDay      = errors.New("handlers: invalid day")

	errOtherBrowser = errors.New("handlers: another browser began the login")
)

// Codes of WeChat that the person can act on.
const (
	errCodeExpired = wechat.Code(42003)
	errOtherUser   = wechat.Code(40003) // the code is another user's
	errBlocked     = wechat.Code(40226)
)

// words are what a person is told.
type words struct {
	status  int
	code    string
	chinese string
	english string
}

// said has what is told for an error, the first entry that matches.
var said = []struct {
	err error
	words
}{
	{account.ErrToken, words{401, "token", "登录已失效，请重新登录", "You are logged out: log in again"}},
	{account.ErrPhoneBound, words{400, "phone_bound", "该手机号已绑定其他账号，请更换手机号，或用绑定它的微信登录", "This phone number belongs to another account: use another number, or log in with the WeChat that it belongs to"}},
	{account.ErrPhone, words{400, "phone", "手机号无效", "The phone number is invalid"}},
	{account.ErrNickname, words{400, "nickname", "昵称须为 1 至 32 个可见字符", "A nickname has 1 to 32 visible characters"}},
	{account.ErrAvatar, words{400, "avatar", "头像须为 256 KB 以内的 PNG 或 JPEG 图片，或 https 地址", "An avatar is a PNG or JPEG of at most 256 KB, or an https address"}},

	{oauth.ErrSession, words{400, "session", "登录状态已过期或数据不完整，请重新登录后再获取手机号", "The session has ended, or the data is damaged: log in again, then share the phone number"}},
	{oauth.ErrData, words{400, "data", "手机号数据无效，不是本小程序的数据", "The phone data is invalid or of another mini program"}},
	{errUsedData, words{400, "used", "手机号数据已使用或已过期，请重新点击获取手机号", "The phone data was used before, or is old: press the button again"}},
	{oauth.ErrNoGrant, words{401, "grant", "微信授权已失效，请重新登录", "WeChat's consent has ended: log in again"}},
	{wechat.ErrInvalidCode, words{400, "code", "微信凭证无效，请重试", "WeChat's code is invalid: try again"}},
	{wechat.ErrCodeUsed, words{400, "code", "微信凭证已使用，请重试", "WeChat's code was used before: try again"}},
	{errCodeExpired, words{400, "code", "微信凭证已过期，请重试", "WeChat's code has expired: try again"}},
	{errOtherUser, words{400, "code", "微信凭证不属于当前用户，请重新登录", "WeChat's code is of another user: log in again"}},
	{errBlocked, words{400, "blocked", "微信限制了该账号的登录", "WeChat blocks the login of this account"}},
	{wechat.Code(45011), words{429, "busy", "操作过于频繁，请一分钟后再试", "Too many requests: wait a minute"}},

	{order.ErrProduct, words{400, "product", "没有这个商品", "There is no such product"}},
	{order.ErrTooMany, words{429, "orders", "未支付的订单过多，请先支付或取消", "Too many open orders: pay or cancel one first"}},
	{order.ErrNotFound, words{404, "not_found", "没有这个订单", "There is no such order"}},
	{order.ErrPaid, words{409, "paid", "订单已支付", "The order is paid"}},
	{order.ErrUnpaid, words{409, "unpaid", "订单未支付", "The order is not paid"}},
	{order.ErrShipping, words{400, "shipping", "", ""}},
	{order.ErrNoBill, words{404, "bill", "这一天没有账单，或账单尚未生成（次日 10 点后生成）", "There is no bill of this day, or not yet: it is ready at 10:00 of the next day"}},

	{errBody, words{400, "body", "请求格式不正确", "The request is invalid"}},
	{errTooLarge, words{413, "body", "请求内容过大", "The request is too large"}},
	{errAdmin, words{401, "admin", "管理密钥不正确", "The admin key is wrong"}},
	{errOtherApp, words{400, "app", "请在小程序中操作", "Do this in the mini program"}},
	{errOtherBrowser, words{403, "browser", "这次登录不是从本浏览器开始的，请重新登录", "Another browser began this login: log in again"}},
	{errDay, words{400, "day", "日期格式为 2006-01-02", "A day is written as 2006-01-02"}},
}

var (
	unavailable    = words{503, "unavailable", "服务暂时不可用，请稍后重试", "The service is not available: try again later"}
	loginFailed    = words{403, "login", "登录未完成，请重新登录", "You are not logged in: log in again"}
	outcomeUnknown = words{503, "unknown", "微信支付没有回应，请稍后查看订单", "WeChat Pay did not answer: look at the order later"}
)

// describe returns what a person is told about an error. An error that the person cannot act on is logged.
func (h *Handlers) describe(r *http.Request, err error) words {
	for _, s := range said {
		if errors.Is(err, s.err) {
			return s.words
		}
	}
	h.log().ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
	if errors.Is(err, pay.ErrUnknown) {
		return outcomeUnknown
	}
	return unavailable
}

// in returns the words in the language of a browser.
func (w words) in(r *http.Request) string {
	if prefersEnglish(r) {
		return w.english
	}
	return w.chinese
}

// refuse replies with what a person is told about an error.
func (h *Handlers) refuse(w http.ResponseWriter, r *http.Request, err error) {
	told := h.describe(r, err)
	text := told.in(r)
	if text == "" { // for staff
		text = err.Error()
	}
	w.Header().Set("Vary", "Accept-Language")
	writeJSON(w, told.status, map[string]string{"code": told.code, "msg": text})
}

func prefersEnglish(r *http.Request) bool {
	first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(first)), "en")
}
