package paytest_test

import (
	"context"
	"net/url"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const (
	h5      = "/v3/pay/transactions/h5"
	shopURL = "https://shop.example/cart/"
)

func h5Order(no string, fen int) object {
	return with(nativeOrder(no, fen), "scene_info", object{"payer_client_ip": "1.2.3.4", "h5_info": object{"type": "Wap"}})
}

// params returns the signed parameters of a page that starts a payment.
func (c *client) params(prepayID string) *paytest.Params {
	p := &paytest.Params{
		AppID: appID, TimeStamp: strconv.FormatInt(c.now().Unix(), 10), NonceStr: "n0nce", Package: "prepay_id=" + prepayID, SignType: "RSA",
	}
	p.PaySign = signature(c.t, c.m.Key, p.AppID, p.TimeStamp, p.NonceStr, p.Package)
	return p
}

func TestAPersonScansACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := newClient(t, s, paytest.Merchant{MchID: mchID, Name: "小店"})
		code := c.do("POST", native, nativeOrder("order-1", 1234)).text("code_url")
		v, err := s.OpenSheet(paytest.Entry{CodeURL: code, OpenID: payer})
		require.NoError(t, err)
		require.Equal(t, paytest.Sheet{
			ID: v.ID, Shop: "小店", MchID: mchID, OutTradeNo: "order-1", TradeType: "NATIVE", Goods: []string{"socks"}, Total: 1234,
			OpenID: payer, State: paytest.SheetOpen,
		}, v)

		_, err = s.AnswerSheet(v.ID, "wait", "")
		require.NoError(t, err)
		c.refused(202, "USER_PAYING", "POST", byNo+"order-1/close", object{"mchid": mchID})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		waited, err := s.WaitSheet(ctx, v.ID)
		require.NoError(t, err)
		require.Equal(t, paytest.SheetWaiting, waited.State)

		go func() {
			time.Sleep(time.Minute)
			_, err := s.AnswerSheet(v.ID, "pay", "")
			require.NoError(t, err)
		}()
		waited, err = s.WaitSheet(t.Context(), v.ID)
		require.NoError(t, err)
		require.Equal(t, paytest.SheetPaid, waited.State)
		paid, err := s.Order(mchID, "order-1")
		require.NoError(t, err)
		require.Equal(t, "SUCCESS", paid.State)
		require.Equal(t, payer, paid.OpenID)
		require.Equal(t, paid.TransactionID, waited.TransactionID)

		_, err = s.AnswerSheet(v.ID, "pay", "")
		require.ErrorContains(t, err, "页面已失效")
		_, err = s.OpenSheet(paytest.Entry{CodeURL: code})
		require.ErrorContains(t, err, "该订单已支付")
	})
}

func TestAPersonPaysAfterCancellingOrFailing(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	code := c.do("POST", native, nativeOrder("order-1", 100)).text("code_url")
	for _, do := range []string{"cancel", "fail"} {
		v, err := s.OpenSheet(paytest.Entry{CodeURL: code})
		require.NoError(t, err)
		_, err = s.AnswerSheet(v.ID, "wait", "")
		require.NoError(t, err)
		v, err = s.AnswerSheet(v.ID, do, "")
		require.NoError(t, err)
		require.Equal(t, map[string]paytest.SheetState{"cancel": paytest.SheetCancelled, "fail": paytest.SheetFailed}[do], v.State)
		require.Equal(t, "NOTPAY", c.state("order-1"))
	}
	v, err := s.OpenSheet(paytest.Entry{CodeURL: code})
	require.NoError(t, err)
	_, err = s.AnswerSheet(v.ID, "sleep", "")
	require.ErrorContains(t, err, "want pay, cancel, fail or wait")
	require.Equal(t, 204, c.try("POST", byNo+"order-1/close", object{"mchid": mchID}).status, "the payer has left")
	v, err = s.AnswerSheet(v.ID, "pay", "")
	require.ErrorContains(t, err, "订单已关闭")
	require.Equal(t, paytest.SheetOpen, v.State, "an error leaves it")
	_, err = s.AnswerSheet(v.ID, "cancel", "")
	require.NoError(t, err)
	require.Len(t, s.Sheets(), 3)
}

