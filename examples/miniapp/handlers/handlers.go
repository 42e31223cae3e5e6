// Package handlers has the routes of the old module wg-basic, and those that it left to each application.
//
//	POST /wechat/sign/default, /wechat-miniapp/sign/default {"jsCode"}   {"data":"<token>_<1|0>"}; 1: no phone is bound yet
//	PUT  /app/miniapp/update-phone {"code"} or {"encryptedData","iv"}    {"data":"<new token>_0"}
//	PUT  /app/miniapp/user/update-info {"nickname","avatar"}             {}
//	GET  /app/miniapp/user                                               {"data":{…}}
//	GET  /avatar/{name}                                                  an uploaded avatar
//
//	GET  /app/miniapp/products                                           {"data":[…]}
//	POST /app/miniapp/pay/orders {"product_id"}                          {"data":{"order":{…},"params":{…}}}
//	GET  /app/miniapp/pay/orders/{no}?wait=20                            {"data":{…}}, with wait when it is not open any more
//	POST /app/miniapp/pay/orders/{no}/cancel                             {"data":{…}}
//
//	PUT  /app/official-account/user/refresh                              {"data":{…}}, with the nickname and avatar of now
//	GET  /official                                                       a page of the official account
//	GET  /official/login?to=URL                                          logs in and returns to URL
//
//	POST /admin/orders/{no}/shipping {"logistics_type",…}                {"data":{…}}; GET returns it
//	GET  /admin/bills/{day}?kind=ALL                                     {"data":{…}}; with /file at the end the bill as CSV
//
// Routes below /app also exist below /wechat/app. They take the token in the header token, or in the cookie of a login of the
// official account; those below /admin take Authorization: Bearer and the admin key. A refusal is {"code","msg"}: msg is for the
// person, in Chinese, or in English if Accept-Language prefers it.
package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/examples/miniapp/order"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
)

// Handlers serves the routes. A part that is nil has none.
type Handlers struct {
	Accounts *account.Service
	Mini     *oauth.Mini
	Login    *oauth.Login // OnLogin must be OnLogin of these Handlers
	Orders   *order.Service

	Used     store.Store // remembers encryptedData that was used
	URL      string      // public URL of this program
	AdminKey string      // default none, and no routes below /admin
	Player   *Player     // page that plays the mini program; default none
	Log      *slog.Logger
}

// Format keeps the admin key out of printed text.
func (h *Handlers) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "(redacted)") }

const maxBody = 512 << 10 // of a request: an avatar in base64

// Mount adds the routes to mux.
func (h *Handlers) Mount(mux *http.ServeMux) {
	if h.Mini != nil {
		mux.HandleFunc("POST /wechat/sign/default", h.sign)
		mux.HandleFunc("POST /wechat-miniapp/sign/default", h.sign)
		h.app(mux, "PUT /app/miniapp/update-phone", h.updatePhone)
	}
	h.app(mux, "PUT /app/miniapp/user/update-info", h.updateInfo)
	h.app(mux, "GET /app/miniapp/user", h.user)
	mux.HandleFunc("GET "+account.PicturePath+"{name}", h.picture)
	if h.Login != nil {
		h.app(mux, "PUT /app/official-account/user/refresh", h.refreshUser)
		mux.HandleFunc("GET "+officialPage, h.showOfficial)
		mux.HandleFunc("GET "+loginPage, h.beginLogin)
	}
	if h.Orders != nil {
		mux.HandleFunc("GET /app/miniapp/products", h.products)
		h.app(mux, "POST /app/miniapp/pay/orders", h.placeOrder)
		h.app(mux, "GET /app/miniapp/pay/orders/{no}", h.showOrder)
		h.app(mux, "POST /app/miniapp/pay/orders/{no}/cancel", h.cancelOrder)
	}
	if h.Orders != nil && h.AdminKey != "" {
		h.admin(mux, "POST /admin/orders/{no}/shipping", h.ship)
		h.admin(mux, "GET /admin/orders/{no}/shipping", h.showShipping)
		h.admin(mux, "GET /admin/bills/{day}", h.queryBill)
		h.admin(mux, "GET /admin/bills/{day}/file", h.downloadBill)
	}
	mux.HandleFunc("GET /pages/{name}", serveAsset)
	if h.Player != nil {
		h.Player.mount(mux)
	}
}

// handler serves a request of a person with a session.
type handler func(w http.ResponseWriter, r *http.Request, s account.Session)

// app mounts a route for persons with a token, also below /wechat, which was the context path of some old installations.
func (h *Handlers) app(mux *http.ServeMux, pattern string, serve handler) {
	method, path, _ := strings.Cut(pattern, " ")
	guarded := func(w http.ResponseWriter, r *http.Request) {
		s, err := h.session(r)
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		serve(w, r, s)
	}
	mux.HandleFunc(method+" "+path, guarded)
	mux.HandleFunc(method+" /wechat"+path, guarded)
}

// session returns the session of the header token, or of the cookie. A page of another site cannot use the cookie.
func (h *Handlers) session(r *http.Request) (account.Session, error) {
	if token := r.Header.Get("token"); token != "" {
		return h.Accounts.Session(r.Context(), token)
	}
	c, err := r.Cookie(h.cookieName(tokenCookie))
	if err != nil || new(http.CrossOriginProtection).Check(r) != nil {
		return account.Session{}, account.ErrToken
	}
	return h.Accounts.Session(r.Context(), c.Value)
}

// admin mounts a route for holders of the admin key.
func (h *Handlers) admin(mux *http.ServeMux, pattern string, serve http.HandlerFunc) {
	want := sha256.Sum256([]byte(h.AdminKey))
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(key))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			h.refuse(w, r, errAdmin)
			return
		}
		serve(w, r)
	})
}

// read decodes the JSON body of a request, or refuses it.
func (h *Handlers) read(w http.ResponseWriter, r *http.Request, body any) bool {
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	err := in.Decode(body)
	if err == nil {
		if _, err = in.Token(); err == io.EOF {
			return true
		}
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		h.refuse(w, r, errTooLarge)
		return false
	}
	h.refuse(w, r, errBody)
	return false
}

// answer writes {"data":…}, or {} without data.
func answer(w http.ResponseWriter, data any) {
	body := map[string]any{}
	if data != nil {
		body["data"] = data
	}
	writeJSON(w, http.StatusOK, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails if the client has gone
}

func (h *Handlers) log() *slog.Logger {
	if h.Log != nil {
		return h.Log
	}
	return slog.Default()
}
