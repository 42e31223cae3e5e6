package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	mount "github.com/wetoken/wetoken/examples/mount"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// routers make each router with a middleware of its own kind, which marks the answer, and with a route of its own.
var routers = map[string]func(*testing.T, *token.Handler, *ticket.Handler) http.Handler{
	"ServeMux": func(_ *testing.T, a *token.Handler, b *ticket.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /own", own)
		mount.ServeMux(mux, a, b)
		return mark(mux)
	},
	"chi": func(_ *testing.T, a *token.Handler, b *ticket.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(mark)
		r.Get("/own", own)
		mount.Chi(r, a, b)
		return r
	},
	"gin": func(_ *testing.T, a *token.Handler, b *ticket.Handler) http.Handler {
		gin.SetMode(gin.TestMode)
		r := gin.New()
		r.Use(func(c *gin.Context) { c.Header("Middleware", "ran") })
		r.GET("/own", gin.WrapF(own))
		mount.Gin(r, a, b)
		return r
	},
	"echo": func(_ *testing.T, a *token.Handler, b *ticket.Handler) http.Handler {
		e := echo.New()
		e.Use(echo.WrapMiddleware(mark))
		e.GET("/own", echo.WrapHandler(http.HandlerFunc(own)))
		mount.Echo(e, a, b)
		return e
	},
}

func mark(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Middleware", "ran")
		next.ServeHTTP(w, r)
	})
}

func own(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the application's own") }

const appID, key = "wx1234567890abcdef", "Bearer some-caller-key"

// keyed lets in callers with the key.
func keyed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// server serves the parts over a socket. It has a middleware that every answer of the router must have passed.
func server(t *testing.T, router func(*testing.T, *token.Handler, *ticket.Handler) http.Handler) string {
	t.Helper()
	wx := new(wechattest.Server)
	wx.AddApp(appID, "secret")
	api := &wechat.Client{HTTP: wx.Client()}
	tokens := &token.Manager{AppID: appID, Secret: "secret", Client: api}
	tickets := &ticket.Manager{AppID: appID, Tokens: tokens, Client: api}
	s := httptest.NewServer(router(t, &token.Handler{Source: tokens, Guard: keyed}, &ticket.Handler{Source: tickets, Guard: keyed}))
	t.Cleanup(s.Close)
	return s.URL
}

// do sends a request with the key, sees that the router's middleware ran, and returns status and body.
func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "ran", resp.Header.Get("Middleware"), "%s %s", method, url)
	return resp.StatusCode, string(text)
}

// field is a text in a JSON body.
func field(t *testing.T, body, name string) string {
	t.Helper()
	var all map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &all), "%s", body)
	text, _ := all[name].(string)
	require.NotEmpty(t, text, "%s in %s", name, body)
	return text
}

func each(t *testing.T, f func(t *testing.T, base string)) {
	for name, router := range routers {
		t.Run(name, func(t *testing.T) { f(t, server(t, router)) })
	}
}

func TestPartsAnswerBelowThePrefix(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		status, body := do(t, http.MethodGet, base+"/wx/token", "")
		require.Equal(t, http.StatusOK, status, body)
		field(t, body, "access_token")

		status, body = do(t, http.MethodGet, base+"/wx/ticket/jsapi?unused=1", "")
		require.Equal(t, http.StatusOK, status, body)
		field(t, body, "ticket")
	})
}

func TestAPOSTComesThroughWithItsBody(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		_, body := do(t, http.MethodGet, base+"/wx/token", "")
		first := field(t, body, "access_token")

		status, body := do(t, http.MethodPost, base+"/wx/token", `{"refused":"`+first+`"}`)
		require.Equal(t, http.StatusOK, status, body)
		require.NotEqual(t, first, field(t, body, "access_token"))

		status, body = do(t, http.MethodPost, base+"/wx/token", `{}`)
		require.Equal(t, http.StatusBadRequest, status, body)
	})
}

func TestPathValuesReachTheParts(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		status, body := do(t, http.MethodGet, base+"/wx/ticket/no_such_type", "")
		require.Equal(t, http.StatusNotFound, status)
		require.Contains(t, field(t, body, "errmsg"), "no_such_type")
	})
}

func TestOtherPathsAndMethodsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		for _, path := range []string{"/wx/", "/wx/none", "/wx/token/more", "/wx/ticket/", "/token", "/wxtoken", "/other"} {
			status, _ := do(t, http.MethodGet, base+path, "")
			require.Equal(t, http.StatusNotFound, status, "GET %s", path)
		}
		status, _ := do(t, http.MethodDelete, base+"/wx/token", "")
		require.Equal(t, http.StatusMethodNotAllowed, status)
	})
}

func TestTheApplicationsOwnRoutesStay(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		status, body := do(t, http.MethodGet, base+"/own", "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "the application's own", body)
	})
}

func TestTheGuardIsApplied(t *testing.T) {
	each(t, func(t *testing.T, base string) {
		resp, err := http.Get(base + "/wx/token")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	})
}

// router is one that takes wetoken.Bind.
type router interface {
	wetoken.Mux
	http.Handler
}

var bound = map[string]func() router{
	"ServeMux": func() router { return http.NewServeMux() },
	"chi":      func() router { return chi.NewRouter() },
}

func TestPartsOfOnePrefixAreBoundOneByOne(t *testing.T) {
	for name, open := range bound {
		for _, prefix := range []string{"/", "/wx", "/a/b/"} {
			t.Run(name+prefix, func(t *testing.T) {
				r, base := open(), strings.TrimSuffix(prefix, "/")
				r.Handle("GET /", http.HandlerFunc(own))
				in, err := message.New(message.Config{AppID: appID, Token: "token"})
				require.NoError(t, err)
				login := &oauth.Login{AppID: appID, Secret: "secret"}
				parts := []wetoken.Part{
					in, login, &ticket.Handler{Guard: keyed}, &token.Handler{Guard: keyed}, &oauth.Handler{Source: login, Guard: keyed},
					oauth.VerifyFiles{"MP_verify_abc.txt": "abc"},
				}
				for _, p := range parts {
					wetoken.Bind(r, prefix, p)
				}
				for _, route := range []string{
					"GET /message", "POST /message/", "GET /login", "GET /login/callback", "POST /login/redeem", "GET /ticket/jsapi",
					"GET /token", "POST /token", "GET /MP_verify_abc.txt", "DELETE /token",
				} {
					method, path, _ := strings.Cut(route, " ")
					want, got := httptest.NewRecorder(), httptest.NewRecorder()
					wetoken.Handler(parts...).ServeHTTP(want, httptest.NewRequest(method, path, nil))
					r.ServeHTTP(got, httptest.NewRequest(method, base+path, nil))
					require.Equal(t, want.Code, got.Code, route)
					require.NotEqual(t, http.StatusNotFound, got.Code, route)
				}
				w := httptest.NewRecorder()
				r.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				require.Equal(t, "the application's own", w.Body.String())
			})
		}
	}
}

func TestPartsAreBoundToASubrouterOfChi(t *testing.T) {
	r := chi.NewRouter()
	r.Route("/app", func(r chi.Router) {
		r.Use(mark)
		wetoken.Bind(r, "/wx", &ticket.Handler{Source: &ticket.Manager{AppID: appID}, Guard: func(next http.Handler) http.Handler { return next }})
	})
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/app/wx/ticket/no_such_type", nil))
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Contains(t, w.Body.String(), "no_such_type")
	require.Equal(t, "ran", w.Header().Get("Middleware"))
}
