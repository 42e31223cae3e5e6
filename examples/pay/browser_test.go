package main_test

import (
	"bytes"
	"image"
	_ "image/png"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
)

// scan returns the text of the QR code in an image.
func scan(t *testing.T, picture []byte) string {
	t.Helper()
	img, _, err := image.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	require.NoError(t, err)
	code, err := qrcode.NewQRCodeReader().Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	require.NoError(t, err)
	return code.GetText()
}

func TestARealBrowserShowsACodeThatAPhonePays(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	at, phone := start(t)
	screen, hand := d.Desktop(t), d.Tab(t)

	screen.Open(at)
	screen.Click("#native")
	screen.RunAsync(`var done = arguments[0], qr = document.getElementById("qr");
		if (qr.complete && qr.naturalWidth) done(); else qr.onload = function () { done(); };`, nil)
	code := scan(t, screen.Screenshot())
	require.Contains(t, code, "weixin://wxpay/bizpayurl?pr=")
	require.Equal(t, "not paid", screen.Text("#result"))

	hand.Open(phone + "/phone")
	hand.Type("#what", code)
	hand.Click("#open")
	require.Equal(t, "Example shop", hand.Text("#shop"))
	require.Equal(t, "¥12.00", hand.Text("#amount"))
	require.Equal(t, "socks", hand.Text(".goods"))
	requireFits(t, hand)
	hand.Click("#pay")
	require.Equal(t, "支付成功", hand.Text("#state[data-state=paid]"))
	require.Equal(t, "paid", screen.Text("#result.paid"), "the page turns")

	computer := d.Desktop(t, "--accept-lang=en-US")
	computer.Open(phone + "/phone")
	computer.FindText("simulated")
	computer.Type("#what", code)
	computer.Click("#open")
	computer.FindText("该订单已支付")
	computer.FindText("the order is paid already")
}

// requireFits fails unless a page fits a phone 360 pixels wide.
func requireFits(t *testing.T, b *webdriver.Tab) {
	t.Helper()
	var wide float64
	b.Run("return document.documentElement.scrollWidth", &wide)
	require.LessOrEqual(t, wide, 360.0)
}

func TestARealBrowserPaysInAPageOfThePhone(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	at, phone := start(t)
	hand := d.Tab(t)

	hand.Open(phone + "/phone")
	requireFits(t, hand)
	hand.Type("#what", at+"/")
	hand.Click("#open")
	hand.EnterFrame("#page")
	hand.Click("#jsapi")
	answer := func(button string) {
		hand.Click("#pay")
		hand.EnterFrame("#paytest-sheet")
		require.Equal(t, "¥12.00", hand.Text("#amount"))
		hand.Click(button)
		hand.LeaveFrame()
		hand.EnterFrame("#page")
	}
	answer("#cancel")
	hand.FindText("get_brand_wcpay_request:cancel")
	require.Equal(t, "not paid", hand.Text("#result"))
	answer("#fail")
	hand.FindText("get_brand_wcpay_request:fail")
	answer("#pay")
	hand.FindText("get_brand_wcpay_request:ok")
	require.Equal(t, "paid", hand.Text("#result.paid"))

	hand.Click("#pay") // again: a paid order has no parameters
	hand.FindText("get_brand_wcpay_request:fail")
}

func TestARealBrowserPaysByH5(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	at, phone := start(t)
	hand := d.Tab(t)

	hand.Open(at)
	hand.Click("#h5")
	hand.Click("#link")
	windows := hand.Windows()
	require.Len(t, windows, 2)
	hand.Switch(windows[1])
	require.Equal(t, "¥12.00", hand.Text("#amount"))
	require.Contains(t, hand.URL(), phone+"/phone/pay/sheet/", "the page of the shop sent its Referer")
	hand.Click("#wait")
	require.Equal(t, "正在输入密码", hand.Text("#state[data-state=waiting]"))
	hand.Click("#pay")
	require.Equal(t, "支付成功", hand.Text("#state[data-state=paid]"))
	hand.Switch(windows[0])
	require.Equal(t, "paid", hand.Text("#result.paid"))
}
