package compat_test

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/jssdk"
)

// load loads a script or a card for a page with a Referer and an Origin.
func (w *proxyWorld) load(path, referer, origin string) (status int, body string, header http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.public+path, nil)
	require.NoError(w.t, err)
	for name, value := range map[string]string{"Referer": referer, "Origin": origin} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return resp.StatusCode, string(b), resp.Header
}

const pageHost = "shop.example.com"

// the list of wechat-proxy's default calls, and the two that are newer
const oldCalls = "onMenuShareTimeline onMenuShareAppMessage onMenuShareQQ onMenuShareWeibo onMenuShareQZone startRecord stopRecord onVoiceRecordEnd " +
	"playVoice pauseVoice stopVoice onVoicePlayEnd uploadVoice downloadVoice translateVoice chooseImage previewImage uploadImage downloadImage " +
	"getNetworkType openLocation getLocation hideOptionMenu showOptionMenu hideMenuItems showMenuItems hideAllNonBaseMenuItem showAllNonBaseMenuItem " +
	"closeWindow scanQRCode chooseWXPay openProductSpecificView addCard chooseCard openCard"

func TestAPageThatTellsItsAddressIsConfiguredAtOnce(t *testing.T) {
	w := newProxyWorld(t, []string{pageHost})
	ticket := w.read(input{path: "/app/shop/jsapi", key: allKey}).Ticket
	const page = "https://" + pageHost + "/商品?id=1&x=%E4%B8%80"
	for path, want := range map[string]jssdk.Config{
		"/app/shop/js/config":                  {JSAPIList: strings.Fields(oldCalls)},
		"/app/shop/js/config/":                 {JSAPIList: strings.Fields(oldCalls)},
		"/app/" + shopID + "/js/config":        {JSAPIList: strings.Fields(oldCalls)},
		"/js/config?appid=" + shopID:           {JSAPIList: strings.Fields(oldCalls)},
		"/js/config/?secret=x&appid=" + shopID: {JSAPIList: strings.Fields(oldCalls)},
		"/app/shop/js/config?debug=true&apilist=scanQRCode,%20chooseImage&openTagList=wx-open-launch-app": {
			Debug: true, JSAPIList: []string{"scanQRCode", "chooseImage"}, OpenTagList: []string{"wx-open-launch-app"},
		},
	} {
		status, body, header := w.load(path, page, "")
		require.Equal(t, 200, status)
		require.Equal(t, "text/javascript; charset=utf-8", header.Get("Content-Type"))
		require.Equal(t, "Referer", header.Get("Vary"))
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		argument, ok := strings.CutPrefix(body, "wx.config(")
		require.True(t, ok, "%s: %s", path, body)
		argument, ok = strings.CutSuffix(argument, ")")
		require.True(t, ok, "there is no semicolon: %s", body)
		var got jssdk.Config
		require.NoError(t, json.Unmarshal([]byte(argument), &got))
		sum := sha1.Sum([]byte(fmt.Sprintf("jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", ticket, got.NonceStr, got.Timestamp, page)))
		require.Equal(t, hex.EncodeToString(sum[:]), got.Signature)
		require.Equal(t, shopID, got.AppID)
		require.Equal(t, want.Debug, got.Debug)
		require.Equal(t, want.OpenTagList, got.OpenTagList)
		require.Subset(t, got.JSAPIList, want.JSAPIList)
		if want.OpenTagList == nil {
			require.Len(t, got.JSAPIList, 37)
			require.Contains(t, got.JSAPIList, "updateAppMessageShareData")
			require.Contains(t, got.JSAPIList, "updateTimelineShareData")
		} else {
			require.Len(t, got.JSAPIList, 2)
		}
	}
}

func TestAScriptSignsNothingForAPageThatItDoesNotKnow(t *testing.T) {
	w := newProxyWorld(t, []string{pageHost})
	for _, referer := range []string{"", "https://" + pageHost, "https://" + pageHost + "/", "https://evil.example.net/page", "https://evil.example.net/?" + pageHost + "/a", "/a", "%zz"} {
		status, body, _ := w.load("/app/shop/js/config?apilist=scanQRCode", referer, "")
		require.Equal(t, 200, status)
		require.Contains(t, body, `xhr.open("POST", endpoint)`, "%s: it asks for the page that it runs in", referer)
		require.NotContains(t, body, shopID)
		require.Contains(t, body, `var defaults = {"jsApiList":["scanQRCode"]};`)
	}
	for path, want := range map[string]int{"/app/none/js/config": 404, "/app/gone/js/config": 404, "/js/config": 404, "/app/mini/js/config": 404} {
		status, body, _ := w.load(path, "https://"+pageHost+"/a", "")
		require.Equal(t, want, status, path)
		require.Contains(t, body, `{"errcode": -10001, "errmsg": "`)
	}
	require.Zero(t, w.wx.Calls("/cgi-bin/ticket/getticket"))
	_, body, _ := w.load("/app/shop/js/config?apilist="+url.QueryEscape(`</script><script>alert(1)//`)+"&openTagList="+url.QueryEscape("\u2028"), "", "")
	require.NotContains(t, body, "</script>")
	require.NotContains(t, body, "\u2028")
}

