package answer_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/wechat"
)

// errRefused is an error with one of WeChat's at its root.
var errRefused = fmt.Errorf("oauth: exchange code: %w", &wechat.Error{Op: "GET /sns/oauth2/access_token", Code: wechat.ErrInvalidIP, Msg: "invalid ip 10.1.2.3"})

func TestAFailureHasATruthfulStatus(t *testing.T) {
	w := httptest.NewRecorder()
	answer.Failure(w, errRefused)
	require.Equal(t, 502, w.Code)
	require.Contains(t, w.Body.String(), `{"errcode":40164,"errmsg":"oauth: exchange code: wechat: GET /sns/oauth2/access_token: 40164 invalid ip`)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))

	w = httptest.NewRecorder()
	answer.Failure(w, errors.New(`store: "down"`))
	require.Equal(t, 503, w.Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.JSONEq(t, `{"errcode":503,"errmsg":"store: \"down\""}`, w.Body.String())
}

func TestStrangersAreToldTheCodeAndTheLogTheRest(t *testing.T) {
	log, standard := new(strings.Builder), slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(standard) })
	for status, err := range map[int]error{502: errRefused, 503: errors.New("store: 10.1.2.3 is down")} {
		log.Reset()
		w := httptest.NewRecorder()
		answer.Public(w, httptest.NewRequest("GET", "/", nil), "oauth: not logged in", err)
		require.Equal(t, status, w.Code)
		require.Contains(t, w.Body.String(), "oauth: not logged in")
		require.NotContains(t, w.Body.String(), "10.1.2.3")
		require.Contains(t, log.String(), "10.1.2.3")
	}
}

func TestABodyIsBoundedAndWhole(t *testing.T) {
	for body, status := range map[string]int{
		`{"a":"b"}`: 200, ` {"a":"b","c":1} `: 200, "": 400, "x": 400, "[]": 400, `{"a":1}`: 400, `{"a":"b"}{}`: 400,
		`{"a":"` + strings.Repeat("b", 100) + `"}`: 413,
	} {
		w := httptest.NewRecorder()
		var in struct{ A string }
		ok := answer.Body(w, httptest.NewRequest("POST", "/", strings.NewReader(body)), 64, `{"a":"…"}`, &in)
		require.Equal(t, status == 200, ok, body)
		require.Equal(t, status, w.Code, body)
		if ok {
			require.Equal(t, "b", in.A)
			continue
		}
		require.Contains(t, w.Body.String(), `must be {\"a\":\"…\"}`)
	}
}

func TestWithoutAGuardNobodyGetsIn(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	for status, guard := range map[int]func(http.Handler) http.Handler{403: nil, 204: func(next http.Handler) http.Handler { return next }} {
		w := httptest.NewRecorder()
		answer.Guarded(guard, h).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		require.Equal(t, status, w.Code)
	}
}
