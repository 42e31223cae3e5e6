package main_test

import (
	"maps"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/examples/shop/store"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
)

// nasty is an entry of somebody who tries SQL and HTML.
const nasty = `'); DROP TABLE user; -- "><b id=planted onclick=planted=1>`

func TestARealBrowserBuysPaysAndGetsTheMoneyBack(t *testing.T) {
	testform.NeedFull(t)
	b := webdriver.Start(t).Desktop(t)
	axe := loadAxe(t)
	screen, hand := b.Windows()[0], b.NewWindow()
	var inUse sync.Mutex
	shoptest.OnEach(t, func(t *testing.T, name string) {
		inUse.Lock() // there is one browser
		defer inUse.Unlock()
		db, err := store.Open(t.Context(), name)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.DB.Close()) })
		v := &visit{t: t, b: b.In(t), db: db, name: name, axe: axe, screen: screen, hand: hand}
		axe = "" // the pages are the same on the other database
		v.b.Switch(screen)
		v.b.DevTools("Network.clearBrowserCookies", map[string]any{}, nil)
		v.at, v.phone, v.log = runShop(t, name)

		v.browse()
		v.register()
		v.logIn()
		v.tamperWithThePrice()
		paid := v.buyAndPay()
		v.sendNastyEntries()
		v.administer(paid)
		v.forgeTheSession()
		v.switchLanguage()
	})
}

// browse goes from the first page to a product.
func (v *visit) browse() {
	v.open("/")
	require.Equal(v.t, "zh-CN", v.lang())
	v.look()
	v.follow(`.tiles a[href="/goods?category=1"]`)
	v.b.Find(".brands")
	v.look()
	v.follow(`.brands a[href$="brand=2"]`)
	v.follow(`.goods a[href="/goods/11"]`)
	require.Equal(v.t, "¥459.00", v.b.Text("#price"))
	v.look()
	v.requireQuiet()
}

func (v *visit) lang() (lang string) {
	v.b.Run("return document.documentElement.lang", &lang)
	return lang
}

// register signs up on the way to buying a product.
func (v *visit) register() {
	v.follow("#buy")
	v.look()
	v.follow(`main a[href^="/account/register"]`)
	v.look()
	v.b.Type("#username", "Customer1")
	v.b.Type("#mobile", "13800138000")
	v.b.Click("#send-code")
	v.b.FindText("验证码已发送")
	code := v.code("13800138000")
	v.b.Type("#password", "secret123")
	v.b.Type("#repeat", "secret123")
	v.requireQuiet()

	v.b.Type("#code", shoptest.Wrong(code))
	v.follow("#register")
	v.requireRefused("验证码不正确或已过期。")
	v.post("main form", map[string]string{"code": code, "password": "secret123", "repeat_password": "secret124"})
	v.requireRefused("两次输入的密码不一致。")

	v.post("main form", map[string]string{"password": "secret123", "repeat_password": "secret123"})
	require.Equal(v.t, "Customer1", v.b.Text("#user"))
	require.Equal(v.t, v.at+"/goods/11", v.b.URL())
	v.requireQuiet()
}

// logIn logs out and in again, with a wrong password first.
func (v *visit) logIn() {
	v.follow("#logout")
	v.b.Find(`a[href^="/account/login"]`)
	v.open("/orders")
	v.b.Find("#login")
	v.post("main form", map[string]string{"username": "Customer1", "password": "secret124"})
	v.requireRefused("用户名或密码不正确。")
	v.look()
	v.b.Type("#password", "secret123")
	v.follow("#login")
	v.b.FindText("还没有订单。")
	require.Equal(v.t, v.at+"/orders", v.b.URL(), "the page that asked for the login")
	v.look()
	v.requireQuiet()
}

// tamperWithThePrice sends another price than that of the product, and other things that the shop does not sell.
func (v *visit) tamperWithThePrice() {
	v.open("/goods/5")
	for _, fen := range []string{"1", nasty} {
		v.post("form.buy", map[string]string{"fen": fen})
		v.requireRefused("价格已变动，请确认后重新购买。")
	}
	for _, fields := range []map[string]string{{"count": nasty}, {"product": nasty}} {
		v.post("form.buy", fields)
		v.requireRefused("没有这件商品。")
	}
	require.Empty(v.t, v.orders())
}

