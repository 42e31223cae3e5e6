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
	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/wechat"
)

// errRefused is an error that wraps a refusal of WeChat.
var errRefused = fmt.Errorf("oauth: exchange code: %w", &wechat.Error{Op: "GET /sns/oauth2/access_token", Code: wechat.ErrInvalidIP, Msg: "invalid ip 10.1.2.3"})

func TestAFailureHasAFittingStatus(t *testing.T) {
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

func TestStrangersGetTheCodeAndTheLogTheDetails(t *testing.T) {
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

func TestABodyIsBoundedAndComplete(t *testing.T) {
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

func TestAHandlerWithoutAGuardRefusesAll(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	for status, guard := range map[int]func(http.Handler) http.Handler{403: nil, 204: func(next http.Handler) http.Handler { return next }} {
		w := httptest.NewRecorder()
		answer.Guarded(guard, h).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		require.Equal(t, status, w.Code)
	}
}

// refusal returns an error that wraps a refusal with an errcode.
func refusal(op string, code wechat.Code, msg string) error {
	return fmt.Errorf("token: wx1: %w", &wechat.Error{Op: op, Code: code, Msg: msg})
}

func TestEachUpstreamFailureHasOneAnswer(t *testing.T) {
	const call = "POST /cgi-bin/stable_token"
	for name, c := range map[string]struct {
		err          error
		status, code int
		after        string
		private      string // in the text for our own services
		public       string // in the text for strangers
	}{
		"busy":             {refusal(call, -1, "system error"), 503, -1, "2", "try again in a few seconds", "try again in a few seconds"},
		"minute quota":     {refusal(call, 45011, "api minute-quota reach limit"), 429, 45011, "60", "wait a minute", "try again in a minute"},
		"concurrency":      {refusal(call, 45033, ""), 429, 45033, "2", "wait a few seconds", "try again in a few seconds"},
		"risk control":     {refusal("GET /sns/jscode2session", 40226, "code blocked"), 400, 40226, "", "risk control", "risk control"},
		"code":             {refusal("GET /sns/jscode2session", 40029, "invalid code"), 400, 40029, "", "invalid code", "get a new one"},
		"daily quota":      {refusal(call, 45009, "reach max api daily quota limit"), 502, 45009, "", "wait for midnight in China", "WeChat refused"},
		"classic quota":    {refusal("GET /cgi-bin/token", 45009, "reach max api daily quota limit"), 502, 45009, "", "token_mode: stable", "WeChat refused"},
		"WeCom's address":  {refusal("GET /cgi-bin/gettoken", 60020, "not allow to access from your ip, from ip: 203.0.113.5"), 502, 60020, "", "add 203.0.113.5 to the application's trusted addresses in WeCom's console", "WeChat refused"},
		"address":          {refusal(call, 40164, "invalid ip 203.0.113.5"), 502, 40164, "", "add 203.0.113.5 to the IP whitelist of the app in WeChat's console", "WeChat refused"},
		"secret":           {refusal(call, 40125, "invalid appsecret"), 502, 40125, "", "check the app's secret", "WeChat refused"},
		"ration":           {fmt.Errorf("token: wx1: %w", renew.ErrRationed), 429, 429, "30", "rationed", "too many renewals"},
		"HTTP status":      {errors.New("wechat: POST /cgi-bin/stable_token: HTTP status 502"), 503, 503, "2", "HTTP status 502", "the server's log has more"},
		"refused for long": {renew.ErrStillRefused, 503, 503, "2", "still answers the refused value", "the server's log has more"},
	} {
		t.Run(name, func(t *testing.T) {
			private, public := httptest.NewRecorder(), httptest.NewRecorder()
			answer.Failure(private, c.err)
			answer.Public(public, httptest.NewRequest("GET", "/", nil), "not done", c.err)
			for i, w := range []*httptest.ResponseRecorder{private, public} {
				require.Equal(t, c.status, w.Code)
				require.Equal(t, c.after, w.Header().Get("Retry-After"))
				require.Contains(t, w.Body.String(), fmt.Sprintf(`{"errcode":%d,`, c.code))
				require.Contains(t, w.Body.String(), []string{c.private, c.public}[i])
				require.Equal(t, c.code == 40029 && i == 0, strings.Contains(w.Body.String(), "login again"))
			}
			require.NotContains(t, public.Body.String(), "203.0.113.5")
			if c.code == 60020 {
				require.NotContains(t, private.Body.String(), "whitelist")
			}
		})
	}
}
