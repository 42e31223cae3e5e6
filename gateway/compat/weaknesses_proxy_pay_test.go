package compat_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each test of this file is about a weakness of wechat-proxy's payments.

func TestAStrangerNamesNoAmount(t *testing.T) {
	d := openDesk(t)
	for _, path := range []string{"/app/shop/pay", "/app/shop/pay/", "/app/shop/pay/qrcode", "/app/shop/pay/js", "/app/modern/pay"} {
		got := d.ask(nil, input{path: path + "?fee=1&openid=o1"})
		require.Equal(t, http.StatusForbidden, got.status, got.text)
		require.Equal(t, `{"errcode": -10001, "errmsg": "the amount needs a link of POST /app/{app}/pay/links"}`, got.text)
	}
	for _, path := range []string{"/app/none/pay?fee=1", "/app/plain/pay?fee=1"} {
		require.GreaterOrEqual(t, d.ask(nil, input{path: path}).status, 400)
	}
	for _, fee := range []string{"101", "0", "-1", "", "1e2", "9223372036854775807", "18446744073709551617"} {
		got := d.ask(nil, input{path: "/app/小店/pay?fee=" + fee})
		require.GreaterOrEqual(t, got.status, 400, "%s: %s", fee, got.text)
		require.Less(t, got.status, 500)
	}
	got := d.ask(nil, input{path: "/app/小店/pay?fee=1&fee_type=JPY"})
	require.Equal(t, http.StatusBadRequest, got.status, "an amount in another currency is another amount: %s", got.text)
	require.Empty(t, d.pay.Orders(oldMchID))
	require.Empty(t, d.pay.Orders(newMchID))
	require.EqualValues(t, 100, d.scanned(d.ask(nil, input{path: "/app/小店/pay?fee=100"})).Total)
}

func TestALinkFixesAmountNameCallAndPayer(t *testing.T) {
	d := openDesk(t)
	link := d.link("shop", `{"fee":500,"name":"socks","call":"`+d.backend.URL+`/linked","openid":"o1","attach":"of the shop"}`)
	override := "&out_trade_no=order-77&attach=free&fee=1&total_fee=1&name=free&body=free&openid=evil&call=" + url.QueryEscape(d.backend.URL+"/stolen") + "&notify_url=" + url.QueryEscape(d.backend.URL+"/stolen")
	for _, query := range []string{link, link + override, strings.TrimPrefix(strings.Replace(override, "order-77", "order-79", 1), "&") + "&" + link} {
		browser := jar(t)
		o := d.scanned(d.ask(browser, input{path: "/app/shop/pay?" + query}))
		require.EqualValues(t, 500, o.Total)
		require.Equal(t, "socks", o.Description)
		require.NotContains(t, o.OutTradeNo, "order")
		require.Equal(t, "of the shop", d.lastSent()["attach"])
		script := d.ask(browser, input{path: "/app/shop/pay/js?" + query}, "Cookie", "openid=cookie")
		require.Equal(t, http.StatusOK, script.status, script.text)
		require.Equal(t, "o1", d.lastSent()["openid"])
		require.Equal(t, "500", d.lastSent()["total_fee"])
		_, err := d.pay.Pay(oldMchID, o.OutTradeNo, "o1")
		require.NoError(t, err)
		require.Equal(t, "/linked", d.report().path)
	}
	numbered := d.link("shop", `{"fee":500,"out_trade_no":"order-78","attach":""}`)
	for range 2 {
		o := d.scanned(d.ask(nil, input{path: "/app/shop/pay?" + numbered + override}))
		require.Equal(t, "order-78", o.OutTradeNo, "of another browser, too")
		require.NotContains(t, d.lastSent(), "attach")
	}
	bare := d.link("shop", `{"fee":500}`)
	for header, want := range map[string]string{"": "o9", "openid=cookie": "o9"} {
		got := d.ask(nil, input{path: "/app/shop/pay/js?" + bare + "&openid=o9"}, "Cookie", header)
		require.Equal(t, http.StatusOK, got.status, got.text)
		require.Equal(t, want, d.lastSent()["openid"], "a link that names no payer is for anybody")
	}
	require.Equal(t, http.StatusOK, d.ask(nil, input{path: "/app/shop/pay/js?" + bare}, "Cookie", "openid=cookie").status)
	require.Equal(t, "cookie", d.lastSent()["openid"])
	o := d.scanned(d.ask(nil, input{path: "/app/shop/pay?" + bare + "&name=free&call=" + url.QueryEscape(d.backend.URL+"/stolen")}))
	require.Equal(t, "微信支付", o.Description)
	_, err := d.pay.Pay(oldMchID, o.OutTradeNo, "o1")
	require.NoError(t, err)
	require.Equal(t, "/all", d.report().path)
}