func (v *visit) orders() []shop.Order {
	v.t.Helper()
	orders, err := v.db.Orders(v.t.Context(), 0, 0, 100)
	require.NoError(v.t, err)
	return orders
}

// buyAndPay buys two of a product. Its page shows a new QR code and the payment without a reload.
func (v *visit) buyAndPay() (no string) {
	v.open("/goods/5")
	v.b.Run(`document.querySelector("select[name=count]").value = "2"`, nil)
	v.follow("#buy")
	v.b.Find("#state[data-state=NOTPAY]")
	require.Equal(v.t, "¥24.00", v.b.Text("#total"))
	no = v.b.Text("#number")
	v.look()
	v.b.Run("window.loaded = 1", nil)
	code := v.scan()
	require.Contains(v.t, code, "weixin://wxpay/bizpayurl?pr=")

	expires := time.Now().Add(time.Hour)
	require.NoError(v.t, v.db.SetCode(v.t.Context(), no, code+"-renewed", expires))
	v.b.FindText(code + "-renewed")
	require.Equal(v.t, code+"-renewed", v.scan())
	require.NoError(v.t, v.db.SetCode(v.t.Context(), no, code, expires))

	v.pay(code, "¥24.00")
	v.b.Find("#state[data-state=SUCCESS]")
	require.Contains(v.t, v.b.Text("#live"), "支付成功")
	var loaded int
	v.b.Run("return window.loaded", &loaded)
	require.Equal(v.t, 1, loaded, "the page is still the same")
	v.look()
	v.open("/orders")
	require.Contains(v.t, v.b.Text(".list"), no)
	v.look()
	v.requireQuiet()
	return no
}

// sendNastyEntries sends SQL and HTML in the fields of customers.
func (v *visit) sendNastyEntries() {
	for _, path := range []string{"/goods?category=" + url.QueryEscape(nasty) + "&brand=" + url.QueryEscape(nasty), "/orders?before=" + url.QueryEscape(nasty)} {
		v.open(path) // numbers that are none count as none
		v.requireRefused("乐步运动")
	}
	for path, text := range map[string]string{
		"/goods/" + url.PathEscape(nasty): "没有这件商品。", "/orders/" + url.PathEscape(nasty): "找不到这个页面。", "/goods?category=999": "找不到这个页面。",
	} {
		v.open(path)
		v.requireRefused(text)
	}
	v.look()
	v.open("/admin")
	v.requireRefused("只有管理员可以打开这个页面。")

	v.follow("#logout")
	v.open("/account/login?to=//evil.example.com")
	v.post("main form", map[string]string{"username": nasty, "password": nasty, "to": nasty})
	v.requireRefused("用户名或密码不正确。")
	require.Equal(v.t, nasty, v.value("#username"))
	v.post("main form", map[string]string{"username": "Customer1", "password": "secret123", "to": "//evil.example.com"})
	v.b.Find("#user")
	require.Equal(v.t, v.at+"/", v.b.URL())
	v.follow("#logout")

	v.open("/account/register")
	good := map[string]string{"username": "Customer2", "mobile": "13800138001", "code": "1234", "password": "secret123", "repeat_password": "secret123"}
	for field, text := range map[string]string{
		"username": "用户名须为 3–20 位字母或数字。", "mobile": "请输入 11 位的大陆手机号。", "code": "验证码是 4 位数字。",
		"password": "密码须为 3–30 位字母或数字。", "repeat_password": "两次输入的密码不一致。",
	} {
		fields := maps.Clone(good)
		fields[field] = nasty
		if field == "password" {
			fields["repeat_password"] = nasty
		}
		v.post("main form", fields)
		v.requireRefused(text)
	}
	v.b.Find("#send-code")
	v.fill("main form", map[string]string{"mobile": nasty})
	v.b.Run(`document.querySelector("[name=mobile]").removeAttribute("pattern")`, nil)
	v.b.Click("#send-code")
	v.requireRefused("请输入 11 位的大陆手机号。")
}

func (v *visit) value(css string) (value string) {
	v.b.Run("return document.querySelector(arguments[0]).value", &value, css)
	return value
}

