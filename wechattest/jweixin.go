package wechattest

import (
	"crypto/sha1"
	"crypto/subtle"
	_ "embed"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// jweixinPath is the path of the WeChat script. The script here has the Server that it was loaded from check the signature
// before a page may make calls.
const jweixinPath = "/open/js/jweixin-1.6.0.js"

//go:embed jweixin.js
var jweixin []byte

func scriptReply(script []byte) reply {
	return reply{header: http.Header{"Content-Type": {"text/javascript; charset=utf-8"}}, body: script}
}

// verifyConfig checks the signature of a page, and replies with WeChat's errMsg.
func (s *Server) verifyConfig(r *http.Request) reply {
	q := r.URL.Query()
	name := q.Get("call")
	verdict := name + ":ok"
	if wrong := s.configError(name, q); wrong != "" {
		verdict = name + ":" + wrong
	}
	rep := jsonReply("application/json", fields{"errMsg": verdict})
	rep.header.Set("Access-Control-Allow-Origin", "*")
	rep.header.Set("Cache-Control", "no-store")
	return rep
}

// configError returns the error of a signature in the words of the WeChat script, or "".
func (s *Server) configError(call string, q url.Values) string {
	page, err := url.Parse(q.Get("url"))
	if err != nil || page.Host == "" || strings.Contains(q.Get("url"), "#") {
		return "invalid url domain"
	}
	now := time.Now()
	a, ticket := s.ticketOf(call, q)
	switch {
	case a == nil:
		return "invalid appid"
	case !a.trusts(page):
		return "invalid url domain"
	case ticket == nil || !now.Before(ticket.expires):
		return "invalid signature"
	}
	at, err := strconv.ParseInt(q.Get("timestamp"), 10, 64)
	if err != nil || q.Get("nonceStr") == "" {
		return "invalid signature"
	}
	want := ""
	switch call {
	case "addCard":
		want = cardSignature(ticket.value, q.Get("timestamp"), q.Get("nonceStr"), q.Get("cardId"), q.Get("code"), q.Get("openid"), q.Get("balance"))
	case "chooseCard":
		want = cardSignature(ticket.value, a.ID, q.Get("shopId"), q.Get("timestamp"), q.Get("nonceStr"), q.Get("cardId"), q.Get("cardType"))
	default:
		want = digest("jsapi_ticket=" + ticket.value + "&noncestr=" + q.Get("nonceStr") + "&timestamp=" + strconv.FormatInt(at, 10) + "&url=" + q.Get("url"))
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(q.Get("signature"))) != 1 {
		return "invalid signature"
	}
	if call == "addCard" && !s.signOnce(a.ID+" "+q.Get("timestamp")+" "+q.Get("nonceStr")) {
		return "signature was used before"
	}
	return ""
}

// ticketOf returns the app and the ticket that a call must be signed with.
func (s *Server) ticketOf(call string, q url.Values) (*app, *ticket) {
	co := s.corps[q.Get("appId")]
	switch {
	case call == "agentConfig" && co != nil:
		agent, err := strconv.Atoi(q.Get("agentid"))
		if a := co.agents[agent]; err == nil && a != nil {
			return a, a.tickets["agent_config"]
		}
		return nil, nil
	case co != nil:
		for _, a := range co.sorted() {
			return a, co.ticket
		}
	}
	a := s.apps[q.Get("appId")]
	if a == nil {
		return nil, nil
	}
	if call == "config" {
		return a, a.tickets["jsapi"]
	}
	return a, a.tickets["wx_card"]
}

// trusts reports whether the host of a page is one of the app's JS safe domains, or a subdomain of one.
func (a *app) trusts(page *url.URL) bool {
	if len(a.JSDomains) == 0 {
		return true
	}
	return slices.ContainsFunc(a.JSDomains, func(domain string) bool {
		host := page.Host
		if !strings.Contains(domain, ":") {
			if port := page.Port(); port != "" && port != "80" && port != "443" {
				return false
			}
			host = page.Hostname()
		}
		return host == domain || strings.HasSuffix(host, "."+domain)
	})
}

func (s *Server) signOnce(what string) bool {
	if s.people.usedSignatures[what] {
		return false
	}
	if s.people.usedSignatures == nil {
		s.people.usedSignatures = make(map[string]bool)
	}
	s.people.usedSignatures[what] = true
	return true
}

func cardSignature(values ...string) string {
	slices.Sort(values)
	return digest(strings.Join(values, ""))
}

func digest(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
