package compat

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/jssdk"
)

// addJS adds the routes for pages, of the app in the path or, without one, of the one in appid. What they sign is for pages on the app's
// hosts alone. A secret in the query is not read: it has no business in a page.
func (s *proxy) addJS(m *http.ServeMux) {
	for _, prefix := range []string{"/app/{app}", ""} {
		handleSlash(m, "GET", prefix+"/js/config", s.serveScript)
		handleSlash(m, "GET", prefix+"/js/card", s.serveCard)
	}
}

// proxyCalls are the calls that a page may make unless apilist names others: those of JSSDK 1.2, and the ones that replace five of them.
var proxyCalls = []string{
	"updateAppMessageShareData", "updateTimelineShareData",
	"onMenuShareTimeline", "onMenuShareAppMessage", "onMenuShareQQ", "onMenuShareWeibo", "onMenuShareQZone",
	"startRecord", "stopRecord", "onVoiceRecordEnd", "playVoice", "pauseVoice", "stopVoice", "onVoicePlayEnd", "uploadVoice", "downloadVoice", "translateVoice",
	"chooseImage", "previewImage", "uploadImage", "downloadImage",
	"getNetworkType", "openLocation", "getLocation",
	"hideOptionMenu", "showOptionMenu", "hideMenuItems", "showMenuItems", "hideAllNonBaseMenuItem", "showAllNonBaseMenuItem", "closeWindow",
	"scanQRCode", "chooseWXPay", "openProductSpecificView", "addCard", "chooseCard", "openCard",
}

// findPages returns the app that a request is for, and the handler of its pages, or answers why there is none.
func (s *proxy) findPages(w http.ResponseWriter, r *http.Request, route string) (gateway.ServedApp, *jssdk.Handler) {
	name := r.PathValue("app")
	if name == "" {
		name = r.URL.Query().Get("appid")
	}
	a, err := s.gateway.ServedApp(r.Context(), name, route)
	if err != nil {
		writeAdmission(w, err)
		return a, nil
	}
	pages := a.Pages()
	if pages == nil {
		writeProxyError(w, http.StatusNotFound, codeProxy, "this kind of app has no pages that WeChat signs for")
	}
	return a, pages
}

// serveScript answers a script that calls wx.config for the page that loads it: with the signature, if the browser says which page that
// is, or else with one that asks POST /js/config for it. Browsers tell other sites their origin alone, and some pages tell nothing.
func (s *proxy) serveScript(w http.ResponseWriter, r *http.Request) {
	a, pages := s.findPages(w, r, "/js/config")
	if pages == nil {
		return
	}
	q := r.URL.Query()
	calls, tags := splitList(q.Get("apilist")), splitList(q.Get("openTagList"))
	if len(calls) == 0 {
		calls = proxyCalls
	}
	var body []byte
	if page := refererPage(r); page != "" {
		if c, err := pages.Signer.Config(r.Context(), page); err == nil {
			c.Debug, c.JSAPIList, c.OpenTagList = isTrue(q.Get("debug")), calls, tags
			if b, err := json.Marshal(c); err == nil {
				body = append(append([]byte("wx.config("), b...), ')')
			}
		}
	}
	if body == nil {
		o := jssdk.ScriptOptions{Debug: isTrue(q.Get("debug")), JSAPIList: calls, OpenTagList: tags}
		if r.PathValue("app") == "" {
			o.App = "/app/" + url.PathEscape(a.Name())
		}
		body = jssdk.Script(o)
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Referer")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body)
}

// refererPage returns the address of the page that loads a script, or "" if the browser tells its origin alone.
func refererPage(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host == "" || u.Path == "" || u.Path == "/" {
		return ""
	}
	return r.Referer()
}

const maxListed = 100 // names in a query

func splitList(text string) (list []string) {
	for _, name := range strings.Split(text, ",") {
		if name = strings.TrimSpace(name); name != "" && len(list) < maxListed {
			list = append(list, name)
		}
	}
	return list
}

// serveCard answers the argument of wx.addCard for the card in card_id, or that of wx.chooseCard without one, as POST /js/card does for a
// page that its Origin or its Referer names.
func (s *proxy) serveCard(w http.ResponseWriter, r *http.Request) {
	_, pages := s.findPages(w, r, "/js/card")
	if pages == nil {
		return
	}
	sign := pages.Routes()["POST /js/card"]
	if sign == nil {
		writeProxyError(w, http.StatusNotFound, codeProxy, "WeCom has no cards")
		return
	}
	body := `{"chooseCard":{}}`
	q := r.URL.Query()
	if id := q.Get("card_id") + q.Get("cardId"); id != "" {
		body = `{"addCard":[{"cardId":` + string(quote(id)) + `}]}`
	}
	ask := r.Clone(r.Context())
	ask.Method, ask.Body, ask.ContentLength = http.MethodPost, newBody(body), int64(len(body))
	ask.Header.Set("Content-Type", "application/json")
	if u, err := url.Parse(r.Referer()); r.Header.Get("Origin") == "" && err == nil && u.Host != "" {
		ask.Header.Set("Origin", u.Scheme+"://"+u.Host)
	}
	w.Header().Add("Vary", "Referer")
	sign.ServeHTTP(w, ask)
}
