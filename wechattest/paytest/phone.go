package paytest

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The phone is a set of pages for browsers: the phone at /phone, a sheet for each payment, the script that pages call, and the
// page of an h5_url. The pages work without scripts. All but the first are below /phone/pay/.
const (
	phonePath  = "/phone"
	sheetPath  = "/phone/pay/sheet/"
	bridgePath = "/phone/pay/bridge.js"
)

// Serves reports whether a path belongs to WeChat Pay. A handler with other routes uses it.
func Serves(path string) bool {
	return strings.HasPrefix(path, "/v3/") || v2Paths()[path] || strings.HasPrefix(path, controlPrefix) || isPage(path)
}

func isPage(path string) bool {
	return path == h5Path || path == phonePath || strings.HasPrefix(path, "/phone/pay/")
}

//go:embed phone.html
var phoneSource string

//go:embed phone.css
var phoneStyle []byte

//go:embed bridge.js
var bridgeScript []byte

var phonePages = template.Must(template.New("").Funcs(template.FuncMap{"yuan": yuan}).Parse(phoneSource))

func (s *Server) newPages() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET /phone":                 s.showPhone,
		"POST /phone/pay/open":       s.openByForm,
		"GET /phone/pay/sheet/{id}":  s.showSheet,
		"POST /phone/pay/sheet/{id}": s.answerByForm,
		"GET /phone/pay/style.css":   serveAsset("text/css; charset=utf-8", phoneStyle),
		"GET " + h5Path:              s.followH5,
	} {
		mux.Handle(pattern, s.ownPages(serve))
	}
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET " + bridgePath:        serveAsset("text/javascript; charset=utf-8", bridgeScript),
		"POST /phone/pay/call":     s.openByScript,
		"GET /phone/pay/call/{id}": s.waitByScript,
	} {
		mux.Handle(pattern, s.anyPages(serve))
	}
	return mux
}

// ownPages serves the pages for people. A sheet may be shown in a frame, over the page that pays; the phone may not.
func (s *Server) ownPages(serve http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.mayControl(r); err != nil && r.Host != h5Host {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		policy := "default-src 'none'; style-src 'self'; frame-src http: https:; form-action 'self'; base-uri 'none'"
		if !strings.HasPrefix(r.URL.Path, sheetPath) && r.URL.Path != h5Path {
			policy += "; frame-ancestors 'none'"
		}
		setPageHeader(w.Header())
		w.Header().Set("Content-Security-Policy", policy)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		serve.ServeHTTP(w, r)
	})
}

// anyPages serves the script and its calls, which come from pages of any shop. They can only open a payment that its merchant has
// signed.
func (s *Server) anyPages(serve http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.mayReach(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		setPageHeader(w.Header())
		w.Header().Set("Access-Control-Allow-Origin", "*")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		serve.ServeHTTP(w, r)
	})
}

func setPageHeader(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
}

func serveAsset(kind string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content) // fails if the browser has closed the connection
	}
}

// showPage writes a page in the language of the browser.
func showPage(w http.ResponseWriter, r *http.Request, status int, name string, data map[string]any) {
	data["T"] = wordsFor(r.Header.Get("Accept-Language"))
	var b bytes.Buffer
	if err := phonePages.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // fails if the browser has closed the connection
}

// showRefusal writes the page for a refused payment.
func showRefusal(w http.ResponseWriter, r *http.Request, err error) {
	text, why := "支付失败", strings.TrimPrefix(err.Error(), "paytest: ")
	if not := (*refusal)(nil); errors.As(err, &not) {
		text, why = not.text, not.why
	}
	showPage(w, r, http.StatusOK, "refused", map[string]any{"Text": text, "Why": why})
}

// showPhone writes the page of the phone, with a page of a shop in its frame if the request has one.
func (s *Server) showPhone(w http.ResponseWriter, r *http.Request) {
	var waiting []Sheet
	for _, v := range slices.Backward(s.Sheets()) {
		if !v.State.Ended() && len(waiting) < 20 {
			waiting = append(waiting, v)
		}
	}
	page := r.FormValue("page")
	if !isWebPage(page) {
		page = ""
	}
	showPage(w, r, http.StatusOK, "phone", map[string]any{"Waiting": waiting, "Page": page})
}