func TestAForgedLinkIsRefused(t *testing.T) {
	d := openDesk(t, func(d *cashDesk) {
		d.options.Config.Keys[0].Apps = []string{"*"}
		a := d.options.Config.Apps["小店"]
		a.SignKey = signKey // the same as that of shop
		d.options.Config.Apps["小店"] = a
	})
	link := strings.TrimPrefix(d.link("shop", `{"fee":500,"name":"socks"}`), "link=")
	body, code, _ := strings.Cut(link, ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"fee":500`)
	sealed := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	cheap := strings.Replace(string(raw), `"fee":500`, `"fee":1`, 1)
	for name, forged := range map[string]string{
		"another amount":   sealed(cheap) + "." + code,
		"no code":          sealed(cheap),
		"an empty code":    sealed(cheap) + ".",
		"a short code":     body + "." + code[:20],
		"a longer code":    link + "AA",
		"a blank":          link + "%20",
		"nothing":          ".",
		"very long":        strings.Repeat("a", 9000),
		"a zero amount":    sealed(`{"id":"x","fee":0,"name":"n","end":99999999999}`) + "." + code,
		"no JSON":          sealed("x") + "." + code,
		"the code in text": sealed(string(raw)) + "." + sealed(code),
	} {
		got := d.ask(nil, input{path: "/app/shop/pay?fee=1&link=" + forged})
		require.Equal(t, http.StatusForbidden, got.status, "%s: %s", name, got.text)
		require.Contains(t, got.text, "the link is invalid or has ended")
	}
	for _, app := range []string{"小店", "modern"} {
		got := d.ask(nil, input{path: "/app/" + app + "/pay?link=" + link})
		require.Equal(t, http.StatusForbidden, got.status, "of another app: %s", got.text)
	}
	// What a browser was given is not a link either.
	browser, err := cookiejar.New(nil)
	require.NoError(t, err)
	d.ask(browser, input{path: "/app/小店/pay?fee=1"})
	at, err := url.Parse(d.public + "/app/x/pay")
	require.NoError(t, err)
	require.NotEmpty(t, browser.Cookies(at))
	got := d.ask(nil, input{path: "/app/小店/pay?link=" + browser.Cookies(at)[0].Value})
	require.Equal(t, http.StatusForbidden, got.status)
	require.Equal(t, http.StatusOK, d.ask(nil, input{path: "/app/shop/pay?link=" + link}).status)
}

func TestAnUnverifiedNotificationIsRefusedInXML(t *testing.T) {
	d := openDesk(t)
	d.placeElsewhere(d.public+"/app/shop/pay", "old-system-1")
	forged := `<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code><appid>` + shopID + `</appid><mch_id>` + oldMchID +
		`</mch_id><out_trade_no>old-system-1</out_trade_no><total_fee>100</total_fee><cash_fee>100</cash_fee><transaction_id>4200000000000000000000000001</transaction_id>` +
		`<nonce_str>n</nonce_str><openid>o1</openid><trade_type>NATIVE</trade_type><bank_type>OTHERS</bank_type><time_end>20260102030405</time_end>%s</xml>`
	for name, body := range map[string]string{
		"no sign": fmt.Sprintf(forged, ""), "a wrong sign": fmt.Sprintf(forged, "<sign>"+strings.Repeat("A", 32)+"</sign>"), "nothing": "", "no XML": "{}",
		"an entity": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + fmt.Sprintf(forged, "<attach>&e;</attach>"),
	} {
		for _, app := range []string{"shop", "modern"} {
			got := d.ask(nil, input{method: "POST", path: "/app/" + app + "/pay", body: body})
			require.GreaterOrEqual(t, got.status, 400, "%s: %s", name, got.text)
			fields := readFlat([]byte(got.text))
			require.Equal(t, "xml", fields[""], got.text)
			require.Equal(t, "FAIL", fields["return_code"], got.text)
			require.NotContains(t, got.text, "root:")
		}
	}
	got := d.ask(nil, input{method: "POST", path: "/app/plain/pay", body: "<xml/>"})
	require.Equal(t, http.StatusNotFound, got.status)
	require.Equal(t, "FAIL", readFlat([]byte(got.text))["return_code"])
	require.Equal(t, http.StatusNotFound, d.ask(nil, input{method: "POST", path: "/app/none/pay", body: "<xml/>"}).status)
	require.Empty(t, d.reports)
}

func TestOrdersOfOneSecondHaveTheirOwnNumbers(t *testing.T) {
	d := openDesk(t)
	numbers, nonces := make(map[string]bool), make(map[string]bool)
	for range 60 {
		got := d.ask(nil, input{path: "/app/shop/pay?fee=1", key: payKey})
		numbers[d.scanned(got).OutTradeNo] = true
		nonces[d.lastSent()["nonce_str"]] = true
	}
	require.Len(t, numbers, 60)
	require.Len(t, nonces, 60)
}

func TestAParameterNeverReplacesThatOfTheMerchant(t *testing.T) {
	d := openDesk(t)
	evil := url.Values{
		"appid": {miniID}, "mch_id": {newMchID}, "sub_mch_id": {newMchID}, "sub_appid": {newsID}, "sign": {"x"}, "sign_type": {"HMAC-SHA256"}, "nonce_str": {"mine"},
		"key": {"mine"}, "mch_key": {"mine"}, "secret": {"mine"}, "auth_code": {"1"}, "sub_openid": {"o2"}, "trade_state": {"SUCCESS"}, "profit_sharing": {"Y"}, "fee": {"1"},
	}
	link := d.link("shop", `{"fee":1}`)
	for _, in := range []input{{path: "/app/shop/pay?" + evil.Encode(), key: payKey}, {path: "/app/shop/pay?" + link + "&" + evil.Encode()}} {
		require.Equal(t, oldMchID, d.scanned(d.ask(nil, in)).MchID)
		sent := d.lastSent()
		want := map[string]string{"appid": shopID, "mch_id": oldMchID, "notify_url": d.public + "/app/shop/pay/notify"}
		for name, value := range want {
			require.Equal(t, value, sent[name], name)
		}
		for _, name := range []string{"sub_mch_id", "sub_appid", "key", "mch_key", "secret", "auth_code", "sub_openid", "trade_state", "wetoken_key", "link"} {
			require.NotContains(t, sent, name)
		}
		require.NotEqual(t, "mine", sent["nonce_str"])
		require.Equal(t, in.key != "", sent["profit_sharing"] == "Y", "only our own services hold money back")
	}
}

func TestACallNamesTheAppsHostsAlone(t *testing.T) {
	d := openDesk(t)
	host := strings.TrimPrefix(d.backend.URL, "http://")
	for _, call := range []string{
		"http://169.254.169.254/latest", "169.254.169.254/latest", "http://127.0.0.1:1/x", "http://" + host + "@evil.example.com/", "http://evil.example.com/?" + host,
		"ftp://" + host + "/", "file:///etc/passwd", "http:///x", "//" + host + "/x", "/\\" + host, "/a/../../x", "/a b", "/a#b", "http://" + host + "/x#y", "javascript:alert(1)",
		"flat+http://" + host + "/x", "http://" + host + "/" + strings.Repeat("a", 5000),
	} {
		got := d.ask(nil, input{path: "/app/shop/pay?fee=1&call=" + url.QueryEscape(call), key: payKey})
		require.Equal(t, http.StatusBadRequest, got.status, "%s: %s", call, got.text)
		body, err := json.Marshal(map[string]any{"fee": 1, "call": call})
		require.NoError(t, err)
		got = d.ask(nil, input{method: "POST", path: "/app/shop/pay/links", key: payKey, body: string(body), form: formJSON})
		require.Equal(t, http.StatusBadRequest, got.status, "%s: %s", call, got.text)
	}
	// The new route for orders has no such forms.
	for _, target := range []string{"/own/page", "flat+/own/page", "flat+" + d.backend.URL} {
		got := d.ask(nil, input{method: "POST", path: "/app/shop/pay/orders", key: payKey, body: `{"trade":"native","out_trade_no":"order-1","fen":1,"description":"x","notify_to":"` + target + `"}`, form: formJSON})
		require.Equal(t, http.StatusBadRequest, got.status, got.text)
	}
	got := d.ask(nil, input{path: "/app/小店/pay?fee=1&call=" + url.QueryEscape(d.backend.URL)})
	require.Equal(t, http.StatusBadRequest, got.status, "its hosts are none: %s", got.text)
	require.Empty(t, d.pay.Orders(oldMchID))
}

func TestAnOrderOfBeforeARestartIsReportedToItsCall(t *testing.T) {
	d := openDesk(t)
	link := d.link("shop", `{"fee":500,"call":"`+d.backend.URL+`/linked"}`)
	browser := jar(t)
	o := d.scanned(d.ask(browser, input{path: "/app/shop/pay?" + link}))
	d.stop()
	public, private := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	d.public, d.private = "http://"+public.Listener.Addr().String(), "http://"+private.Listener.Addr().String()
	d.options.Config.PublicURL = d.public
	d.open(public, private)
	require.Equal(t, o.OutTradeNo, d.scanned(d.ask(browser, input{path: "/app/shop/pay?" + link})).OutTradeNo, "the link and the cookie hold")
	_, err := d.pay.Pay(oldMchID, o.OutTradeNo, "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.pay.Deliveries()) > 0 }, 10*time.Second, 10*time.Millisecond)
	notified := d.pay.Deliveries()[0]
	require.NotContains(t, notified.URL, d.public)
	got := d.ask(nil, input{method: "POST", path: "/app/shop/pay", body: notified.Body})
	require.Equal(t, http.StatusOK, got.status, got.text)
	require.Equal(t, "/linked", d.report().path)
}

func TestKeysOfPaymentsStayOutOfTheLog(t *testing.T) {
	d := openDesk(t)
	link := d.link("shop", `{"fee":500,"name":"socks"}`)
	d.scanned(d.ask(jar(t), input{path: "/app/shop/pay?" + link}))
	d.ask(nil, input{path: "/app/shop/pay?fee=1&wetoken_key=" + payKey, key: payKey})
	d.ask(nil, input{method: "POST", path: "/app/shop/pay", body: "<xml/>"})
	for _, hidden := range []string{signKey, payKey, d.options.Config.Merchants["old"].V2.APIKey, strings.TrimPrefix(link, "link=")} {
		require.NotContains(t, d.log.String(), hidden)
	}
	require.Contains(t, d.log.String(), "action=link")
}
