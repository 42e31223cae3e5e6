package compat

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/oauth"
)

// addLogin adds the logins of browsers. There is none without an app, since that had the secret in its address.
func (s *proxy) addLogin(m *http.ServeMux) {
	handleSlash(m, "GET", "/app/{app}/auth", s.serveLogin("/auth", oauth.ScopeBase))
	handleSlash(m, "GET", "/app/{app}/auth/info", s.serveLogin("/auth/info", oauth.ScopeUserInfo))
}

// serveLogin returns the handler of a route below an app.
func (s *proxy) serveLogin(route, scope string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, err := s.gateway.ServedApp(r.Context(), r.PathValue("app"), route)
		if err != nil {
			writeAdmission(w, err)
			return
		}
		form := a.LoginForm(route, scope, func(w http.ResponseWriter, _ *http.Request, end oauth.FormEnd) { writeLoginForm(w, a, end) })
		if form == nil {
			writeProxyError(w, http.StatusNotFound, codeProxy, fmt.Sprintf("%s is for official accounts, and this app is of kind %s", route, a.Kind()))
			return
		}
		form.ServeHTTP(w, r)
	}
}

// loginFields are the fields of the old body that WeChat's answer has. Those that old readers may count on are never left out.
type loginFields struct {
	ErrCode    int      `json:"errcode,omitempty"`
	ErrMsg     string   `json:"errmsg,omitempty"`
	OpenID     string   `json:"openid"`
	UnionID    string   `json:"unionid"`
	Nickname   string   `json:"nickname,omitempty"`
	Sex        int      `json:"sex,omitempty"`
	City       string   `json:"city,omitempty"`
	Province   string   `json:"province,omitempty"`
	Country    string   `json:"country,omitempty"`
	HeadImgURL string   `json:"headimgurl,omitempty"`
	Privilege  []string `json:"privilege,omitempty"`

	AppID     string `json:"appid"`
	State     string `json:"state"`
	LoginCode string `json:"login_code,omitempty"`
}

// loginBody returns the old body of a login, which ends in the MD5 that old readers compare. What the signature covers is the JSON of all
// fields before it.
func loginBody(a gateway.ServedApp, end oauth.FormEnd) (string, error) {
	u := end.User
	f := loginFields{
		OpenID: u.OpenID, UnionID: u.UnionID, Nickname: u.Nickname, Sex: u.Sex, City: u.City, Province: u.Province, Country: u.Country,
		HeadImgURL: u.HeadImgURL, Privilege: u.Privilege, AppID: a.AppID(), State: end.State, LoginCode: end.LoginCode,
	}
	if end.Refusal != nil {
		f.ErrCode, f.ErrMsg = int(end.Refusal.Code), end.Refusal.Msg
	}
	covered, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	signature, old := a.SignLogin(covered, end.State)
	body := string(covered[:len(covered)-1])
	if signature != "" {
		body += `,"wetoken_sign":"` + signature + `"`
	}
	return body + `,"sign":"` + old + `="}`, nil
}

// loginPage is the page whose form carries the body. Browsers send a form of text/plain as name=value and a line end, so the body is
// split at the = that ends its sign.
//
//go:embed proxy_login.html
var loginPage string

// submitScript is the script of the page.
const submitScript = `document.forms[0].submit()`

var (
	loginTemplate    = template.Must(template.New("login").Parse(loginPage))
	submitScriptHash = scriptHash(submitScript)
)

// scriptHash returns the source of a Content-Security-Policy that allows one script.
func scriptHash(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// writeLoginForm answers the page that carries a login to its call.
func writeLoginForm(w http.ResponseWriter, a gateway.ServedApp, end oauth.FormEnd) {
	to, err := url.Parse(end.Call)
	var body string
	if err == nil {
		body, err = loginBody(a, end)
	}
	name, value := body, ""
	if at := strings.LastIndexByte(body, '='); at >= 0 {
		name, value = body[:at], body[at+1:]
	}
	var b bytes.Buffer
	if err == nil {
		err = loginTemplate.Execute(&b, map[string]any{
			"Call": end.Call, "Name": name, "Value": value, "Script": template.JS(submitScript),
		})
	}
	if err != nil {
		writeProxyError(w, http.StatusInternalServerError, codeProxy, "the page cannot be written")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; script-src "+submitScriptHash+"; form-action "+formTarget(to)+"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "strict-origin") // the receiver's Origin header stays, and it does not see the code
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b.Bytes())
}

// formTarget returns the source of a Content-Security-Policy for an address: its origin. A policy cannot name an IPv6 address, and then
// has the scheme alone.
func formTarget(to *url.URL) string {
	if strings.HasPrefix(to.Host, "[") {
		return to.Scheme + ":"
	}
	return hosts.Origin(to)
}
