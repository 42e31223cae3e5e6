package pay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/wetoken/wetoken/internal/answer"
)

// statusOf returns the HTTP status of a call that failed.
func statusOf(err error) int {
	var cause Cause
	var refused *Error
	switch {
	case errors.As(err, new(*FieldError)):
		return http.StatusBadRequest
	case errors.As(err, &cause):
		return cause.Status()
	case errors.As(err, &refused) && refused.isRefusal():
		return http.StatusBadGateway // a refusal with an unknown code
	}
	return http.StatusServiceUnavailable
}

func causeOf(err error) (cause Cause) {
	errors.As(err, &cause)
	return cause
}

// writeError replies {"errcode":-1,"errmsg":…,"cause":…,"code":…}.
func writeError(w http.ResponseWriter, status int, cause Cause, code, text string, t *Transaction) {
	body, err := json.Marshal(struct {
		Code        int          `json:"errcode"`
		Msg         string       `json:"errmsg"`
		Cause       Cause        `json:"cause,omitempty"`
		WeChat      string       `json:"code,omitempty"`
		Transaction *Transaction `json:"transaction,omitempty"`
	}{-1, text, cause, code, t})
	if err != nil {
		body = []byte(`{"errcode":-1,"errmsg":"internal error"}`)
	}
	switch cause {
	case ErrBusy:
		w.Header().Set("Retry-After", "5")
	case ErrUnknown:
		w.Header().Set("Retry-After", "2")
	}
	answer.JSON(w, status, body)
}

// AnswerError replies to an internal service with an error of this package, as [Handler] does.
func AnswerError(w http.ResponseWriter, err error) {
	var refused *Error
	var code string
	var t *Transaction
	if errors.As(err, &refused) {
		code, t = refused.Code, refused.Transaction
	}
	writeError(w, statusOf(err), causeOf(err), code, err.Error(), t)
}

// answerJSON replies 200 with a value, or with the error.
func answerJSON(w http.ResponseWriter, v any, err error) {
	if err != nil {
		AnswerError(w, err)
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		AnswerError(w, fmt.Errorf("pay: encode the reply: %w", err))
		return
	}
	answer.JSON(w, http.StatusOK, body)
}

// yuan formats an amount in yuan.
func yuan(fen int64) string {
	return strconv.FormatInt(fen/100, 10) + fmt.Sprintf(".%02d", fen%100)
}
