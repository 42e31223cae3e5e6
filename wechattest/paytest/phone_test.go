package paytest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// browser is a client for the pages of the Server.
type browser struct {
	t    *testing.T
	base string
	lang string
}

func newBrowser(t *testing.T, s *paytest.Server) *browser {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return &browser{t: t, base: server.URL}
}

// page sends a request, follows redirects, and returns the page. header has pairs of name and value.
func (b *browser) page(method, path string, form url.Values, header ...string) (status int, at *url.URL, body string, head http.Header) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept-Language", b.lang)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(b.t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return res.StatusCode, res.Request.URL, string(raw), res.Header
}

// see calls page and requires status 200.
func (b *browser) see(method, path string, form url.Values, header ...string) (at *url.URL, body string) {
	b.t.Helper()
	status, at, body, _ := b.page(method, path, form, header...)
	require.Equal(b.t, 200, status, "%s", body)
	return at, body
}

func TestThePhoneWorksByForms(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, paytest.Merchant{MchID: mchID, Name: `<b>"Shop"</b>`})
	b := newBrowser(t, s)
	code := c.do("POST", native, with(nativeOrder("order-1", 1234), "description", "<script>alert(1)</script>")).text("code_url")

	_, home := b.see("GET", "/phone", nil)
	require.Contains(t, home, `lang="zh-CN"`)
	at, sheet := b.see("POST", "/phone/pay/open", url.Values{"what": {" " + code + "\n"}})
	require.Contains(t, sheet, "¥12.34")
	require.Contains(t, sheet, "&lt;script&gt;")
	require.NotContains(t, sheet, "<script")
	require.NotContains(t, sheet, "<b>")
	_, home = b.see("GET", "/phone", nil)
	require.Contains(t, home, at.Path, "it is listed")

	_, sheet = b.see("POST", at.Path, url.Values{"do": {"wait"}})
	require.Contains(t, sheet, "正在输入密码")
	_, sheet = b.see("POST", at.Path, url.Values{"do": {"pay"}, "openid": {payer}})
	require.Contains(t, sheet, "支付成功")
	paid, err := s.Order(mchID, "order-1")
	require.NoError(t, err)
	require.Equal(t, payer, paid.OpenID)
	_, home = b.see("GET", "/phone", nil)
	require.NotContains(t, home, at.Path)
	_, again := b.see("POST", at.Path, url.Values{"do": {"pay"}})
	require.Contains(t, again, "页面已失效")
	_, again = b.see("POST", "/phone/pay/open", url.Values{"what": {code}})
	require.Contains(t, again, "该订单已支付")

	b.lang = "en-US,en;q=0.9,zh;q=0.5"
	_, home = b.see("GET", "/phone", nil)
	require.Contains(t, home, `lang="en"`)
	require.NotRegexp(t, `\p{Han}`, home)
	_, sheet = b.see("GET", at.Path, nil)
	require.Contains(t, sheet, "Paid")
	_, again = b.see("GET", "/phone/pay/sheet/none", nil)
	require.Contains(t, again, "unknown sheet")
}

func TestThePhoneOpensPastedTexts(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	b := newBrowser(t, s)
	id := c.do("POST", jsapi, order("order-1", 100)).text("prepay_id")
	params, err := json.Marshal(c.params(id))
	require.NoError(t, err)
	link := c.do("POST", h5, h5Order("order-2", 100)).text("h5_url")
	require.True(t, strings.HasPrefix(link, "https://wx.tenpay.com/"), link)
	open := func(what, referer string) string {
		_, body := b.see("POST", "/phone/pay/open", url.Values{"what": {what}, "referer": {referer}})
		return body
	}
	require.Contains(t, open(string(params), ""), `id="pay"`)
	require.Contains(t, open(link, shopURL), `id="pay"`)
	require.Contains(t, open(link, ""), "商家参数格式有误")
	require.Contains(t, open(strings.Replace(string(params), `"nonceStr":"`, `"nonceStr":"x`, 1), ""), "支付验证签名失败")
	require.Contains(t, open(`{"timeStamp":1}`, ""), "timeStamp is a number: want a string")
	require.Contains(t, open(`{`, ""), "want a JSON object")
	require.Contains(t, open("http://shop.example/?a=1&b=2", ""), `src="http://shop.example/?a=1&amp;b=2"`)
	require.Contains(t, open("javascript:alert(1)", ""), "二维码已过期")
	_, home := b.see("GET", "/phone?page="+url.QueryEscape("javascript:alert(1)"), nil)
	require.NotContains(t, home, "<iframe")
}

func TestAnH5PageNeedsAReferer(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, paytest.Merchant{MchID: mchID, H5Domains: []string{"shop.example"}})
	b := newBrowser(t, s)
	c.base, c.http = b.base, http.DefaultClient
	link := c.do("POST", h5, h5Order("order-1", 100)).text("h5_url")
	path, own := strings.CutPrefix(link, b.base)
	require.True(t, own, "a browser finds the page of %s", link)
	path += "&redirect_url=" + url.QueryEscape(`https://shop.example/?a="1"&b=2;url=x`)

	_, body := b.see("GET", path, nil)
	require.Contains(t, body, "商家参数格式有误")
	_, body = b.see("GET", path, nil, "Referer", "https://evil.example/")
	require.Contains(t, body, "商家存在未配置的参数")
	_, body = b.see("GET", path, nil, "Referer", shopURL, "User-Agent", "Mozilla/5.0 MicroMessenger/8.0")
	require.Contains(t, body, "请在微信外打开")
	at, body := b.see("GET", path, nil, "Referer", shopURL)
	require.NotContains(t, body, "http-equiv")
	_, body = b.see("POST", at.Path, url.Values{"do": {"pay"}})
	require.Regexp(t, `http-equiv="refresh" content="1;url=https://shop.example/\?a=&#34;1&#34;&amp;b=2;url=x"`, body)
	require.Equal(t, "SUCCESS", c.state("order-1"))
}

