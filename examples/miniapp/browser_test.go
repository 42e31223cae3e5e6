package main_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/store"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// says waits until the page says a text.
func says(b *webdriver.Tab, text string) {
	b.FindText(text)
}

func TestARealBrowserPlaysTheMiniProgramAndTheOfficialAccount(t *testing.T) {
	testform.NeedFull(t)
	p := start(t, store.GivePoints)
	hand := webdriver.Start(t).Tab(t)

	// The default login makes an account with a random name, which the phone renames.
	hand.Open(p.url + "/")
	hand.Click("#login")
	says(hand, "已登录，请绑定手机号")
	require.Equal(t, "未绑定", hand.Text("#phone-number"))
	require.Contains(t, hand.Text("#user-name"), "wx")
	hand.Click("#phone")
	hand.Click("#wechattest-deny")
	says(hand, "user deny")
	hand.Click("#phone")
	hand.Click("#wechattest-allow")
	says(hand, "手机号已绑定")
	require.Equal(t, "13800138000", hand.Text("#user-name"))

	// The profile is as the person gives it.
	hand.Click("#choose-avatar")
	says(hand, "头像已选择")
	hand.Type("#nickname", `小明 <b>&`)
	hand.Click("#save")
	says(hand, "资料已保存")
	require.Equal(t, `小明 <b>&`, hand.Text("#shown-nickname"))
	var width float64
	hand.RunAsync(`var done = arguments[0], img = document.getElementById("avatar");
		if (img.complete) done(img.naturalWidth); else img.onload = function () { done(img.naturalWidth); };`, &width)
	require.EqualValues(t, 132, width)

	// An order is placed, left, cancelled; another one is paid.
	hand.Click("#buy")
	says(hand, "已下单")
	pay := func(button string) {
		t.Helper()
		hand.Click("#pay")
		hand.EnterFrame("#paytest-sheet")
		require.Equal(t, "¥12.00", hand.Text("#amount"))
		hand.Click(button)
		hand.LeaveFrame()
	}
	pay("#cancel")
	says(hand, "requestPayment:fail cancel")
	hand.Click("#cancel")
	says(hand, "订单已取消")
	hand.Click("#buy")
	says(hand, "已下单")
	hand.Click("#subscribe")
	hand.Click("#wechattest-allow")
	says(hand, "已订阅一次")
	pay("#pay")
	says(hand, "订单已支付")
	require.Equal(t, "12", hand.Text("#points"))
	require.Eventually(t, func() bool { return len(p.world.WeChat.Sent()) == 1 }, 20*time.Second, 10*time.Millisecond)

	// The second WeChat of the same person, with the same phone.
	hand.Open(p.url + "/?person=老明")
	hand.Click("#login")
	says(hand, "已登录，请绑定手机号")
	hand.Click("#old-phone")
	hand.Click("#wechattest-allow")
	says(hand, "该手机号已绑定其他账号")
	require.Equal(t, "未绑定", hand.Text("#phone-number"))

	// The official account of the same open platform: the same account.
	hand.Open(p.url + "/")
	hand.Click("#official")
	hand.Click("#login")
	hand.Click("#allow")
	require.Equal(t, "13800138000", hand.Text("#user-name"))
	require.Equal(t, "12", hand.Text("#points"))
	p.world.WeChat.AddPerson(wechattest.Person{Name: "小明", Nickname: "明明"})
	hand.Click("#refresh")
	says(hand, "已更新 明明")
	require.Equal(t, "明明", hand.Text("#nickname"))
	require.Equal(t, 1, p.world.WeChat.Calls("/sns/oauth2/refresh_token"))

	// The merchant's side, in the same browser: the bill.
	day := time.Now().In(beijing).AddDate(0, 0, -3)
	require.NoError(t, p.world.Pay.AddBill(paytest.Bill{MchID: mchID, Kind: "tradebill", Day: day, Write: func(w io.Writer) error {
		_, err := io.WriteString(w, "\ufeff交易时间,应结订单金额\r\n`2026-11-01 10:00:00,`12.00\r\n总交易单数,应结订单总金额\r\n`1,`12.00\r\n")
		return err
	}}))
	var bill string
	hand.RunAsync(`var done = arguments[2];
		fetch("/admin/bills/" + arguments[0] + "/file", {headers: {Authorization: "Bearer " + arguments[1]}}).then(function (r) { return r.text(); }).then(done);`,
		&bill, day.Format(time.DateOnly), adminKey)
	require.Contains(t, bill, "总交易单数")
}
