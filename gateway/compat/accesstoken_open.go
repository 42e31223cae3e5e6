package compat

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/platform"
)

const openPrefix = "/apis/v1/wx/open1/"

// public serves what WeChat calls. A gateway without a platform has no such route.
func (s *accessToken) public() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST "+openPrefix+"event", func(w http.ResponseWriter, r *http.Request) {
		s.servePlatform(w, r, gateway.ServedPlatform.Events)
	})
	m.HandleFunc("POST "+openPrefix+"{appid}/callback", func(w http.ResponseWriter, r *http.Request) {
		s.servePlatform(w, r, gateway.ServedPlatform.Messages)
	})
	return paths{m, func(path string) bool {
		if !strings.HasPrefix(path, openPrefix) {
			return false
		}
		_, err := s.gateway.OnlyPlatform()
		return err == nil
	}}
}

func (s *accessToken) servePlatform(w http.ResponseWriter, r *http.Request, handler func(gateway.ServedPlatform) http.Handler) {
	p, err := s.gateway.OnlyPlatform()
	if err != nil {
		writeOldError(w, errNoAPI)
		return
	}
	handler(p).ServeHTTP(w, r)
}

// openRoutes adds what programs call.
func (s *accessToken) openRoutes(m *http.ServeMux) {
	for _, method := range []string{"GET ", "POST "} {
		m.HandleFunc(method+openPrefix+"authurl", s.serveAuthURL)
	}
	m.HandleFunc("GET "+openPrefix+"mpinfo", s.serveInfo)
	m.HandleFunc("GET "+openPrefix+"access_token/{APPID}", s.serveToken)
}

// findPlatform returns the platform that a request is for, if its caller has the scope token for it.
func (s *accessToken) findPlatform(r *http.Request, p params) (gateway.ServedPlatform, error) {
	served, err := s.gateway.OnlyPlatform()
	if err != nil {
		return served, errNoAPI
	}
	caller, err := s.findCaller(r, p)
	if err == nil && !s.open && !caller.AllowsPlatform(served, "token") {
		err = &refusal{http.StatusForbidden, "this key has no scope token for this platform"}
	}
	return served, err
}

// authURL is the address of WeChat's authorization page, as old clients read it.
type authURL struct {
	URL       string `json:"url"`
	ExpiresIn int    `json:"expires_in"`
	CreatedAt string `json:"createdAt"`
}

// isoTime is the form of times of the old system.
const isoTime = "2006-01-02T15:04:05.000Z"

// authURL returns the address of the page for phones, or of the one with a QR code if kind is scancode.
func (s *accessToken) authURL(r *http.Request, p params, kind, redirect string) (authURL, error) {
	served, err := s.findPlatform(r, p)
	if err != nil {
		return authURL{}, err
	}
	if kind != "" && kind != "mobile" && kind != "scancode" {
		return authURL{}, errParameter("type: want mobile or scancode")
	}
	now := time.Now()
	address, expires, err := served.AuthorizeURL(r.Context(), platform.Page{RedirectURI: redirect, Mobile: kind != "scancode"})
	if invalid := (*gateway.SettingError)(nil); errors.As(err, &invalid) {
		return authURL{}, errParameter("redirectUri: " + strings.TrimPrefix(invalid.Reason, "to: "))
	}
	if err != nil {
		return authURL{}, openError(err)
	}
	return authURL{address, int(expires.Sub(now) / time.Second), now.UTC().Format(isoTime)}, nil
}

// openError returns an error of the open platform in the old form.
func openError(err error) error {
	if errors.Is(err, platform.ErrNoTicket) {
		return &oldError{Code: 42001, Message: "没有获取tickets,需要等待最多10分钟", Detail: err.Error()}
	}
	return err
}

func (s *accessToken) serveAuthURL(w http.ResponseWriter, r *http.Request) {
	p, err := readParams(w, r)
	if err != nil {
		writeOldError(w, errParameter(err.Error()))
		return
	}
	got, err := s.authURL(r, p, p.text("type"), p.text("redirectUri"))
	writeOld(w, got, err)
}

// serveInfo exchanges an authorization code. Nothing shows the refresh token: authorizer_refresh_token is empty.
func (s *accessToken) serveInfo(w http.ResponseWriter, r *http.Request) {
	p := readQuery(r)
	served, err := s.findPlatform(r, p)
	if err == nil && p.text("auth_code") == "" {
		err = errParameter("auth_code is missing")
	}
	if err != nil {
		writeOldError(w, err)
		return
	}
	a, account, err := served.Authorize(r.Context(), p.text("auth_code"))
	if err != nil {
		writeOldError(w, openError(err))
		return
	}
	c, err := a.Tokens().Token(r.Context())
	if err != nil {
		writeOldError(w, err)
		return
	}
	type category struct {
		ID int `json:"id"`
	}
	type permission struct {
		Category category `json:"funcscope_category"`
	}
	permissions := []permission{}
	for _, id := range account.Permissions {
		permissions = append(permissions, permission{category{id}})
	}
	now := time.Now().UTC().Format(isoTime)
	writeOld(w, struct {
		AppID        string       `json:"authorizer_appid"`
		Token        string       `json:"authorizer_access_token"`
		ExpiresIn    int          `json:"expires_in"`
		RefreshToken string       `json:"authorizer_refresh_token"`
		Permissions  []permission `json:"func_info"`
		CreatedAt    string       `json:"createdAt"`
		UpdatedAt    string       `json:"updatedAt"`
	}{account.AppID, c.Value, max(int(time.Until(c.Expires)/time.Second), 1), "", permissions, now, now}, nil)
}

// writeOld answers with v, or with an error.
func writeOld(w http.ResponseWriter, v any, err error) {
	var body []byte
	if err == nil {
		body, err = json.Marshal(v)
	}
	if err != nil {
		writeOldError(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, body)
}
