package handlers

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
)

// explainFault returns the status and the text of an error for people. An error that is no fault of theirs is logged.
func explainFault(r *http.Request, err error) (status int, text string) {
	for _, known := range []struct {
		err    error
		status int
		text   string
	}{
		{shop.ErrNotFound, http.StatusNotFound, "找不到这个页面。"},
		{shop.ErrNoGoods, http.StatusNotFound, "没有这件商品。"},
		{shop.ErrForbidden, http.StatusForbidden, "只有管理员可以打开这个页面。"},
		{shop.ErrExists, http.StatusConflict, "用户名或手机号已注册，请直接登录。"},
		{shop.ErrPassword, http.StatusUnauthorized, "用户名或密码不正确。"},
		{shop.ErrCode, http.StatusBadRequest, "验证码不正确或已过期。"},
		{shop.ErrLimited, http.StatusTooManyRequests, "操作过于频繁，请稍后再试。"},
		{shop.ErrSend, http.StatusBadGateway, "短信发送失败，请稍后再试。"},
		{shop.ErrPrice, http.StatusConflict, "价格已变动，请确认后重新购买。"},
		{shop.ErrState, http.StatusConflict, "订单的当前状态不允许这个操作。"},
	} {
		if errors.Is(err, known.err) {
			return known.status, known.text
		}
	}
	if errors.Is(err, shop.ErrInvalid) {
		return http.StatusBadRequest, cmp.Or(fieldTexts[err.Error()[strings.LastIndex(err.Error(), " ")+1:]], "请检查填写的内容。")
	}
	slog.ErrorContext(r.Context(), "handlers: "+r.Method+" "+r.URL.Path+": "+err.Error())
	if errors.Is(err, pay.ErrBusy) {
		return http.StatusTooManyRequests, "微信支付繁忙或账单尚未生成，请稍后再试。"
	}
	if cause := pay.Cause(""); errors.As(err, &cause) {
		return cause.Status(), "微信支付暂时没有完成这个操作，请稍后再试。"
	}
	return http.StatusInternalServerError, "出错了，请稍后再试。"
}
