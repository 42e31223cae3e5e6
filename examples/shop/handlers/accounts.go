package handlers

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/sms"
)

// accountRoutes returns the routes of accounts.
func (h *Handlers) accountRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /register":      h.register,
		"POST /user/register": h.register,
		"POST /login":         h.login,
		"POST /user/login":    h.login,
		"POST /sms":           h.sendCode,
	}
}

// dialect is a form of the old program's answers. The one that its text describes has routes without /user and the field msg, its later
// code has /user and message. Answers have both fields, so that only the states differ.
type dialect struct {
	later bool
}

func dialectOf(r *http.Request, fields map[string]string) dialect {
	_, repeated := fields["repeat_password"]
	return dialect{later: strings.HasPrefix(strings.ToLower(r.URL.Path), "/user/") && !repeated}
}

// state returns the one of this form.
func (d dialect) state(described, later any) any {
	if d.later {
		return later
	}
	return described
}

// register serves POST /register and /user/register.
func (h *Handlers) register(w http.ResponseWriter, r *http.Request) {
	fields, err := readFields(w, r)
	d := dialectOf(r, fields)
	if err == nil {
		err = checkRegistration(d, fields)
	}
	if err == nil {
		_, err = h.Shop.Register(r.Context(), shop.Registration{
			Username: fields["username"], Password: fields["password"], Mobile: fields["mobile"], Code: fields["smsCode"],
		})
	}
	switch {
	case err == nil:
		reply(w, http.StatusOK, http.StatusOK, "注册成功", nil)
	case errors.Is(err, shop.ErrExists):
		reply(w, http.StatusOK, d.state(1000, 0), "用户已存在，可直接登录", nil)
	case errors.Is(err, shop.ErrCode):
		reply(w, d.refused(), false, "验证码错误或已失效", nil)
	case errors.Is(err, shop.ErrInvalid):
		reply(w, d.refused(), false, d.explain(err), nil)
	default:
		h.failAccount(w, r, err)
	}
}

// refused is the HTTP status of invalid input. The later form answered it with an error status, which its clients read.
func (d dialect) refused() int {
	if d.later {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// checkRegistration checks what only one form has.
func checkRegistration(d dialect, fields map[string]string) error {
	repeated, ok := fields["repeat_password"]
	switch {
	case d.later && len(fields["password"]) < 6, !d.later && len(fields["password"]) > 20:
		return &shop.FieldError{Field: "password"}
	case (ok || !d.later) && repeated != fields["password"]:
		return &shop.FieldError{Field: "repeat_password"}
	}
	return nil
}

// explain returns an ErrInvalid in the language of the users.
func (d dialect) explain(err error) string {
	field := new(shop.FieldError)
	errors.As(err, &field)
	switch field.Field {
	case "username":
		return "用户名须为3-20位字母或数字"
	case "password":
		return fmt.Sprintf("密码须为%v位字母或数字", d.state("3-20", "6-30"))
	case "repeat_password":
		return "两次输入的密码不一致"
	case "mobile":
		return "手机号格式不正确"
	case "smsCode":
		return "请输入4位短信验证码"
	}
	return "参数不正确"
}

// login serves POST /login and /user/login. Its answer has what clients of all versions read.
func (h *Handlers) login(w http.ResponseWriter, r *http.Request) {
	fields, err := readFields(w, r)
	d := dialectOf(r, fields)
	var u shop.User
	if err == nil {
		u, err = h.Shop.Login(r.Context(), fields["username"], fields["password"], address(r))
	}
	var token string
	if err == nil {
		token, err = h.Sessions.Issue(u)
	}
	switch {
	case err == nil:
		h.Sessions.SetCookie(w, token)
		reply(w, http.StatusOK, http.StatusOK, "登陆成功", map[string]any{
			"code": http.StatusOK, "token": token, "mobile": u.Mobile,
			"userInfo": map[string]string{"username": u.Username, "mobile": u.Mobile},
		})
	case errors.Is(err, shop.ErrPassword):
		reply(w, http.StatusOK, d.state(1010, 0), "请检查用户名和密码是否正确", nil)
	case errors.Is(err, shop.ErrLimited):
		reply(w, http.StatusOK, d.state(1040, 0), "尝试次数过多，请稍后再试", nil)
	default:
		h.failAccount(w, r, err)
	}
}

// sendCode serves POST /sms. The code is never part of the answer.
func (h *Handlers) sendCode(w http.ResponseWriter, r *http.Request) {
	fields, err := readFields(w, r)
	if err == nil {
		err = h.Shop.SendCode(r.Context(), fields["mobile"], address(r))
	}
	switch {
	case err == nil:
		reply(w, http.StatusOK, http.StatusOK, "短信发送成功", nil)
	case errors.Is(err, shop.ErrInvalid), errors.Is(err, sms.ErrMobile):
		reply(w, http.StatusOK, 1040, "手机号格式不正确", nil)
	case errors.Is(err, shop.ErrLimited), errors.Is(err, sms.ErrLimited):
		reply(w, http.StatusOK, 1040, "发送过于频繁，请稍后再试", nil)
	case errors.Is(err, shop.ErrSend):
		slog.ErrorContext(r.Context(), "send code", "error", err)
		reply(w, http.StatusOK, 1040, "短信发送失败，请稍后再试", nil)
	default:
		h.failAccount(w, r, err)
	}
}

// failAccount answers a body that cannot be read, and errors that are not the caller's.
func (h *Handlers) failAccount(w http.ResponseWriter, r *http.Request, err error) {
	tooLong := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLong):
		reply(w, http.StatusRequestEntityTooLarge, false, "请求过长", nil)
	case errors.Is(err, errBody):
		reply(w, http.StatusBadRequest, false, "参数不正确", nil)
	default:
		slog.ErrorContext(r.Context(), "account", "path", r.Pattern, "error", err)
		reply(w, http.StatusInternalServerError, false, "服务器错误，请稍后再试", nil)
	}
}

// reply writes an answer in the old form. Clients read msg or message.
func reply(w http.ResponseWriter, status int, state any, message string, more map[string]any) {
	body := map[string]any{"status": state, "msg": message, "message": message}
	for name, value := range more {
		body[name] = value
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, body)
}
