package jssdk_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/wechat"
)

// ask sends the request of a page to a mounted Handler.
func ask(s *jssdk.Signer, method, path, origin, body string) *httptest.ResponseRecorder {
	return askOf(&jssdk.Handler{Signer: s, Cards: true}, method, path, origin, body)
}

func askOf(p wetoken.Part, method, path, origin, body string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", p)
	r := httptest.NewRequest(method, "/wx"+path, strings.NewReader(body))
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

const shop = "https://shop.example.com"

func TestAPageAsksForItsConfig(t *testing.T) {
	w := ask(official(), "POST", "/js/config", shop,
		`{"url":"https://shop.example.com/a?b=c#d","debug":true,"jsApiList":["scanQRCode"],"openTagList":["wx-open-launch-app"]}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, shop, w.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, "Origin", w.Header().Get("Vary"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var c jssdk.Config
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &c))
	require.Equal(t, signature("ticket-of-jsapi", c.NonceStr, c.Timestamp, "https://shop.example.com/a?b=c"), c.Signature)
	require.True(t, c.Debug)
	require.Equal(t, []string{"scanQRCode"}, c.JSAPIList)
	require.Equal(t, []string{"wx-open-launch-app"}, c.OpenTagList)
}

func TestAPageMayOmitTheListOfCalls(t *testing.T) {
	w := ask(official(), "POST", "/js/config", "", `{"url":"https://shop.example.com/"}`)
	require.Equal(t, 200, w.Code, w.Body)
	var c jssdk.Config
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &c))
	require.Contains(t, c.JSAPIList, "updateTimelineShareData")
	require.Contains(t, c.JSAPIList, "onMenuShareTimeline")
}

func TestAPageOfWeComAsksForItsAgentConfig(t *testing.T) {
	w := ask(work(), "POST", "/js/config", shop, `{"url":"https://shop.example.com/","agent":true,"jsApiList":["selectExternalContact"]}`)
	require.Equal(t, 200, w.Code, w.Body)
	var c jssdk.AgentConfig
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &c))
	require.Equal(t, 1000002, c.AgentID)
	require.Equal(t, []string{"selectExternalContact"}, c.JSAPIList)
}

func TestAPageOfAnotherHostIsRefusedWithTheReason(t *testing.T) {
	w := ask(official(), "POST", "/js/config", "", `{"url":"https://evil.example.net/"}`)
	require.Equal(t, 403, w.Code)
	require.JSONEq(t, `{"errcode":403,"errmsg":"jssdk: this page may not be signed: its host is not among the app's hosts: evil.example.net"}`, w.Body.String())

	w = ask(official(), "POST", "/js/config", "https://evil.example.net", `{"url":"https://shop.example.com/"}`)
	require.Equal(t, 403, w.Code)
	require.Contains(t, w.Body.String(), "evil.example.net")
	require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
}

func TestAPreflightIsAnsweredOnlyForHosts(t *testing.T) {
	for _, path := range []string{"/js/config", "/js/card"} {
		w := ask(official(), "OPTIONS", path, shop, "")
		require.Equal(t, 204, w.Code)
		require.Equal(t, shop, w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(t, "POST", w.Header().Get("Access-Control-Allow-Methods"))
		require.Equal(t, "Content-Type", w.Header().Get("Access-Control-Allow-Headers"))
		require.Empty(t, w.Header().Get("Access-Control-Allow-Credentials"))
		for _, origin := range []string{"https://evil.example.net", "null", "https://shop.example.com.evil.example.net"} {
			w = ask(official(), "OPTIONS", path, origin, "")
			require.Equal(t, 403, w.Code)
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
}

func TestAPageAsksForCards(t *testing.T) {
	w := ask(official(), "POST", "/js/card", shop, `{"addCard":[{"cardId":"`+card1+`"},{"cardId":"`+card2+`"}]}`)
	require.Equal(t, 200, w.Code, w.Body)
	var add struct {
		List []jssdk.SignedCard `json:"cardList"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &add))
	require.Len(t, add.List, 2)
	require.Equal(t, card2, add.List[1].CardID)

	for _, choice := range []string{"{}", `{"cardId":"` + card1 + `"}`} {
		w = ask(official(), "POST", "/js/card", shop, `{"chooseCard":`+choice+`}`)
		require.Equal(t, 200, w.Code, w.Body)
		var choose jssdk.SignedChoice
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &choose))
		require.Equal(t, "SHA1", choose.SignType)
	}
}

