package oauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestARealBrowserIsConfigured(t *testing.T) {
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	b := newTab(t, d)
	for _, path := range []string{"/goods/list.html?id=1&q=%E5%95%86%E5%93%81&empty=", `/goods/商品 1?a="b'c|d\e^f&100%`, "/goods/#/route?x=1", "/goods/?a=b#c?d#e"} {
		b.Open("about:blank")
		b.Run("location.href = "+quote(w.shop+path), nil)
		require.Equal(t, "config:ok updateAppMessageShareData:ok chooseImage:permission denied", b.Text("#result"), path)
	}

	b.Open(w.shopByHost + "/goods/list.html")
	require.Contains(t, b.Text("#result"), "refused: no answer from "+w.door+"/wx/js/config (is 127.0.0.1:")

	b.Open(w.shop + "/goods/?a=b")
	require.Contains(t, b.Text("#result"), "config:ok")
	b.Run(`document.getElementById("result").remove();
		history.pushState(null, "", "/goods/other");
		wx.config({ appId: wx.appId, timestamp: 1, nonceStr: "n", signature: "0", jsApiList: [] })`, nil)
	require.Equal(t, "config:invalid signature", b.Text("#result"))
}

func TestARealBrowserPassesOnWhatTheScriptsAddressSays(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	b := newTab(t, d)
	for query, want := range map[string]string{
		"": `[false,["updateAppMessageShareData","updateTimelineShareData","onMenuShareAppMessage","onMenuShareTimeline",` +
			`"onMenuShareQQ","onMenuShareWeibo","onMenuShareQZone"],null]`,
		"?debug=true&jsApiList=scanQRCode,chooseImage&openTagList=wx-open-launch-app%2Cwx-open-subscribe": `[true,["scanQRCode","chooseImage"],` +
			`["wx-open-launch-app","wx-open-subscribe"]]`,
	} {
		b.Open(w.shop + "/me")
		b.Run(`window.wx = { config: function (o) {
				document.body.innerHTML = "<p id=result></p>";
				document.getElementById("result").textContent = JSON.stringify([o.debug, o.jsApiList, o.openTagList || null]);
			} };
			var s = document.createElement("script");
			s.src = `+quote(w.door+"/wx/js/config.js"+query)+`;
			document.head.appendChild(s);`, nil)
		require.Equal(t, want, b.Text("#result"))
	}
}

func TestARealBrowsersRefusalReachesListenersFurtherDownThePage(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	told := make(chan struct{}, 10)
	slow := http.NewServeMux()
	slow.HandleFunc("GET /told", func(http.ResponseWriter, *http.Request) { told <- struct{}{} })
	slow.HandleFunc("GET /{$}", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(rw, `<!DOCTYPE html><body><script>console.error = function () { fetch("/told"); };</script><script src="`+w.door+`/wx/js/config.js"></script>`)
		rw.(http.Flusher).Flush()
		select { // the rest arrives after the refusal
		case <-told:
		case <-r.Context().Done():
		}
		io.WriteString(rw, `<p id="result"></p><script>document.addEventListener("wetoken:error", function (e) {
			document.getElementById("result").innerHTML = "<b id='told'>" + e.detail.errmsg + "</b>"; });</script>`)
	})
	s := httptest.NewServer(slow)
	defer s.Close()
	b := newTab(t, d)
	b.Open(s.URL)
	require.Contains(t, b.Text("#told"), "among the app's hosts?")
}

func TestARealBrowserTakesCards(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	b := newTab(t, d)
	b.Open(w.shop + "/goods/")
	require.Contains(t, b.Text("#result"), "config:ok")
	ask := func(body, then string) string {
		b.Run(`document.getElementById("result").remove();
			fetch(`+quote(w.door)+` + "/wx/js/card", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(`+body+`) })
			.then(function (r) { return r.json(); })
			.then(function (o) { o.complete = function (res) { result(res.errMsg); }; `+then+` });`, nil)
		return b.Text("#result")
	}
	const card = "p1Pj9jr90_SQRaVqYI239Ka1erkI"
	require.Equal(t, "addCard:ok", ask(`{ addCard: [{ cardId: "`+card+`" }, { cardId: "`+card+`" }] }`, "wx.addCard(o)"))
	require.Equal(t, "addCard:invalid signature", ask(`{ addCard: [{ cardId: "`+card+`" }] }`,
		`var ext = JSON.parse(o.cardList[0].cardExt); ext.balance = "20000"; o.cardList[0].cardExt = JSON.stringify(ext); wx.addCard(o)`))
	require.Equal(t, "chooseCard:ok", ask(`{ chooseCard: { cardId: "`+card+`" } }`, "wx.chooseCard(o)"))
	require.Equal(t, "chooseCard:invalid signature", ask(`{ chooseCard: {} }`, `o.shopId = "3"; wx.chooseCard(o)`))
}

func TestARealBrowserIsConfiguredInWeCom(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	w := newSockets(t, wechat.Official)
	w.wx.Add(wechattest.App{ID: corpID, Secret: secret, Kind: wechattest.Work, AgentID: 7})
	way := &wechat.Client{BaseURL: w.wechat}
	tokens := &token.Manager{AppID: corpID, Secret: secret, Kind: wechat.Work, Client: way}
	tickets := &ticket.Manager{AppID: corpID, Kind: wechat.Work, AgentID: 7, Tokens: tokens, Client: way}
	signer := &jssdk.Signer{AppID: corpID, Kind: wechat.Work, AgentID: 7, Tickets: tickets, Hosts: w.login.Hosts}
	door := http.NewServeMux()
	wetoken.Bind(door, "/corp", &jssdk.Handler{Signer: signer})
	s := httptest.NewServer(door)
	defer s.Close()

	b := newTab(t, d)
	b.Open(w.shop + "/me")
	b.Run(`document.addEventListener("wetoken:agent", function () { document.body.innerHTML = "<p id=result>agentConfig:ok</p>"; });
		document.addEventListener("wetoken:error", function (e) { document.body.innerHTML = "<p id=result>" + e.detail.errmsg + "</p>"; });
		function load(src, then) { var s = document.createElement("script"); s.src = src; s.onload = then; document.head.appendChild(s); }
		load(`+quote(w.wechat)+` + "/open/js/jweixin-1.6.0.js", function () {
			load(`+quote(s.URL)+` + "/corp/js/config.js?agent=true&jsApiList=selectExternalContact");
		});`, nil)
	require.Equal(t, "agentConfig:ok", b.Text("#result"))
}

// quote returns s as a string of a script.
func quote(s string) string {
	return `decodeURIComponent("` + strings.NewReplacer("+", "%20", "'", "%27").Replace(url.QueryEscape(s)) + `")`
}