// openBoth serves the public side, and a page at another site that has the script.
func openBoth(t *testing.T, change ...func(*gateway.Options)) (w *proxyWorld, base, page string, script *string) {
	site := httptest.NewUnstartedServer(nil)
	site.Start()
	t.Cleanup(site.Close)
	srv := httptest.NewUnstartedServer(nil)
	t.Cleanup(srv.Close)
	w = newProxyWorld(t, []string{site.Listener.Addr().String()}, change...)
	weChat := httptest.NewServer(w.wx)
	t.Cleanup(weChat.Close)
	script = new(string)
	site.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page.js" {
			_, _ = io.WriteString(rw, `function show(text) { document.getElementById("result").textContent = text; }
				document.addEventListener("wetoken:error", function (e) { show(e.detail.errmsg); });
				wx.error(function (res) { show(res.errMsg); });
				wx.ready(function () { show("config:ok"); });`)
			return
		}
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(rw, `<!doctype html><p id="result">…</p><script src="%s/open/js/jweixin-1.6.0.js"></script><script src="%s"></script><script src="/page.js"></script>`, weChat.URL, *script)
	})
	srv.Config.Handler = w.newGateway().Public()
	srv.Start()
	return w, srv.URL, site.URL, script
}

func TestARealBrowserOnAnotherSiteIsConfigured(t *testing.T) {
	d := webdriver.Start(t)
	w, base, page, script := openBoth(t, func(o *gateway.Options) {
		a := o.Config.Apps[unicodeName]
		a.Hosts = o.Config.Apps["shop"].Hosts
		o.Config.Apps[unicodeName] = a
	})
	b := d.Tab(t)
	for _, src := range []string{"/app/shop/js/config", "/app/shop/js/config/?apilist=scanQRCode", "/app/" + url.PathEscape(unicodeName) + "/js/config", "/js/config?appid=" + shopID, "/app/shop/js/config.js"} {
		*script = base + src
		b.Open(page + "/a/b?from=%E9%A6%96%E9%A1%B5#top")
		b.FindText("config:ok")
		require.Equal(t, "config:ok", b.Text("#result"), src)
	}
	require.LessOrEqual(t, w.wx.Calls("/cgi-bin/ticket/getticket"), 2)
}

const cardID = "p1Pj9jr90_SQRaVqYI239Ka1erkI"