// The policy of the pages allows no scripts, and frames as the only content of other hosts.
func TestPolicyOfThePages(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	b := newBrowser(t, s)
	code := c.do("POST", native, nativeOrder("order-1", 100)).text("code_url")
	at, _ := b.see("POST", "/phone/pay/open", url.Values{"what": {code}})
	for _, path := range []string{"/phone", at.Path} {
		_, _, body, head := b.page("GET", path, nil)
		policy := head.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.NotContains(t, policy, "unsafe")
		require.NotContains(t, policy, "script-src")
		require.Equal(t, path == "/phone", strings.Contains(policy, "frame-ancestors 'none'"))
		require.Equal(t, "no-store", head.Get("Cache-Control"))
		require.NotRegexp(t, `<script|<style| style=| on\w+=`, body)
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			require.True(t, strings.HasPrefix(m[1], "/phone"), m[1])
		}
	}
	for path, kind := range map[string]string{"style.css": "text/css", "bridge.js": "text/javascript"} {
		status, _, body, head := b.page("GET", "/phone/pay/"+path, nil)
		require.Equal(t, 200, status)
		require.Contains(t, head.Get("Content-Type"), kind)
		require.NotRegexp(t, `https?://`, body)
	}
}

func TestThePhoneRefusesOtherSites(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	b := newBrowser(t, s)
	code := c.do("POST", native, nativeOrder("order-1", 100)).text("code_url")
	at, _ := b.see("POST", "/phone/pay/open", url.Values{"what": {code}})
	for _, one := range [][]string{
		{"GET", "/phone", "Host", "rebound.example"},
		{"GET", "/phone/pay/call/x", "Host", "rebound.example"},
		{"POST", at.Path, "Origin", "https://evil.example"},
		{"POST", "/phone/pay/open", "Origin", "https://evil.example"},
	} {
		status, _, _, _ := b.page(one[0], one[1], url.Values{"do": {"pay"}, "what": {code}}, one[2:]...)
		require.Equal(t, 403, status, "%v", one)
	}
	require.Equal(t, "NOTPAY", c.state("order-1"))
	require.Len(t, s.Sheets(), 1)
	for path, status := range map[string]int{"/phone/": 404, "/phone/pay/": 404, "/phone/pay/open": 405, "/phonebook": 404} {
		got, _, _, _ := b.page("GET", path, nil)
		require.Equal(t, status, got, path)
	}
}

// A page of any site may start a payment that its merchant has signed.
func TestAPageStartsAPayment(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	b := newBrowser(t, s)
	id := c.do("POST", jsapi, order("order-1", 100)).text("prepay_id")
	call := func(body string) (answer struct{ Sheet, Err_Desc string }) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", b.base+"/phone/pay/call", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Origin", "https://shop.example")
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		require.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
		require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
		return answer
	}
	params, err := json.Marshal(c.params(id))
	require.NoError(t, err)
	v := call(`{"params":` + string(params) + `,"page":"` + shopURL + `"}`)
	require.Empty(t, v.Err_Desc)
	require.Contains(t, call(`{"params":{"appId":"wx1"}}`).Err_Desc, "缺少参数")
	require.Contains(t, call(`{"params":{"appId":1}}`).Err_Desc, "want a string")
	require.NotEmpty(t, call(`{`).Err_Desc)
	require.NotEmpty(t, call(`{"params":"`+strings.Repeat("a", 2<<20)+`"}`).Err_Desc, "a body has a limit")

	_, err = s.AnswerSheet(v.Sheet, "cancel", "")
	require.NoError(t, err)
	_, state := b.see("GET", "/phone/pay/call/"+v.Sheet, nil)
	require.JSONEq(t, `{"state":"cancelled"}`, state)
	_, state = b.see("GET", "/phone/pay/call/none", nil)
	require.JSONEq(t, `{"state":"failed"}`, state)
}

func TestSheetsOverHTTP(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	server := httptest.NewServer(s)
	defer server.Close()
	d := driver{t, server.URL}
	code := c.do("POST", native, nativeOrder("order-1", 100)).text("code_url")
	v := d.call(200, "POST", "open_sheet", `{"code_url":"`+code+`"}`)
	id := v["id"].(string)
	require.Equal(t, "open", d.call(200, "GET", "sheet?id="+id, "")["state"])
	require.Equal(t, "open", d.call(200, "GET", "sheet?wait=0&id="+id, "")["state"])
	require.Equal(t, "paid", d.call(200, "POST", "answer_sheet", `{"id":"`+id+`","do":"pay"}`)["state"])
	require.Equal(t, "paid", d.call(200, "GET", "sheet?wait=60&id="+id, "")["state"])
	require.Len(t, d.call(200, "GET", "sheets", "")["list"], 1)
	for _, wrong := range []string{"sheet?id=none", "sheet?wait=61&id=" + id, "sheet?wait=NaN&id=" + id} {
		d.call(400, "GET", wrong, "")
	}
	d.call(400, "POST", "open_sheet", `{}`)
	d.call(400, "POST", "answer_sheet", `{"id":"`+id+`","do":"pay"}`)
}