func TestParametersOfAPageAreChecked(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, PayPages: []string{shopURL}})
	other := newClient(t, s, paytest.Merchant{MchID: "1900000009"})
	id := c.do("POST", jsapi, order("order-1", 100)).text("prepay_id")
	app := c.do("POST", "/v3/pay/transactions/app", nativeOrder("order-2", 100)).text("prepay_id")
	good := paytest.Entry{Params: c.params(id), Page: shopURL + "42"}
	for text, spoil := range map[string]func(e *paytest.Entry, p *paytest.Params){
		"缺少参数：appId":            func(_ *paytest.Entry, p *paytest.Params) { p.AppID = "" },
		"缺少参数：timeStamp":        func(_ *paytest.Entry, p *paytest.Params) { p.TimeStamp = "" },
		"缺少参数：nonceStr":         func(_ *paytest.Entry, p *paytest.Params) { p.NonceStr = "" },
		"缺少参数：package":          func(_ *paytest.Entry, p *paytest.Params) { p.Package = id },
		"缺少参数：signType":         func(_ *paytest.Entry, p *paytest.Params) { p.SignType = "" },
		"缺少参数：paySign":          func(_ *paytest.Entry, p *paytest.Params) { p.PaySign = "" },
		"签名失败: signType":        func(_ *paytest.Entry, p *paytest.Params) { p.SignType = "MD5" },
		"签名失败: invalid appId":   func(_ *paytest.Entry, p *paytest.Params) { p.AppID = "wx2222222222222222" },
		"签名失败: invalid paySign": func(_ *paytest.Entry, p *paytest.Params) { p.TimeStamp += "0" },
		"by the merchant's key": func(_ *paytest.Entry, p *paytest.Params) { *p = *other.params(id) },
		"订单已失效":                 func(_ *paytest.Entry, p *paytest.Params) { *p = *c.params("wx1") },
		"支付场景非法":                func(_ *paytest.Entry, p *paytest.Params) { *p = *c.params(app) },
		"URL未注册":                func(e *paytest.Entry, _ *paytest.Params) { e.Page = "https://shop.example/" },
		"下单账号与支付账号不一致":          func(e *paytest.Entry, _ *paytest.Params) { e.OpenID = "somebody else" },
		"want one of":           func(e *paytest.Entry, _ *paytest.Params) { e.CodeURL = "weixin://" },
	} {
		p := *good.Params
		e := paytest.Entry{Params: &p, Page: good.Page}
		spoil(&e, &p)
		_, err := s.OpenSheet(e)
		require.ErrorContains(t, err, text)
	}
	v, err := s.OpenSheet(good)
	require.NoError(t, err)
	require.Equal(t, payer, v.OpenID)
	v, err = s.AnswerSheet(v.ID, "pay", "somebody else")
	require.ErrorContains(t, err, "下单账号与支付账号不一致")
	require.Equal(t, paytest.SheetOpen, v.State)
	_, err = s.AnswerSheet(v.ID, "pay", payer)
	require.NoError(t, err)
	good.Page = "" // of a mini program
	_, err = s.OpenSheet(good)
	require.ErrorContains(t, err, "该订单已支付")
}

func TestAProviderSignsForItsShops(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, paytest.Merchant{MchID: mchID, Subs: []paytest.Sub{{MchID: "1900000002", Name: "分店"}}})
	id := c.do("POST", "/v3/pay/partner/transactions/jsapi", with(order("order-1", 100), "appid", nil, "mchid", nil,
		"sp_appid", appID, "sp_mchid", mchID, "sub_mchid", "1900000002", "payer", object{"sp_openid": payer})).text("prepay_id")
	v, err := s.OpenSheet(paytest.Entry{Params: c.params(id)})
	require.NoError(t, err)
	require.Equal(t, "分店", v.Shop)
	require.Equal(t, "1900000002", v.MchID)
}