func isWebPage(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// openByForm opens a pasted text: a code_url, the parameters of a page as JSON, an h5_url, or the URL of a page.
func (s *Server) openByForm(w http.ResponseWriter, r *http.Request) {
	pasted := strings.TrimSpace(r.FormValue("what"))
	e := Entry{OpenID: strings.TrimSpace(r.FormValue("openid"))}
	switch u, err := url.Parse(pasted); {
	case strings.HasPrefix(pasted, "{"):
		params, err := readParams([]byte(pasted))
		if err != nil {
			showRefusal(w, r, err)
			return
		}
		e.Params = params
	case err == nil && u.Path == h5Path:
		e.H5URL, e.Referer = pasted, strings.TrimSpace(r.FormValue("referer"))
	case isWebPage(pasted):
		http.Redirect(w, r, phonePath+"?page="+url.QueryEscape(pasted), http.StatusSeeOther)
		return
	default:
		e.CodeURL = pasted
	}
	s.open(w, r, e)
}

func (s *Server) open(w http.ResponseWriter, r *http.Request, e Entry) {
	v, err := s.OpenSheet(e)
	if err != nil {
		showRefusal(w, r, err)
		return
	}
	http.Redirect(w, r, sheetPath+v.ID, http.StatusSeeOther)
}

// followH5 serves an h5_url.
func (s *Server) followH5(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.UserAgent(), "MicroMessenger") {
		showRefusal(w, r, &refusal{"请在微信外打开订单，进行支付", "the browser is WeChat's own, in which JSAPI is used"})
		return
	}
	s.open(w, r, Entry{H5URL: r.URL.RequestURI(), Referer: r.Referer()})
}

func (s *Server) showSheet(w http.ResponseWriter, r *http.Request) {
	v, err := s.Sheet(r.PathValue("id"))
	if err != nil {
		showRefusal(w, r, err)
		return
	}
	showPage(w, r, http.StatusOK, "sheet", map[string]any{"Sheet": v})
}

// answerByForm answers a sheet and redirects to it.
func (s *Server) answerByForm(w http.ResponseWriter, r *http.Request) {
	v, err := s.AnswerSheet(r.PathValue("id"), r.FormValue("do"), strings.TrimSpace(r.FormValue("openid")))
	switch {
	case err != nil && v.ID != "" && !v.State.Ended():
		not := &refusal{"支付失败", err.Error()}
		errors.As(err, &not)
		showPage(w, r, http.StatusOK, "sheet", map[string]any{"Sheet": v, "Text": not.text, "Why": not.why})
	case err != nil:
		showRefusal(w, r, err)
	default:
		http.Redirect(w, r, sheetPath+v.ID, http.StatusSeeOther)
	}
}

// readParams reads Params from JSON.
func readParams(text []byte) (*Params, error) {
	p := new(Params)
	err := json.Unmarshal(text, p)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return nil, &refusal{"调用支付JSAPI缺少参数：" + wrong.Field, wrong.Field + " is a " + wrong.Value + ": want a string"}
	}
	if err != nil {
		return nil, &refusal{"调用支付JSAPI缺少参数", "invalid parameters: want a JSON object"}
	}
	return p, nil
}

// openByScript opens the sheet for a page that starts a payment.
func (s *Server) openByScript(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Params json.RawMessage `json:"params"`
		Page   string          `json:"page"`
	}
	var v Sheet
	err := json.NewDecoder(r.Body).Decode(&in)
	if err == nil {
		e := Entry{Page: in.Page}
		if e.Params, err = readParams(in.Params); err == nil {
			v, err = s.OpenSheet(e)
		}
	}
	if err != nil {
		text := err.Error()
		if not := (*refusal)(nil); errors.As(err, &not) {
			text = not.text + " (" + not.why + ")"
		}
		done(fields{"err_desc": text}).write(w)
		return
	}
	done(fields{"sheet": v.ID}).write(w)
}

// waitByScript replies when the person has left the sheet, or after 20 s.
func (s *Server) waitByScript(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	v, err := s.WaitSheet(ctx, r.PathValue("id"))
	if err != nil {
		v.State = SheetFailed
	}
	done(fields{"state": v.State}).write(w)
}