func TestACardIsSignedForPagesOfTheApp(t *testing.T) {
	w := newProxyWorld(t, []string{pageHost}, func(o *gateway.Options) {
		a := o.Config.Apps["shop"]
		a.Cards = true
		o.Config.Apps["shop"] = a
	})
	raw := w.read(input{path: "/app/shop/js/card", key: allKey}).Ticket
	for _, from := range [][2]string{{"https://" + pageHost + "/a", ""}, {"", "https://" + pageHost}, {"https://" + pageHost + "/", "https://" + pageHost}} {
		for _, path := range []string{"/app/shop/js/card?card_id=" + cardID, "/app/shop/js/card/?cardId=" + cardID, "/js/card?appid=" + shopID + "&card_id=" + cardID} {
			status, body, _ := w.load(path, from[0], from[1])
			require.Equal(t, 200, status, body)
			var got struct {
				List []jssdk.SignedCard `json:"cardList"`
			}
			require.NoError(t, json.Unmarshal([]byte(body), &got))
			require.Len(t, got.List, 1)
			require.Equal(t, cardID, got.List[0].CardID)
			var ext struct {
				Timestamp, Signature string
				Nonce                string `json:"nonce_str"`
			}
			require.NoError(t, json.Unmarshal([]byte(got.List[0].CardExt), &ext))
			require.Equal(t, jssdk.SignCard(raw, ext.Timestamp, ext.Nonce, cardID), ext.Signature)
			require.NotContains(t, body, raw)
		}
	}
	status, body, _ := w.load("/app/shop/js/card", "https://"+pageHost+"/a", "")
	require.Equal(t, 200, status)
	require.Contains(t, body, `"cardSign":"`)
	for _, from := range [][2]string{{"", ""}, {"https://evil.example.net/", ""}, {"https://" + pageHost + "/a", "https://evil.example.net"}, {"", "null"}} {
		status, body, _ := w.load("/app/shop/js/card?card_id="+cardID, from[0], from[1])
		require.Equal(t, 403, status, body)
		require.NotContains(t, body, "ignature")
	}
	for _, path := range []string{"/app/shop/js/card?secret=" + url.QueryEscape(secret), "/app/shop/js/card?wetoken_key=" + allKey, "/app/shop/js/card/?access_token=a", "/js/card?secret=a&appid=" + shopID} {
		status, body, _ := w.load(path, "https://"+pageHost+"/a", "")
		require.Contains(t, []int{404, 405}, status, "the ticket is on the private side alone: %s", path)
		require.NotContains(t, body, "icket")
	}
	status, body, _ = w.load("/app/shop/js/card?card_id=short", "https://"+pageHost+"/a", "")
	require.Equal(t, 400, status)
	require.Contains(t, body, "invalid cardId")
	status, body, _ = w.load("/app/"+url.PathEscape(unicodeName)+"/js/card?card_id="+cardID, "https://"+pageHost+"/a", "")
	require.Equal(t, 403, status, body)
}

func TestOldAndNewRoutesShareTheirPathsByMethod(t *testing.T) {
	w := newProxyWorld(t, []string{pageHost})
	both := httptest.NewServer(w.newGateway().Both())
	t.Cleanup(both.Close)
	ask := func(base, method, path, body, key string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Referer", "https://"+pageHost+"/a")
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	sign := `{"url":"https://` + pageHost + `/a"}`
	for _, base := range []string{w.public, both.URL} {
		for _, c := range []struct {
			method, path, body string
			status             int
			part               string
		}{
			{"GET", "/app/shop/js/config", "", 200, "wx.config("},
			{"GET", "/app/shop/js/config/", "", 200, "wx.config("},
			{"POST", "/app/shop/js/config", sign, 200, `"signature":"`},
			{"POST", "/app/shop/js/config/", sign, 405, ""},
			{"GET", "/app/shop/js/config.js", "", 200, "document.currentScript"},
			{"POST", "/app/shop/js/card", `{"chooseCard":{}}`, 403, `"errcode":403`},
			{"GET", "/app/shop/pay", "", 0, `{"errcode": -10001`},
			{"GET", "/app/shop/pay/", "", 0, `{"errcode": -10001`},
			{"GET", "/app/shop/pay/js", "", 0, `{"errcode": -10001`},
			{"GET", "/app/shop/pay/js/", "", 0, `{"errcode": -10001`},
		} {
			status, body := ask(base, c.method, c.path, c.body, "")
			if c.status != 0 {
				require.Equal(t, c.status, status, "%s %s: %s", c.method, c.path, body)
			}
			require.Contains(t, body, c.part, "%s %s", c.method, c.path)
		}
	}
	private := httptest.NewServer(w.private)
	t.Cleanup(private.Close)
	for _, base := range []string{private.URL, both.URL} {
		for _, path := range []string{"/app/shop/api", "/app/shop/api/"} {
			status, body := ask(base, "GET", path, "", allKey)
			require.Equal(t, 200, status)
			require.Regexp(t, `^\{"access_token":"[^"]+","expires_in":\d+\}$`, body)
		}
		status, body := ask(base, "GET", "/app/shop/token", "", allKey)
		require.Equal(t, 200, status)
		require.Contains(t, body, `"access_token":"`)
		status, body = ask(base, "POST", "/app/shop/js/card", `{"chooseCard":{}}`, allKey)
		require.Equal(t, 200, status, body)
		require.Contains(t, body, `"cardSign"`)
		status, body = ask(base, "GET", "/app/shop/js/card", "", allKey)
		require.Equal(t, 200, status)
		require.Contains(t, body, `"ticket":"`)
		status, body = ask(base, "GET", "/app/shop/api/v3/something", "", allKey)
		require.Equal(t, 404, status, body)
	}
	status, body := ask(both.URL, "GET", "/app/shop/js/card?secret="+url.QueryEscape(secret), "", "")
	require.Equal(t, 200, status)
	require.Contains(t, body, `"ticket":"`)
}