func TestACombinedOrderIsOneSheet(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	part := func(no, what string, fen int) object {
		return object{"mchid": mchID, "attach": "a", "out_trade_no": no, "description": what, "amount": object{"total_amount": fen, "currency": "CNY"}}
	}
	id := c.do("POST", combine+"jsapi", object{
		"combine_appid": appID, "combine_mchid": mchID, "combine_out_trade_no": "whole-1", "notify_url": hook,
		"combine_payer_info": object{"openid": payer}, "sub_orders": []object{part("order-1", "socks", 100), part("order-2", "shoes", 23)},
	}).text("prepay_id")
	v, err := s.OpenSheet(paytest.Entry{Params: c.params(id)})
	require.NoError(t, err)
	require.Equal(t, int64(123), v.Total)
	require.Equal(t, []string{"socks", "shoes"}, v.Goods)
	_, err = s.AnswerSheet(v.ID, "pay", "")
	require.NoError(t, err)
	require.Equal(t, "SUCCESS", c.state("order-2"))
}

func TestALinkOfAnH5PageIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := newClient(t, s, paytest.Merchant{MchID: mchID, H5Domains: []string{"shop.example"}})
		link := c.do("POST", h5, h5Order("order-1", 100)).text("h5_url")
		back := "&redirect_url=" + url.QueryEscape("https://shop.example/done?no=1")
		good := paytest.Entry{H5URL: link + back, Referer: shopURL}
		v, err := s.OpenSheet(good)
		require.NoError(t, err)
		require.Equal(t, "https://shop.example/done?no=1", v.ReturnURL)
		for text, e := range map[string]paytest.Entry{
			"the Referer is missing": {H5URL: link},
			"商家参数格式有误":               {H5URL: link, Referer: "about:blank"},
			"invalid h5_url":         {H5URL: "https://shop.example/", Referer: shopURL},
			"商家存在未配置的参数":             {H5URL: link, Referer: "https://evil.example/"},
			"unknown, or was":        {H5URL: link + "0", Referer: shopURL},
			"want an absolute URL":   {H5URL: link + "&redirect_url=javascript%3Aalert(1)", Referer: shopURL},
			"want one of code_url,":  {},
		} {
			_, err := s.OpenSheet(e)
			require.ErrorContains(t, err, text)
		}
		time.Sleep(5 * time.Minute)
		_, err = s.OpenSheet(good)
		require.ErrorContains(t, err, "older than 5 minutes")
		require.Equal(t, link, c.do("POST", h5, h5Order("order-1", 100)).text("h5_url"))
		_, err = s.OpenSheet(good)
		require.NoError(t, err)
	})
}

func TestAnExpiredCodeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := shop(t, s)
		code := c.do("POST", native, nativeOrder("order-1", 100)).text("code_url")
		v, err := s.OpenSheet(paytest.Entry{CodeURL: code})
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		_, err = s.OpenSheet(paytest.Entry{CodeURL: code})
		require.ErrorContains(t, err, "二维码已过期")
		_, err = s.AnswerSheet(v.ID, "pay", "")
		require.ErrorContains(t, err, "订单已失效")
	})
}

func TestTheOldestSheetsAreDropped(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	code := c.do("POST", native, nativeOrder("order-1", 100)).text("code_url")
	first, err := s.OpenSheet(paytest.Entry{CodeURL: code})
	require.NoError(t, err)
	left := make(chan paytest.SheetState)
	go func() {
		v, _ := s.WaitSheet(context.Background(), first.ID)
		left <- v.State
	}()
	for range 1000 {
		_, err := s.OpenSheet(paytest.Entry{CodeURL: code})
		require.NoError(t, err)
	}
	require.Len(t, s.Sheets(), 1000)
	_, err = s.Sheet(first.ID)
	require.ErrorContains(t, err, "1000")
	require.NotEqual(t, paytest.SheetOpen, <-left, "the waiting call has returned")
}