// Card ids in WeChat's form.
const card1, card2 = "p1Pj9jr90_SQRaVqYI239Ka1erkI", "pFS7Fjg8kV1IdDz01r4SQwMkuC-_"

func TestCardsAreNotSignedByDefault(t *testing.T) {
	closed := &jssdk.Handler{Signer: official()}
	for _, body := range []string{`{"addCard":[{"cardId":"` + card1 + `"}]}`, `{"chooseCard":{}}`} {
		w := askOf(closed, "POST", "/js/card", shop, body)
		require.Equal(t, 403, w.Code)
		require.Contains(t, w.Body.String(), "cards is off")
	}
	require.Equal(t, 403, askOf(&jssdk.CardHandler{Signer: official()}, "POST", "/js/card", "", `{"chooseCard":{}}`).Code, "no Guard")
	require.Equal(t, 404, askOf(&jssdk.CardHandler{Signer: work(), Guard: admitAll}, "POST", "/js/card", "", `{"chooseCard":{}}`).Code)
}

func admitAll(next http.Handler) http.Handler { return next }

func TestCardHandlerSignsAllFields(t *testing.T) {
	h := &jssdk.CardHandler{Signer: official(), Guard: admitAll}
	w := askOf(h, "POST", "/js/card", "", `{"addCard":[{"cardId":"p1","code":"c1","openid":"o1","balance":"20000","outer_str":"x"}]}`)
	require.Equal(t, 200, w.Code, w.Body)
	var add struct {
		List []jssdk.SignedCard `json:"cardList"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &add))
	var ext struct{ Code, OpenID, Balance, Timestamp, Signature, Nonce_str string }
	require.NoError(t, json.Unmarshal([]byte(add.List[0].CardExt), &ext))
	require.Equal(t, jssdk.SignCard("ticket-of-card", ext.Timestamp, ext.Nonce_str, "p1", "c1", "o1", "20000"), ext.Signature)

	w = askOf(h, "POST", "/js/card", "", `{"chooseCard":{"shopId":"3","cardType":"GROUPON"}}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, 400, askOf(h, "POST", "/js/card", "", `{}`).Code)
	broken := official()
	broken.Tickets = refused{}
	w = askOf(&jssdk.CardHandler{Signer: broken, Guard: admitAll}, "POST", "/js/card", "", `{"chooseCard":{}}`)
	require.Equal(t, 502, w.Code)
	require.Contains(t, w.Body.String(), "10.1.2.3", "our own servers get the error")
}

func TestStrangersCannotHaveOtherFieldsSigned(t *testing.T) {
	for _, body := range []string{
		`{"addCard":[{"cardId":"ID","code":"20000"}]}`, `{"addCard":[{"cardId":"ID","openid":"20000"}]}`,
		`{"addCard":[{"cardId":"ID","balance":"20000"}]}`, `{"addCard":[{"cardId":"ID"},{"cardId":"ID","Balance":"1"}]}`,
		`{"addCard":[{"cardId":"ID","outer_str":"1"}]}`, `{"addCard":[{"cardId":"ID","fixed_begintimestamp":1}]}`,
		`{"addCard":[{"cardId":"20000ID"}]}`, `{"addCard":[{"cardId":"20000"}]}`, `{"addCard":[{"cardId":"ID\n"}]}`, `{"addCard":[{"cardId":"p1"}]}`,
		`{"chooseCard":{"shopId":"20000"}}`, `{"chooseCard":{"cardType":"20000"}}`, `{"chooseCard":{"cardId":"20000"}}`,
		`{"chooseCard":{"cardId":"ID","shopid":"20000"}}`,
	} {
		w := ask(official(), "POST", "/js/card", shop, strings.ReplaceAll(body, "ID", card1))
		require.Equal(t, 400, w.Code, body)
		require.Contains(t, w.Body.String(), "jssdk: ")
		require.NotContains(t, w.Body.String(), "ignature", body)
		require.NotContains(t, w.Body.String(), "cardSign")
	}
}

