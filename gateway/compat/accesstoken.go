package compat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// accessToken serves the routes and methods of windsome/wechat-accesstoken.
type accessToken struct{ guard }

func newAccessToken(g *gateway.Gateway, c gateway.Compat) *accessToken {
	return &accessToken{guard{g, c.IsOpen(gateway.CompatAccessToken)}}
}

func (s *accessToken) mux() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /apis/v1/wx/mp/access_token", s.serveToken)
	m.HandleFunc("GET /apis/v1/wx/mp/access_token/{APPID}", s.serveToken)
	m.HandleFunc("POST /apis/v1/wx/mp/register_appid", s.serveRegister)
	s.openRoutes(m)
	const prefix = "/apis/v1/wx/"
	m.HandleFunc(prefix, func(w http.ResponseWriter, _ *http.Request) { writeOldError(w, errNoAPI) })
	return paths{m, func(path string) bool { return strings.HasPrefix(path, prefix) }}
}

// oldError is an error as old clients read it. Its codes are not WeChat's.
type oldError struct {
	Code    int    `json:"errcode"`
	Message string `json:"message"`
	Detail  string `json:"xOrigMsg,omitempty"`

	status int // default 200
}

func (e *oldError) Error() string {
	if e.Detail == "" || e.Detail == e.Message {
		return e.Message
	}
	return e.Message + " " + e.Detail
}

var errNoAPI = &oldError{Code: 40011, Message: "没有此API"}

func errParameter(detail string) *oldError {
	return &oldError{Code: 40003, Message: "参数错误", Detail: detail}
}

// asOldError returns an error in the old form.
func asOldError(err error) *oldError {
	var (
		old     *oldError
		refused *wechat.Error
		denied  *refusal
	)
	switch {
	case errors.As(err, &old):
		return old
	case errors.As(err, &denied):
		return &oldError{Code: -1, Message: denied.text, Detail: denied.text, status: denied.status}
	case errors.Is(err, gateway.ErrNoApp) && !errors.Is(err, wechat.ErrNotAuthorized):
		return errParameter("this appid is not registered")
	case errors.As(err, &refused):
		return &oldError{Code: 40000, Message: "第三方API调用失败", Detail: fmt.Sprintf("errcode=%d,errmsg=%s", int(refused.Code), refused.Msg)}
	}
	return &oldError{Code: -1, Message: err.Error(), Detail: err.Error()}
}

// writeOldError answers an error, with status 200 like the old system unless the caller is refused.
func writeOldError(w http.ResponseWriter, err error) {
	old := asOldError(err)
	body, err := json.Marshal(old)
	if err != nil {
		body = []byte(`{"errcode":-1,"message":"internal error"}`)
	}
	status := http.StatusOK
	if old.status != 0 {
		status = old.status
	}
	answer.JSON(w, status, body)
}

// tokenRequest is a request for a token, over HTTP or JSON-RPC.
type tokenRequest struct {
	appID  string // of the only app of the caller if empty
	secret string // if not empty, it must be the app's
	force  bool

	redacted
}

func (s *accessToken) serveToken(w http.ResponseWriter, r *http.Request) {
	p := readQuery(r)
	in := tokenRequest{appID: p.text("appid"), secret: p.text("secret"), force: isTrue(p.text("force"))}
	if named := r.PathValue("APPID"); named != "" {
		in.appID = named
	}
	caller, err := s.findCaller(r, p)
	if err == nil {
		var value string
		if value, err = s.token(r, caller, in); err == nil {
			answer.JSON(w, http.StatusOK, fmt.Appendf(nil, `{"accessToken":%s}`, quote(value)))
			return
		}
	}
	writeOldError(w, err)
}

// isTrue reports whether a parameter is true, as the old system read it.
func isTrue(text string) bool { return strings.EqualFold(text, "true") }

