package compat_test

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"rsc.io/qr"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/push"
)

// fetch asks the public side.
func (w *proxyWorld) fetch(method, path, form, body string) (status int, answer string, header http.Header) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.public+path, strings.NewReader(body))
	require.NoError(w.t, err)
	if form != "" {
		r.Header.Set("Content-Type", form)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return resp.StatusCode, string(b), resp.Header
}

// requireQR requires that an image is the QR code of a text: each module is a square of one colour, with 4 white ones around.
func requireQR(t *testing.T, file, text string, size int) {
	t.Helper()
	m, err := png.Decode(strings.NewReader(file))
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, size, size), m.Bounds())
	want, err := qr.Encode(text, qr.M)
	require.NoError(t, err)
	black := func(x, y int) bool { return color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y < 128 }
	scale := size / (want.Size + 8)
	margin := (size - scale*want.Size) / 2
	require.GreaterOrEqual(t, margin, 4*scale)
	for y := range size {
		for x := range size {
			inside := x >= margin && y >= margin
			require.Equal(t, inside && want.Black((x-margin)/scale, (y-margin)/scale), black(x, y), "%d,%d", x, y)
		}
	}
}

func TestATextIsShownAsAQRCode(t *testing.T) {
	w := newProxyWorld(t, nil)
	const text = "https://shop.example.com/商品?a=1&b=2"
	for _, path := range []string{"/qrcode", "/qrcode/", "/app/shop/qrcode"} {
		status, body, header := w.fetch("GET", path+"?path="+url.QueryEscape(text), "", "")
		require.Equal(t, 200, status)
		require.Equal(t, "image/png", header.Get("Content-Type"))
		requireQR(t, body, text, 256)
	}
	_, body, _ := w.fetch("GET", "/qrcode?size=300&path="+url.QueryEscape(text), "", "")
	requireQR(t, body, text, 300)
	status, body, _ := w.fetch("POST", "/qrcode", formForm, url.Values{"path": {text}, "size": {"1024"}}.Encode())
	require.Equal(t, 200, status)
	requireQR(t, body, text, 1024)
	_, body, _ = w.fetch("GET", "/qrcode?path="+strings.Repeat("a", 1024), "", "")
	requireQR(t, body, strings.Repeat("a", 1024), 256)
}

func TestAQRCodeIsBounded(t *testing.T) {
	w := newProxyWorld(t, nil)
	for query, text := range map[string]string{
		"":                                     "the text of a QR code: want 1 to 1024 bytes",
		"?path=" + strings.Repeat("a", 1025):   "the text of a QR code: want 1 to 1024 bytes",
		"?path=a&size=1025":                    "size: want 29 to 1024 pixels for this text",
		"?path=a&size=28":                      "size: want 29 to 1024 pixels for this text",
		"?path=a&size=-1":                      "size: want 29 to 1024 pixels for this text",
		"?path=a&size=99999999999999999999999": "size: want a number of pixels",
		"?path=a&size=large":                   "size: want a number of pixels",
	} {
		status, body, _ := w.fetch("GET", "/qrcode"+query, "", "")
		require.Equal(t, 400, status, query)
		require.Equal(t, `{"errcode": -10001, "errmsg": "`+text+`"}`, body)
	}
	status, _, _ := w.fetch("POST", "/qrcode", formForm, "path="+strings.Repeat("a", 70<<10))
	require.Equal(t, 400, status)
	status, body, _ := w.fetch("GET", "/app/none/qrcode?path=a", "", "")
	require.Equal(t, 404, status)
	require.Equal(t, `{"errcode": -10001, "errmsg": "not found"}`, body)
}

func TestTheEchoIsTextAndBounded(t *testing.T) {
	w := newProxyWorld(t, nil)
	const page = `<script>alert(document.domain)</script>{"openid":"o"}` + "=\r\n"
	for _, form := range []string{"text/plain", "text/html", formForm, "multipart/form-data; boundary=x"} {
		status, body, header := w.fetch("POST", "/echo", form, page)
		require.Equal(t, 200, status)
		require.Equal(t, page, body)
		require.Equal(t, "text/plain; charset=utf-8", header.Get("Content-Type"))
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	}
	status, body, _ := w.fetch("GET", "/echo", "", "")
	require.Equal(t, 200, status)
	require.Empty(t, body)
	status, _, _ = w.fetch("POST", "/echo", "text/plain", strings.Repeat("a", 64<<10+1))
	require.Equal(t, 400, status)
}

func TestEchoAndPagesAreServedOnlyWhereTheyAreAskedFor(t *testing.T) {
	w := newProxyWorld(t, nil, func(o *gateway.Options) { o.Config.Compat.Examples = false })
	for _, path := range []string{"/echo", "/example", "/example/", "/example/qrcode?app=shop", "/example/example.js", "/example/example.css"} {
		status, _, _ := w.fetch("GET", path, "", "")
		require.Equal(t, 404, status, path)
	}
	status, _, _ := w.fetch("GET", "/qrcode?path=a", "", "")
	require.Equal(t, 200, status)
	require.Equal(t, "success", w.send(w.callback("/app/shop/msg", "/user", "/echo"), push.Message{Content: "hi"}).Tries[0].Body)
}

