package wechattest_test

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func sha1Hex(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// verify asks what WeChat's script would say to a page's call.
func verify(t *testing.T, wx *wechattest.Server, call string, pairs ...string) string {
	t.Helper()
	q := url.Values{"call": {call}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	var a struct{ ErrMsg string }
	require.NoError(t, json.Unmarshal([]byte(get(t, wx, "https://res.wx.qq.com/open/js/verify?"+q.Encode()).Raw), &a))
	return a.ErrMsg
}

func jsapiSignature(ticket, page string) string {
	return sha1Hex(fmt.Sprintf("jsapi_ticket=%s&noncestr=n&timestamp=1414587457&url=%s", ticket, page))
}

const jsPage = "https://shop.example.com/a?b=c"

func TestTheScriptJudgesAPagesSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.Add(wechattest.App{ID: "wx1", Secret: "s1", JSDomains: []string{"example.com", "127.0.0.1:8080"}})
		config := func(page, signed string) string {
			ticket := get(t, wx, api+"/cgi-bin/ticket/getticket?type=jsapi&access_token="+classic(t, wx).Token).Ticket
			return verify(t, wx, "config", "appId", "wx1", "url", page, "timestamp", "1414587457", "nonceStr", "n", "signature", jsapiSignature(ticket, signed))
		}
		require.Equal(t, "config:ok", config(jsPage, jsPage))
		require.Equal(t, "config:ok", config("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"))
		require.Equal(t, "config:invalid signature", config(jsPage, "https://shop.example.com/a"))
		require.Equal(t, "config:invalid signature", config(jsPage, jsPage+"#d"))
		for _, page := range []string{"https://example.net/", "https://evilexample.com/", "https://shop.example.com:8443/", "http://127.0.0.1:8081/", jsPage + "#d", "", "x"} {
			require.Equal(t, "config:invalid url domain", config(page, page), page)
		}
		require.Equal(t, "config:invalid appid", verify(t, wx, "config", "appId", "wx9", "url", jsPage))
		require.Equal(t, "config:invalid signature", verify(t, wx, "config", "appId", "wx1", "url", jsPage))

		ticket := get(t, wx, api+"/cgi-bin/ticket/getticket?type=jsapi&access_token="+classic(t, wx).Token).Ticket
		pass(2 * time.Hour)
		require.Equal(t, "config:invalid signature",
			verify(t, wx, "config", "appId", "wx1", "url", jsPage, "timestamp", "1414587457", "nonceStr", "n", "signature", jsapiSignature(ticket, jsPage)))
	})
}

func TestTheScriptKnowsWeComsTwoTickets(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7})
	token := get(t, wx, workURL("ww1", "s1")).Token
	corp := get(t, wx, work+"/cgi-bin/get_jsapi_ticket?access_token="+token).Ticket
	agent := get(t, wx, work+"/cgi-bin/ticket/get?type=agent_config&access_token="+token).Ticket
	ask := func(call, agentID, ticket string) string {
		return verify(t, wx, call, "appId", "ww1", "agentid", agentID, "url", jsPage, "timestamp", "1414587457", "nonceStr", "n", "signature", jsapiSignature(ticket, jsPage))
	}
	require.Equal(t, "config:ok", ask("config", "", corp))
	require.Equal(t, "config:invalid signature", ask("config", "", agent))
	require.Equal(t, "agentConfig:ok", ask("agentConfig", "7", agent))
	require.Equal(t, "agentConfig:invalid signature", ask("agentConfig", "7", corp))
	require.Equal(t, "agentConfig:invalid appid", ask("agentConfig", "8", agent))
}

func TestTheScriptTakesACardsSignatureOnce(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	ticket := get(t, wx, api+"/cgi-bin/ticket/getticket?type=wx_card&access_token="+classic(t, wx).Token).Ticket
	sign := func(values ...string) string {
		slices.Sort(values)
		return sha1Hex(strings.Join(values, ""))
	}
	add := []string{"appId", "wx1", "url", jsPage, "timestamp", "1", "nonceStr", "n", "cardId", "p", "code", "c", "signature", sign(ticket, "1", "n", "p", "c")}
	require.Equal(t, "addCard:ok", verify(t, wx, "addCard", add...))
	require.Equal(t, "addCard:signature was used before", verify(t, wx, "addCard", add...))
	require.Equal(t, "addCard:invalid signature", verify(t, wx, "addCard", append(add, "code", "d")...))
	choose := []string{"appId", "wx1", "url", jsPage, "timestamp", "1", "nonceStr", "n", "shopId", "3", "cardType", "GROUPON", "cardId", "p", "signature", sign(ticket, "wx1", "3", "1", "n", "p", "GROUPON")}
	require.Equal(t, "chooseCard:ok", verify(t, wx, "chooseCard", choose...))
	require.Equal(t, "chooseCard:invalid signature", verify(t, wx, "chooseCard", append(choose, "shopId", "4")...))
}

func TestTheScriptIsWhereWeChatsIs(t *testing.T) {
	wx := new(wechattest.Server)
	a := get(t, wx, "https://res.wx.qq.com/open/js/jweixin-1.6.0.js")
	require.Equal(t, 200, a.Status)
	require.Equal(t, "text/javascript; charset=utf-8", a.Type)
	require.Contains(t, a.Raw, "window.wx")
}
