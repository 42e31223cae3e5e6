package handlers

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

//go:embed templates static
var files embed.FS

// policy is the Content-Security-Policy of all pages: everything comes from this program, and scripts and styles are files.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pages has the templates in each language.
var pages = map[language]*template.Template{chinese: parsePages(chinese), english: parsePages(english)}

// page is what the templates show.
type page struct {
	Title string
	Said  string // a message of success
	Wrong string // a message of failure
	Data  any

	Lang, Other language
	Path, Here  string // of the request, without and with its query
	Back        string // where to go after a login
	User        *shop.User
}

// site serves the pages of a shop for browsers.
type site struct {
	*Handlers
	streams streams
}

// pageRoutes returns the pages for browsers.
func (h *Handlers) pageRoutes() map[string]http.HandlerFunc {
	s := &site{Handlers: h}
	routes := map[string]http.HandlerFunc{
		"GET /static/":           serveStatic,
		"POST /language":         switchLanguage,
		"GET /{$}":               s.showHome,
		"GET /goods":             s.showGoods,
		"GET /goods/{id}":        s.showProduct,
		"GET /account/login":     s.showLogin,
		"POST /account/login":    s.login,
		"POST /account/logout":   s.logout,
		"GET /account/register":  s.showRegister,
		"POST /account/register": s.register,
		"POST /account/code":     s.sendCode,
		"GET /orders":            s.signedIn(s.showOrders),
		"POST /orders":           s.signedIn(s.buy),
		"GET /orders/{no}":       s.signedIn(s.showOrder),

		"GET /orders/{no}/events": s.signedIn(s.streamOrder),

		"GET /admin":                     s.adminOnly(s.showAdmin),
		"POST /admin/orders/{no}/refund": s.adminOnly(s.refund),
		"POST /admin/orders/{no}/ship":   s.adminOnly(s.ship),
		"GET /admin/bill":                s.adminOnly(s.showBill),

		"POST /admin/payments/{id}/accept": s.adminOnly(s.accept),
		"POST /admin/payments/{id}/refund": s.adminOnly(s.refundPayment),
	}
	for pattern, handler := range routes {
		routes[pattern] = func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			handler(w, r)
		}
	}
	return routes
}

func parsePages(l language) *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"t": l.say, "yuan": yuan, "at": formatTime, "version": version, "qr": drawQR,
		"state": func(o shop.State) string { return l.say(stateWords[o]) },
	}).ParseFS(files, "templates/*.html"))
}

// render writes a page.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Lang = languageOf(r)
	p.Other, p.Path, p.Here = p.Lang.other(), r.URL.Path, "/"
	if r.Method == http.MethodGet {
		p.Here = r.URL.RequestURI()
	}
	p.Back = p.Here
	if strings.HasPrefix(p.Path, "/account/") {
		p.Back = localPath(r.FormValue("to"))
	}
	if u, ok := s.user(r); ok {
		p.User = &u
	}
	var body bytes.Buffer
	if err := pages[p.Lang].ExecuteTemplate(&body, name, p); err != nil {
		slog.ErrorContext(r.Context(), fmt.Sprintf("handlers: page %s: %v", name, err))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cache-Control", "no-store") // it names the user
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // the client has gone
}

// fail writes the page of an error.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := explainFault(r, err)
	s.render(w, r, status, "error", page{Title: text})
}

// signedIn serves users only. Others are sent to the login page.
func (s *site) signedIn(next func(http.ResponseWriter, *http.Request, shop.User)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u, err := s.Sessions.User(r)
		switch {
		case err == nil:
			next(w, r, u)
		case !errors.Is(err, ErrNoSession):
			s.fail(w, r, err)
		case strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream"):
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
		case r.Method == http.MethodGet:
			http.Redirect(w, r, "/account/login?to="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		default:
			http.Redirect(w, r, "/account/login", http.StatusSeeOther)
		}
	}
}

// adminOnly serves admins only.
func (s *site) adminOnly(next http.HandlerFunc) http.HandlerFunc {
	return s.signedIn(func(w http.ResponseWriter, r *http.Request, u shop.User) {
		if !u.Admin {
			s.fail(w, r, shop.ErrForbidden)
			return
		}
		next(w, r)
	})
}

// serveStatic serves the files of the pages, and no lists of them.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=600")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.FileServerFS(files).ServeHTTP(w, r)
}

// localPath returns a path of this program to go to next, or / if to is something else.
func localPath(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) {
		return "/"
	}
	return to
}

func yuan(fen int64) string { return fmt.Sprintf("%d.%02d", fen/100, fen%100) }

func formatTime(t time.Time) string { return t.In(shop.Beijing).Format("2006-01-02 15:04") }

// drawQR returns a QR code as an element of the page, with a label for those who cannot see it.
func drawQR(text, label string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", errors.New("the text does not fit a QR code")
	}
	const quiet = 4 // modules around the code, as the standard demands
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	size := code.Size + 2*quiet
	return template.HTML(fmt.Sprintf(`<svg class="qr" id="qr" role="img" aria-label="%s" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path d="%s"/></svg>`,
		template.HTMLEscapeString(label), size, size, path.String())), nil
}