func TestExamplePagesAreForWeChatWhereNoneIsSimulated(t *testing.T) {
	w := newProxyWorld(t, nil)
	for page, script := range map[string]string{"qrcode": "'self'", "jsapi": "'self'", "login": "'self'", "jssdk": "'self' https://res.wx.qq.com"} {
		status, body, header := w.fetch("GET", "/example/"+page+"?app=shop&openid=o", "", "")
		require.Equal(t, 200, status)
		require.NotContains(t, body, "bridge.js")
		require.Equal(t, page == "jssdk", strings.Contains(body, `<script src="https://res.wx.qq.com/open/js/jweixin-1.6.0.js">`))
		require.Equal(t, "default-src 'none'; script-src "+script+"; connect-src "+script+"; frame-src 'none'"+
			"; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", header.Get("Content-Security-Policy"))
		require.Equal(t, "same-origin", header.Get("Referrer-Policy"))
	}
}

func TestExamplePagesUseTheOldRoutesOfAnApp(t *testing.T) {
	w := newProxyWorld(t, nil, func(o *gateway.Options) {
		o.Config.Endpoints.Script = "https://script.example:8443/x"
	})
	for path, parts := range map[string][]string{
		"/example":                {`<form action="/example/" method="get">`},
		"/example/?app=shop":      {`href="/example/qrcode?app=shop"`, `href="/example/jsapi?app=shop"`, `href="/example/jssdk?app=shop"`, `href="/example/login?app=shop"`},
		"/example/jssdk?app=shop": {`<script src="https://script.example:8443/x/open/js/jweixin-1.6.0.js">`, `<script src="/app/shop/js/config">`},
		"/example/login?app=shop": {`href="/app/shop/auth/info?call=/echo"`},
		"/example/login?app=" + url.QueryEscape(unicodeName): {`href="/app/` + url.PathEscape(unicodeName) + `/auth/info?call=/echo"`},
		"/example/qrcode?app=shop&fee=12&name=a%26b%3D%22c":  {`src="/app/shop/pay/qrcode?fee=12&amp;name=a%26b%3d%22c&amp;out_trade_no=example-`, `data-order="/app/shop/pay?fee=12&amp;`, `a&amp;b=&#34;c，12 分`},
		"/example/jsapi?app=shop":                            {`name="openid"`},
		"/example/jsapi?app=shop&openid=o1%22":               {`src="/app/shop/pay/js?fee=1&amp;name=`, `&amp;openid=o1%22&amp;`, `&amp;call=/echo&amp;var=order"`, `<script src="https://script.example:8443/x/phone/pay/bridge.js">`},
		"/example/qrcode?app=shop&fee=1;drop":                {`src="/app/shop/pay/qrcode?fee=1&amp;`},
	} {
		status, body, header := w.fetch("GET", path, "", "")
		require.Equal(t, 200, status, path)
		for _, part := range parts {
			require.Contains(t, body, part, path)
		}
		require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
		const phone = "https://script.example:8443"
		script, frame := "'self'", "'none'"
		switch {
		case strings.Contains(path, "jssdk"):
			script += " " + phone
		case strings.Contains(path, "jsapi"):
			script, frame = script+" "+phone, phone
		}
		require.Equal(t, "default-src 'none'; script-src "+script+"; connect-src "+script+"; frame-src "+frame+
			"; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors "+phone, header.Get("Content-Security-Policy"))
		require.NotRegexp(t, regexp.MustCompile(`<script>| style=| on[a-z]+=|javascript:`), body, "the policy allows none")
	}
	for _, path := range []string{"/example/login", "/example/login?app=none", "/example/jssdk?app=gone", "/example/qrcode?app=" + strings.Repeat("x", 70), "/example/login?app=%3Cscript%3E"} {
		status, body, _ := w.fetch("GET", path, "", "")
		require.Equal(t, 404, status, path)
		require.NotContains(t, body, "<script>")
		require.Contains(t, body, `<form action="/example/"`)
	}
	for name, kind := range map[string]string{"example.js": "text/javascript", "example.css": "text/css"} {
		status, body, header := w.fetch("GET", "/example/"+name, "", "")
		require.Equal(t, 200, status)
		require.NotEmpty(t, body)
		require.Contains(t, header.Get("Content-Type"), kind)
	}
	for _, path := range []string{"/example/other", "/example/page.html", "/example/../proxy.go"} {
		status, _, _ := w.fetch("GET", path, "", "")
		require.Equal(t, 404, status, path)
	}
	_, first, _ := w.fetch("GET", "/example/qrcode?app=shop", "", "")
	_, second, _ := w.fetch("GET", "/example/qrcode?app=shop", "", "")
	no := regexp.MustCompile(`example-[A-Z2-7]{16}`)
	require.NotEqual(t, no.FindString(first), no.FindString(second), "each page is an order of its own")
	require.NotEmpty(t, no.FindString(first))
}
