package paytest_test

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// cart is a page of a shop. One line replaces WeChat's script, and allows wx.chooseWXPay or not.
var cart = template.Must(template.New("").Parse(`<!DOCTYPE html><title>cart</title>
<button id="buy">Buy</button><p id="said"></p>
<script>
var allowed = {{.Allowed}};
window.wx = { appId: {{.Params.AppID}}, chooseWXPay: function (o) { if (allowed) o.success({}); else o.fail({ errMsg: "chooseWXPay:permission denied" }); } };
document.addEventListener("WeixinJSBridgeReady", function () { document.title = "ready"; });
</script>
<script src="{{.Phone}}/phone/pay/bridge.js"></script>
<script>document.getElementById("buy").onclick = function () {
	function say(res) { document.getElementById("said").textContent += res.errMsg + ";"; }
	var p = {{.Params}};
	wx.chooseWXPay({ timestamp: {{.Timestamp}}, nonceStr: p.nonceStr, package: p.package, signType: p.signType, paySign: p.paySign,
		success: say, cancel: say, fail: say, complete: function () { say({ errMsg: "complete" }); } });
};</script>`))

func TestARealBrowserPaysByWeChatsScript(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	s := newServer(t)
	phone := newBrowser(t, s).base
	data := map[string]any{"Phone": phone, "Allowed": true}
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = cart.Execute(w, data) }))
	defer shop.Close()
	c := newClient(t, s, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, PayPages: []string{shop.URL + "/cart/"}})
	p := c.params(c.do("POST", jsapi, order("order-1", 100)).text("prepay_id"))
	data["Params"], data["Timestamp"] = p, p.TimeStamp
	b := d.Tab(t)

	b.Open(shop.URL + "/cart/1#top")
	var title string
	b.Run("return document.title", &title)
	require.Equal(t, "ready", title)
	b.Click("#buy")
	b.EnterFrame("#paytest-sheet")
	b.Click("#cancel")
	b.LeaveFrame()
	b.FindText("chooseWXPay:cancel;complete;")
	b.Click("#buy")
	b.EnterFrame("#paytest-sheet")
	b.Click("#pay")
	b.LeaveFrame()
	b.FindText("chooseWXPay:ok;complete;")
	require.Equal(t, "SUCCESS", c.state("order-1"))

	b.Open(shop.URL + "/other")
	b.Click("#buy")
	b.FindText("chooseWXPay:fail, 当前页面的URL未注册：" + shop.URL + "/other")
	data["Allowed"] = false
	b.Open(shop.URL + "/cart/1")
	b.Click("#buy")
	b.FindText("chooseWXPay:permission denied")
	data["Allowed"] = true
	data["Timestamp"] = 1 // WeChat does not accept a number
	b.Open(shop.URL + "/cart/1")
	b.Click("#buy")
	b.FindText("timeStamp is a number: want a string")
}