// administer ships and refunds the order, and compares a day with WeChat's bill.
func (v *visit) administer(no string) {
	out, err := exec.Command(program(v.t), "-db", v.name, "-admin", "Customer1").CombinedOutput()
	require.NoError(v.t, err, "%s", out)
	lost := shop.Payment{TransactionID: "4200000000000000001", OutTradeNo: "lost1", Fen: 100, PaidAt: time.Now().Add(-48 * time.Hour)}
	require.NoError(v.t, v.db.Settle(v.t.Context(), lost))

	v.open("/admin")
	v.post("main form", map[string]string{"username": "Customer1", "password": "secret123"})
	v.b.Find("#problems")
	require.Contains(v.t, v.b.Text("#problems"), "lost1")
	v.look()
	v.requireQuiet()
	v.follow("#problems button:not([formaction])")
	v.requireRefused("订单的当前状态不允许这个操作。")

	company, tracking := `<i id=planted>'--`, nasty
	form := "#order-" + no + " .ship"
	v.b.Click(form + " summary")
	v.look()
	v.post(form+" form", map[string]string{"company": company, "tracking": strings.Repeat("x", 65)})
	v.requireRefused("请检查填写的内容。")
	v.b.Click(form + " summary")
	v.post(form+" form", map[string]string{"company": company, "tracking": tracking})
	v.requireRefused("订单已发货。")
	require.Contains(v.t, v.b.Text("#order-"+no), company+" "+tracking)
	v.open("/orders/" + no)
	v.b.Find("#state[data-state=SHIPPED]")
	v.requireRefused(company)
	require.Contains(v.t, v.b.Text("#live"), tracking)
	v.look()

	v.open("/admin")
	form = "#order-" + no + " .refund"
	v.b.Click(form + " summary")
	v.post(form+" form", map[string]string{"reason": nasty})
	v.requireRefused("退款已提交")
	require.Eventually(v.t, func() bool {
		o, err := v.db.Order(v.t.Context(), no)
		return err == nil && o.State == shop.Refunded
	}, time.Minute, 100*time.Millisecond)
	v.open("/orders/" + no)
	v.b.Find("#state[data-state=REFUND]")
	v.look()

	v.open("/admin/bill")
	v.look()
	v.b.Run(`document.getElementById("day").value = arguments[0]`, nil, lost.PaidAt.In(time.FixedZone("", 8*60*60)).Format(time.DateOnly))
	v.follow("#compare")
	v.b.FindText("1 处不一致")
	require.Contains(v.t, v.b.Text("#bill"), "账单没有这笔收款")
	v.look()
	v.requireQuiet()
	v.open("/admin/bill?day=" + url.QueryEscape(nasty))
	v.requireRefused("日期不正确。")
}

// forgeTheSession changes the user in the token of the cookie, and its signature.
func (v *visit) forgeTheSession() {
	var jar struct {
		Cookies []struct {
			Name, Value, SameSite string
			HTTPOnly              bool
		}
	}
	v.b.DevTools("Network.getCookies", map[string]any{}, &jar)
	var token string
	for _, c := range jar.Cookies {
		if c.Name == "shop_token" {
			token = c.Value
			require.True(v.t, c.HTTPOnly)
			require.Equal(v.t, "Lax", c.SameSite)
		}
	}
	require.NotEmpty(v.t, token)
	parts := strings.Split(token, ".")
	require.Len(v.t, parts, 3)
	other := string(parts[2][0]^1) + parts[2][1:]
	for _, forged := range []string{
		parts[0] + "." + parts[1] + ".", parts[0] + "." + parts[1] + "." + other, "eyJhbGciOiJub25lIn0." + parts[1] + ".", parts[0] + ".e30." + parts[2],
	} {
		v.setToken(forged)
		v.open("/admin")
		v.b.Find("#login")
	}
	v.setToken(token)
	v.open("/admin")
	v.b.Find("#user")
}

func (v *visit) setToken(token string) {
	v.b.DevTools("Network.setCookie", map[string]any{"url": v.at, "name": "shop_token", "value": token, "httpOnly": true}, nil)
}

// switchLanguage shows pages in English.
func (v *visit) switchLanguage() {
	v.open("/goods/5")
	v.follow("#language")
	v.b.FindText("Sports socks")
	require.Equal(v.t, v.at+"/goods/5", v.b.URL())
	require.Equal(v.t, "en", v.lang())
	v.look()
	v.open("/")
	require.Equal(v.t, "en", v.lang())
	v.look()
	v.follow("#language")
	v.b.FindText("我的订单")
	v.requireQuiet()
}
