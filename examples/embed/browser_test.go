//go:build unix

package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
)

func TestARealBrowserLogsInAndPays(t *testing.T) {
	testform.NeedFull(t)
	hand := webdriver.Start(t).Tab(t)
	p := start(t)

	hand.Open(p.at)
	hand.Click("#wechat")
	hand.Click("#allow")
	require.Equal(t, "小明 👋", hand.Text("#name"))
	hand.Click(`button[value="围城"]`)
	pay := func(button string) {
		hand.Click("#pay")
		hand.EnterFrame("#paytest-sheet")
		require.Equal(t, "¥39.00", hand.Text("#amount"))
		hand.Click(button)
		hand.LeaveFrame()
	}
	pay("#cancel")
	hand.FindText("get_brand_wcpay_request:cancel")
	pay("#pay")
	hand.Find("#paid") // the page reloads itself
	require.Equal(t, "订单 1，已付款 1。Orders: 1, paid: 1.", write(t, p))
}
