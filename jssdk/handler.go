package jssdk

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/wechat"
)

// Handler signs for pages, at the request of browsers:
//
//	GET  /js/config.js?debug=true&jsApiList=a,b&openTagList=c&agent=true   a script that calls wx.config for its page
//	POST /js/config {"url":"…"}                                            the argument of wx.config
//	POST /js/card   {"addCard":[{"cardId":"…"}]} or {"chooseCard":{}}      the argument of wx.addCard or wx.chooseCard; see Cards
//
// The body of /js/config may also have debug, jsApiList and openTagList. With agent: true the answer is the argument of
// wx.agentConfig instead. A page on another host than the Handler's must be on one of the Signer's Hosts; /js/card
// requires this of all pages. The check stops pages of others, but not programs, which can send any Origin. An error is
// {"errcode":…,"errmsg":"…"}: 403 if the page may not be signed, and otherwise that of token.Handler, without details
// about the app.
//
// The script must come after WeChat's own script. If it cannot call wx.config, it writes the error to the console. When
// the document has been parsed, it also dispatches the event wetoken:error on the document, with the error as its
// detail.
type Handler struct {
	Signer *Signer

	// Cards lets anybody get cards signed at /js/card, by their cardId only. Default: off. WeChat's signature covers
	// the values sorted and joined, so a value signed as one field can be presented to WeChat as another, such as a
	// code or an openid as the balance of a red-packet card. Other fields are therefore signed by [CardHandler] only.
	// An app with red-packet cards should leave Cards off.
	Cards bool
}

// Routes returns the routes for wetoken.Bind.
func (h *Handler) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"GET /js/config.js":  http.HandlerFunc(h.serveScript),
		"POST /js/config":    http.HandlerFunc(h.serveConfig),
		"OPTIONS /js/config": http.HandlerFunc(h.servePreflight),
	}
	if h.Signer.Kind != wechat.Work {
		routes["POST /js/card"], routes["OPTIONS /js/card"] = http.HandlerFunc(h.serveCard), http.HandlerFunc(h.servePreflight)
	}
	return routes
}

//go:embed config.js
var script []byte

// ScriptOptions are what a script takes instead of parameters of its address.
type ScriptOptions struct {
	// App is the path of the app's routes below the server, such as /app/shop, for a script whose own path does not name it. Default:
	// the script is at /js/config or /js/config.js below the app's path.
	App string `json:"app,omitempty"`

	Debug       bool     `json:"debug,omitempty"`
	JSAPIList   []string `json:"jsApiList,omitempty"`   // default that of Signer.Config
	OpenTagList []string `json:"openTagList,omitempty"` // default none
}

// Script returns the script of GET /js/config.js with other defaults, for a server that has it at another path.
func Script(o ScriptOptions) []byte {
	b, err := json.Marshal(o) // escapes what could end a script
	if err != nil {
		return script
	}
	return bytes.Replace(script, []byte("var defaults = {};"), []byte("var defaults = "+string(b)+";"), 1)
}

func (h *Handler) serveScript(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=600")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(script)
}

// admitOrigin reports whether the requesting page may have the answer, and answers 403 if not. A request without an
// Origin is not from a page, or from one on the same host.
func (h *Handler) admitOrigin(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if err := hosts.Check(origin, h.Signer.Hosts); err != nil {
		answer.Refuse(w, http.StatusForbidden, "jssdk: pages of this origin are refused: "+err.Error())
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	return true
}

func (h *Handler) servePreflight(w http.ResponseWriter, r *http.Request) {
	if !h.admitOrigin(w, r) {
		return
	}
	w.Header().Set("Access-Control-Allow-Methods", "POST")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	w.Header().Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// maxBody is the greatest length of a request body: an address, and the names of all calls.
const maxBody = 16 << 10

func (h *Handler) serveConfig(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		URL         string   `json:"url"`
		Agent       bool     `json:"agent"`
		Debug       bool     `json:"debug"`
		JSAPIList   []string `json:"jsApiList"`
		OpenTagList []string `json:"openTagList"`
	}
	if !h.admitOrigin(w, r) || !answer.Body(w, r, maxBody, `{"url":"…"} with the page's address, location.href`, &ask) {
		return
	}
	if ask.Agent {
		c, err := h.Signer.AgentConfig(r.Context(), ask.URL)
		if len(ask.JSAPIList) > 0 {
			c.JSAPIList = ask.JSAPIList
		}
		writeResult(w, r, c, err)
		return
	}
	c, err := h.Signer.Config(r.Context(), ask.URL)
	if len(ask.JSAPIList) > 0 {
		c.JSAPIList = ask.JSAPIList
	}
	c.Debug, c.OpenTagList = ask.Debug, ask.OpenTagList
	writeResult(w, r, c, err)
}

// writeResult answers with v as JSON, or with the error.
func writeResult(w http.ResponseWriter, r *http.Request, v any, err error) {
	var b []byte
	if err == nil {
		b, err = json.Marshal(v)
	}
	switch {
	case err == nil:
		answer.JSON(w, http.StatusOK, b)
	case errors.Is(err, ErrPage):
		answer.Refuse(w, http.StatusForbidden, err.Error())
	default:
		answer.Public(w, r, "jssdk: page not signed", err)
	}
}
