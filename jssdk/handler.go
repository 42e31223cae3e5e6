package jssdk

import (
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/internal/hosts"
)

// Handler signs for pages that ask from the browser:
//
//	GET  /js/config.js?debug=true&jsApiList=a,b&openTagList=c&agent=true   a script that calls wx.config for its page
//	POST /js/config {"url":"…"}                                            the argument of wx.config
//	POST /js/card   {"addCard":[{"cardId":"…"}]} or {"chooseCard":{}}      the argument of wx.addCard or wx.chooseCard; not of WeCom
//
// The body of /js/config may also have debug, jsApiList, openTagList, and agent: true for the argument of wx.agentConfig
// in place of wx.config's. A page of another host than the Handler's may ask when its own is among the Signer's Hosts;
// /js/card answers no others. That keeps out the pages of others, not their programs, which write any Origin: so /js/card
// signs no balance, as an amount of money is for Signer.AddCard in process alone. An error is {"errcode":…,"errmsg":"…"}:
// 403 says why a page may not be signed, and the others are as those of token.Handler, without the app's affairs.
//
// The script is to stand behind WeChat's own. Where it cannot call wx.config it says so in the console and, once the
// document is read to its end, by an event wetoken:error of it, whose detail is such an error.
type Handler struct {
	Signer *Signer
}

// Routes makes Handler a part that wetoken.Bind mounts.
func (h *Handler) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"GET /js/config.js":  http.HandlerFunc(h.script),
		"POST /js/config":    http.HandlerFunc(h.config),
		"OPTIONS /js/config": http.HandlerFunc(h.preflight),
	}
	if !h.Signer.Work {
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

// admits tells whether the page that asks may have the answer. A request without an Origin comes from no page, or from
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

const maxCards = 100

func (h *Handler) card(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		AddCard    []Card      `json:"addCard"`
		ChooseCard *CardChoice `json:"chooseCard"`
	}
	if r.Header.Get("Origin") == "" {
		answer.Refuse(w, http.StatusForbidden, "jssdk: cards are signed for pages of the app's hosts, and this request has no Origin")
		return
	}
	const want = `{"addCard":[{"cardId":"…"}]} or {"chooseCard":{}}`
	if !h.admits(w, r) || !answer.Body(w, r, maxBody, want, &ask) {
		return
	}
	if ask.ChooseCard != nil {
		c, err := h.Signer.ChooseCard(r.Context(), *ask.ChooseCard)
		reply(w, r, c, err)
		return
	}
	if len(ask.AddCard) == 0 || len(ask.AddCard) > maxCards {
		answer.Refuse(w, http.StatusBadRequest, "the body must be "+want)
		return
	}
	var list struct {
		Cards []SignedCard `json:"cardList"`
	}
	for _, c := range ask.AddCard {
		if c.CardID == "" {
			answer.Refuse(w, http.StatusBadRequest, "each card must have its cardId")
			return
		}
		if c.Balance != "" {
			answer.Refuse(w, http.StatusBadRequest, "jssdk: balance must be left out: an amount is not signed for whoever asks, but by the app's own server")
			return
		}
		signed, err := h.Signer.AddCard(r.Context(), c)
		if err != nil {
			reply(w, r, nil, err)
			return
		}
		list.Cards = append(list.Cards, signed)
	}
	reply(w, r, list, nil)
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
