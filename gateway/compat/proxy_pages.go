package compat

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/gateway"
)

//go:embed examples
var exampleFiles embed.FS

var exampleTemplates = template.Must(template.ParseFS(exampleFiles, "examples/*.html"))

// examplePages are the pages below /example/, each with the route of an app that it shows.
var examplePages = map[string]string{"qrcode": "/pay", "jsapi": "/pay", "jssdk": "/js/config", "login": "/auth/info"}

// examplePage is what a page shows.
type examplePage struct {
	Page    string // empty for the list of pages
	Unknown bool   // no app has the name

	App     string
	Base    string // of the app's routes, such as /app/shop
	Fee     string // fen
	Name    string // of the goods
	OpenID  string // of who pays
	OrderNo string
	JSSDK   string // address of WeChat's script
	Bridge  string // address of the script of a simulated phone; empty in WeChat
}

// addExamplePages adds small pages that use the old routes of the app in ?app=.
func (s *proxy) addExamplePages(m *http.ServeMux) {
	m.HandleFunc("GET /example", s.servePage(""))
	m.HandleFunc("GET /example/{$}", s.servePage(""))
	for name := range examplePages {
		handleSlash(m, "GET", "/example/"+name, s.servePage(name))
	}
	for name, kind := range map[string]string{"example.js": "text/javascript; charset=utf-8", "example.css": "text/css; charset=utf-8"} {
		m.HandleFunc("GET /example/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("X-Content-Type-Options", "nosniff")
			http.ServeFileFS(w, r, exampleFiles, "examples/"+name)
		})
	}
}

// servePage returns the handler of a page.
func (s *proxy) servePage(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		p := examplePage{
			Page: name, App: q.Get("app"), Fee: "1", Name: "热咖啡一杯", OpenID: q.Get("openid"), OrderNo: "example-" + rand.Text()[:16],
		}
		p.JSSDK, p.Bridge = s.gateway.PageScripts()
		p.Base = "/app/" + url.PathEscape(p.App)
		if fee := q.Get("fee"); fee != "" && len(fee) <= 9 && strings.Trim(fee, "0123456789") == "" {
			p.Fee = fee
		}
		if text := q.Get("name"); text != "" && len(text) <= 127 {
			p.Name = text
		}
		if len(p.OpenID) > 128 {
			p.OpenID = ""
		}
		status := http.StatusOK
		if name != "" {
			switch _, err := s.gateway.ServedApp(r.Context(), p.App, examplePages[name]); {
			case errors.Is(err, gateway.ErrNoApp):
				p.Page, p.Unknown, status = "", p.App != "", http.StatusNotFound
			case err != nil:
				writeAdmission(w, err)
				return
			}
		}
		if len(p.App) > 64 {
			p.App = ""
		}
		p.write(w, status)
	}
}

func (p examplePage) write(w http.ResponseWriter, status int) {
	var b bytes.Buffer
	if err := exampleTemplates.ExecuteTemplate(&b, "page.html", p); err != nil {
		writeProxyError(w, http.StatusInternalServerError, codeProxy, "the page cannot be written")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy())
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// policy returns the Content-Security-Policy of the page. Only a page that needs a script of WeChat may load it. A simulated phone shows
// pages in a frame, and its payments in a frame of a page.
func (p examplePage) policy() string {
	phone := origin(p.Bridge)
	script, frames, framedBy := "'self'", "'none'", cmp.Or(phone, "'none'")
	switch p.Page {
	case "jssdk":
		script += " " + origin(p.JSSDK)
	case "jsapi":
		script, frames = strings.TrimSpace(script+" "+phone), cmp.Or(phone, "'none'")
	}
	return "default-src 'none'; script-src " + script + "; connect-src " + script + "; frame-src " + frames +
		"; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors " + framedBy
}

// origin returns the scheme and host of an address, or "" for none.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
