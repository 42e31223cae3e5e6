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

// jweixinPath is where pages find WeChat's script. The one here does what WeChat's does before it lets a page make calls:
// it has the signature judged, by the Server it was loaded from.
const jweixinPath = "/open/js/jweixin-1.6.0.js"

//go:embed jweixin.js
var jweixin []byte

func scriptReply() reply {
	return reply{header: http.Header{"Content-Type": {"text/javascript; charset=utf-8"}}, body: jweixin}
}

// verifyConfig judges what a page was given to sign in with, and answers WeChat's errMsg.
func (s *Server) verifyConfig(r *http.Request) reply {
	q := r.URL.Query()
	name := q.Get("call")
	verdict := name + ":ok"
	if wrong := s.wrong(name, q); wrong != "" {
		verdict = name + ":" + wrong
	}
	rep := jsonReply("application/json", fields{"errMsg": verdict})
	rep.header.Set("Access-Control-Allow-Origin", "*")
	rep.header.Set("Cache-Control", "no-store")
	return rep
}

// wrong says what is wrong with a signature, in the words of WeChat's script; "" is nothing.
func (s *Server) wrong(call string, q url.Values) string {
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

// ticketOf finds the app and the ticket that a call must be signed with.
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

// trusts tells whether a page's host is among the app's JS safe domains, or below one.
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
	if s.people.signed[what] {
		return false
	}
	if s.people.signed == nil {
		s.people.signed = make(map[string]bool)
	}
	s.people.signed[what] = true
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
