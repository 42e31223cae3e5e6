package jssdk

import (
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/hosts"
	"github.com/wetoken/wetoken/wechat"
)

// Handler signs for pages that ask from the browser:
//
//	GET  /js/config.js?debug=true&jsApiList=a,b&openTagList=c&agent=true   a script that calls wx.config for its page
//	POST /js/config {"url":"…"}                                            the argument of wx.config
//	POST /js/card   {"addCard":[{"cardId":"…"}]} or {"chooseCard":{}}      the argument of wx.addCard or wx.chooseCard; see Cards
//
// The body of /js/config may also have debug, jsApiList, openTagList, and agent: true for the argument of wx.agentConfig
// in place of wx.config's. A page of another host than the Handler's may ask when its own is among the Signer's Hosts;
// /js/card answers no others. That keeps out the pages of others, not their programs, which write any Origin. An error is
// {"errcode":…,"errmsg":"…"}: 403 says why a page may not be signed, and the others are as those of token.Handler, without
// the app's affairs.
//
// The script is to stand behind WeChat's own. Where it cannot call wx.config it says so in the console and, once the
// document is read to its end, by an event wetoken:error of it, whose detail is such an error.
type Handler struct {
	Signer *Signer

	// Cards lets anybody have cards signed at /js/card, by their cardId alone; default nobody. WeChat's signature is over
	// bare values that are sorted and joined, so what is signed as one value can be shown to WeChat as another, such as a
	// code or an openid as the balance of a red-packet card: all other values are for [CardHandler]. An app with
	// red-packet cards should leave Cards off.
	Cards bool
}

// Routes makes Handler a part that wetoken.Bind mounts.
func (h *Handler) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"GET /js/config.js":  http.HandlerFunc(h.script),
		"POST /js/config":    http.HandlerFunc(h.config),
		"OPTIONS /js/config": http.HandlerFunc(h.preflight),
	}
	if h.Signer.Kind != wechat.Work {
		routes["POST /js/card"], routes["OPTIONS /js/card"] = http.HandlerFunc(h.card), http.HandlerFunc(h.preflight)
	}
	return routes
}

//go:embed config.js
var script []byte

func (h *Handler) script(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=600")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(script)
}

// admits reports whether the page that asks may have the answer. A request without an Origin comes from no page, or from
// one of the same host.
func (h *Handler) admits(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if err := hosts.Check(origin, h.Signer.Hosts); err != nil {
		answer.Refuse(w, http.StatusForbidden, "jssdk: a page of this origin may not ask: "+err.Error())
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	return true
}

func (h *Handler) preflight(w http.ResponseWriter, r *http.Request) {
	if !h.admits(w, r) {
		return
	}
	w.Header().Set("Access-Control-Allow-Methods", "POST")
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	w.Header().Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// maxBody is how many bytes a request may have: an address, and the names of all of WeChat's calls.
const maxBody = 16 << 10

func (h *Handler) config(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		URL         string   `json:"url"`
		Agent       bool     `json:"agent"`
		Debug       bool     `json:"debug"`
		JSAPIList   []string `json:"jsApiList"`
		OpenTagList []string `json:"openTagList"`
	}
	if !h.admits(w, r) || !answer.Body(w, r, maxBody, `{"url":"…"} with the page's address, location.href`, &ask) {
		return
	}
	if ask.Agent {
		c, err := h.Signer.AgentConfig(r.Context(), ask.URL)
		if len(ask.JSAPIList) > 0 {
			c.JSAPIList = ask.JSAPIList
		}
		reply(w, r, c, err)
		return
	}
	c, err := h.Signer.Config(r.Context(), ask.URL)
	if len(ask.JSAPIList) > 0 {
		c.JSAPIList = ask.JSAPIList
	}
	c.Debug, c.OpenTagList = ask.Debug, ask.OpenTagList
	reply(w, r, c, err)
}

// reply answers v as JSON, or what kept it from being had.
func reply(w http.ResponseWriter, r *http.Request, v any, err error) {
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