func TestWeComHasNoCards(t *testing.T) {
	for _, method := range []string{"POST", "OPTIONS"} {
		require.Equal(t, 404, ask(work(), method, "/js/card", shop, `{"chooseCard":{}}`).Code)
	}
}

func TestAPageOfAnotherHostGetsNoCards(t *testing.T) {
	for _, origin := range []string{"", "null", "https://evil.example.net"} {
		w := ask(official(), "POST", "/js/card", origin, `{"addCard":[{"cardId":"p1"}]}`)
		require.Equal(t, 403, w.Code, origin)
		require.NotContains(t, w.Body.String(), "signature")
	}
}

func TestInvalidBodiesAreNamed(t *testing.T) {
	for path, bodies := range map[string][]string{
		"/js/config": {"", "x", "[]", `{"url":1}`},
		"/js/card":   {"", "x", "{}", `{"addCard":[]}`, `{"addCard":[{}]}`, `{"addCard":[` + strings.Repeat(`{"cardId":"p"},`, 100) + `{"cardId":"p"}]}`},
	} {
		for _, body := range bodies {
			w := ask(official(), "POST", path, shop, body)
			require.Equal(t, 400, w.Code, body)
			require.Contains(t, w.Body.String(), "must")
		}
		w := ask(official(), "POST", path, shop, `{"url":"`+strings.Repeat("a", 20<<10)+`"}`)
		require.Equal(t, 413, w.Code)
	}
}

func TestAPublicAnswerHasNoErrorOfTheApp(t *testing.T) {
	s := official()
	s.Tickets = refused{}
	w := ask(s, "POST", "/js/config", shop, `{"url":"https://shop.example.com/"}`)
	require.Equal(t, 502, w.Code)
	require.JSONEq(t, `{"errcode":40164,"errmsg":"jssdk: page not signed: WeChat refused: the server's log has more"}`, w.Body.String())

	s.Tickets = tickets{}
	w = ask(s, "POST", "/js/config", shop, `{"url":"https://shop.example.com/"}`)
	require.Equal(t, 503, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "none here")
}

type refused struct{}

func (refused) Ticket(context.Context, string) (wechat.Credential, error) {
	return wechat.Credential{}, &wechat.Error{Op: "GET /cgi-bin/token", Code: wechat.ErrInvalidIP, Msg: "invalid ip 10.1.2.3"}
}

func TestAScriptHasItsOwnDefaults(t *testing.T) {
	plain := ask(official(), "GET", "/js/config.js", "", "").Body.String()
	require.Equal(t, plain, string(jssdk.Script(jssdk.ScriptOptions{})))
	got := string(jssdk.Script(jssdk.ScriptOptions{App: "/app/shop", Debug: true, JSAPIList: []string{"</script>", "\u2028"}}))
	want := `var defaults = {"app":"/app/shop","debug":true,"jsApiList":["\u003c/script\u003e","\u2028"]};`
	require.Contains(t, got, want)
	require.Equal(t, plain, strings.Replace(got, want, "var defaults = {};", 1))
}

func TestTheScriptIsTheSameForEverybody(t *testing.T) {
	a := ask(official(), "GET", "/js/config.js?debug=true&jsApiList=%3Cscript%3E", "", "")
	b := ask(work(), "GET", "/js/config.js", "https://evil.example.net", "")
	require.Equal(t, 200, a.Code)
	require.Equal(t, a.Body.String(), b.Body.String())
	require.Equal(t, "text/javascript; charset=utf-8", a.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", a.Header().Get("X-Content-Type-Options"))
}
