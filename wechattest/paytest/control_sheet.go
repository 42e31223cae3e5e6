package paytest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
)

func controlOpenSheet(s *Server, in Entry) (any, error) { return s.OpenSheet(in) }

type answerBody struct {
	ID     string `json:"id"`
	Do     string `json:"do"`
	OpenID string `json:"openid"`
}

func controlAnswerSheet(s *Server, in answerBody) (any, error) {
	return s.AnswerSheet(in.ID, in.Do, in.OpenID)
}

const longestWait = 60 // seconds

func controlSheet(s *Server, r *http.Request) (any, error) {
	id, wait := r.FormValue("id"), r.FormValue("wait")
	if wait == "" {
		return s.Sheet(id)
	}
	n, err := strconv.ParseFloat(wait, 64)
	if err != nil || !(n >= 0 && n <= longestWait) {
		return nil, errors.New("paytest: wait: want seconds, 60 at most")
	}
	ctx, cancel := context.WithTimeout(r.Context(), seconds(n))
	defer cancel()
	return s.WaitSheet(ctx, id)
}

func controlSheets(s *Server, _ *http.Request) (any, error) { return s.Sheets(), nil }