// token returns the token of an app. A caller whose forced renewals are used up gets the current one.
func (s *accessToken) token(r *http.Request, caller *gateway.Caller, in tokenRequest) (string, error) {
	ctx := r.Context()
	a, err := s.find(ctx, caller, in.appID)
	if err == nil {
		err = s.check(r, caller, a, "token")
	}
	if err == nil && in.force {
		err = s.check(r, caller, a, "renew")
	}
	if err != nil {
		return "", err
	}
	if in.secret != "" && !a.HasSecret(in.secret) {
		return "", &wechat.Error{Code: wechat.ErrInvalidSecret, Msg: "invalid appsecret"}
	}
	tokens := a.Tokens()
	if tokens == nil {
		return "", errParameter("a website has no token")
	}
	c, err := tokens.Token(ctx)
	if err != nil || !in.force {
		return nonEmpty(c.Value, err)
	}
	next, err := a.Renew(token.WithCaller(ctx, callerName(caller, a, in.secret)), c.Value)
	switch {
	case errors.Is(err, token.ErrRationed), errors.Is(err, token.ErrStillRefused):
		return nonEmpty(c.Value, nil)
	case err == nil:
		s.gateway.Audit(r, caller, "renew", a.Name())
	}
	return nonEmpty(next.Value, err)
}

// nonEmpty returns a token, or an error for an empty one.
func nonEmpty(value string, err error) (string, error) {
	if err == nil && value == "" {
		err = errors.New("wetoken: no token")
	}
	return value, err
}

// find returns the app with an appid, or the only one of a caller if the appid is empty.
func (s *accessToken) find(ctx context.Context, caller *gateway.Caller, appID string) (gateway.ServedApp, error) {
	if appID != "" {
		return s.gateway.ServedApp(ctx, appID, "/token")
	}
	a, err := s.gateway.OnlyApp(ctx, caller, "/token")
	if errors.Is(err, gateway.ErrNoApp) {
		return a, errParameter("appid is missing")
	}
	return a, err
}

func (s *accessToken) serveRegister(w http.ResponseWriter, r *http.Request) {
	p, err := readParams(w, r)
	if err != nil {
		writeOldError(w, &oldError{Code: -1, Message: err.Error(), Detail: err.Error(), status: http.StatusBadRequest})
		return
	}
	caller, err := s.findAdmin(r, p)
	if err == nil {
		err = s.register(r, caller, p.text("appid"), p.text("secret"))
	}
	if err != nil {
		writeOldError(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, []byte(`{"result":true}`))
}

// register registers an app, or gives a registered one another secret, after WeChat has accepted the secret.
func (s *accessToken) register(r *http.Request, caller *gateway.Caller, appID, secret string) error {
	if appID == "" || secret == "" {
		return errParameter("appid and secret are needed")
	}
	ctx, apps := withActor(r.Context(), caller), s.gateway.Apps()
	list, err := apps.WithAppID(ctx, appID)
	if err != nil {
		return err
	}
	if len(list) > 1 {
		return errParameter("several apps have this appid")
	}
	if len(list) == 1 && list[0].HasSecret(secret) {
		_, err := s.gateway.ServedApp(ctx, appID, "/token") // it may have ended
		return err
	}
	if len(list) == 1 && list[0].InFile {
		return errParameter("this app is part of the configuration of the server, with another secret")
	}
	app := gateway.App{AppID: appID, Secret: secret}
	if len(list) == 1 {
		app = list[0].App
		app.Secret, app.NextSecret, app.PreviousSecret = secret, "", list[0].App.Secret
	}
	if err := apps.Verify(ctx, app); err != nil {
		return err
	}
	if len(list) == 0 {
		_, err = apps.Add(ctx, appName(appID), app)
	} else {
		_, err = apps.Put(ctx, list[0].Name, app, list[0].Revision)
	}
	var invalid *gateway.SettingError
	if errors.As(err, &invalid) {
		return errParameter(strings.TrimPrefix(invalid.Error(), "gateway: "))
	}
	return err
}
