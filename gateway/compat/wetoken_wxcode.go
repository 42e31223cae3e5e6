package compat

import (
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/message/notify"
)

// maxShown is the number of characters of a field of a template message that WeChat shows.
const maxShown = 20

// sendCode sends a verification code, which the caller has made, as a template message.
func (s *wetoken) sendCode(w http.ResponseWriter, r *http.Request) {
	p, err := readParams(w, r)
	if err != nil {
		writeStatus(w, http.StatusBadRequest)
		return
	}
	a, caller, err := s.admit(r, p, use{appID: r.PathValue("appid"), route: "/message", scope: "message"})
	if err != nil {
		refused := (*refusal)(nil)
		if errors.As(err, &refused) {
			writeStatus(w, refused.status)
		} else {
			writeStatus(w, http.StatusBadRequest)
		}
		return
	}
	user, system, code := p.text("user_name"), p.text("system_name"), p.text("code")
	if user == "" || system == "" || code == "" || utf8.RuneCountInString(code) > maxShown {
		writeStatus(w, http.StatusNotAcceptable)
		return
	}
	if a.WCodeTemplateID() == "" {
		writeStatus(w, http.StatusBadRequest)
		return
	}
	_, err = notify.SendTemplate(r.Context(), a.Client(), notify.Template{
		ToUser: user, TemplateID: a.WCodeTemplateID(),
		Data: map[string]string{
			"first": shorten("正在登录" + system), "keyword1": code, "keyword2": "5分钟", "keyword3": time.Now().Format("2006/01/02 15:04:05"),
			"remark": "验证码请勿告诉他人",
		},
	})
	if err != nil {
		writeStatus(w, http.StatusBadRequest)
		return
	}
	s.gateway.Audit(r, caller, "wxcode", a.Name())
	writeText(w, http.StatusOK, "success")
}

func shorten(text string) string {
	if utf8.RuneCountInString(text) <= maxShown {
		return text
	}
	return string([]rune(text)[:maxShown])
}

// writeStatus answers with a status and its name, as the old system did.
func writeStatus(w http.ResponseWriter, status int) { writeText(w, status, http.StatusText(status)) }

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
