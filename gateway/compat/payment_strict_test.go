package compat_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// compat.md B': "out_trade_no or transaction_id*"; docs/migrating.md says the same.
func TestARefundNamesItsPaymentByTransactionIDAlone(t *testing.T) {
	d := openPayment(t)
	transaction := d.settle(onePayKey, oldMchID, "order-1")
	d.report()
	got := d.post(refundKey, "refund", `{"out_refund_no":"r1","transaction_id":"`+transaction+`","total_fee":100,"refund_fee":60}`)
	require.Equal(t, "60", resultOf(t, got)["refund_fee"])
}

const (
	spMchID  = "1900000009"
	spAppID  = "wxffffffffffffffff"
	subAppA  = "wx1111111111111111"
	subAppB  = "wx2222222222222222"
	subMchA  = "1900000101"
	subMchB  = "1900000102"
	shopAKey = "a-key-of-this-test-for-shop-a-alone"
)

func (d *cashDesk) addProvider() gateway.Merchant {
	m := d.pay.AddMerchant(paytest.Merchant{MchID: spMchID, AppIDs: []string{spAppID}, Key: payKeys()[0], Subs: []paytest.Sub{{MchID: subMchA}, {MchID: subMchB}}})
	return gateway.Merchant{MchID: spMchID, AppIDs: []string{spAppID}, V2: &gateway.APIv2{APIKey: m.APIKey, SignType: "MD5", Cert: m.Certificate, PrivateKey: m.PrivateKey}}
}

// oldShopOrder places an order of a shop as the old system did, pays it, and returns how the old URL answered WeChat.
func (d *cashDesk) oldShopOrder(t *testing.T, apiKey, subMch, subApp, no string) (status int) {
	t.Helper()
	order := map[string]any{
		"appid": spAppID, "mch_id": spMchID, "sub_mch_id": subMch, "sub_appid": subApp, "nonce_str": "n", "body": "tea", "out_trade_no": no, "total_fee": "100", "spbill_create_ip": "192.0.2.1",
		"notify_url": d.public + wepay + "pay_notify", "trade_type": "JSAPI", "sub_openid": "o1",
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.mch.weixin.qq.com/pay/unifiedorder", strings.NewReader(notice(order, apiKey)))
	require.NoError(t, err)
	resp, err := d.pay.Client().Transport.RoundTrip(r)
	require.NoError(t, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(answer), "prepay_id")
	_, err = d.pay.Pay(subMch, no, "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return len(d.pay.Deliveries()) > 0 && d.pay.Deliveries()[len(d.pay.Deliveries())-1].Status != 0
	}, 10*time.Second, 10*time.Millisecond)
	return d.pay.Deliveries()[len(d.pay.Deliveries())-1].Status
}

// This is what "server import payment" registers of type 服务商 with subAppId.
func TestANotificationOfAnImportedProviderArrives(t *testing.T) {
	var m gateway.Merchant
	d := openPayment(t, func(d *cashDesk) {
		d.options.Records = &countedStore{Store: new(store.Memory)}
		m = d.addProvider()
	})
	m.SubMchID, m.SubAppID = subMchA, subAppA
	_, err := d.gateway.Merchants().Put(t.Context(), spMchID+"-"+subMchA, m, "")
	require.NoError(t, err)
	_, err = d.gateway.Apps().Put(t.Context(), "app-1111111111111111", gateway.App{AppID: subAppA, Secret: secret, SignKey: signKey, Pay: &gateway.Pay{Merchant: spMchID + "-" + subMchA, NotifyTo: d.backend.URL + "/all"}}, "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, d.oldShopOrder(t, m.V2.APIKey, subMchA, subAppA, "old-order-1"), "%v", d.pay.Deliveries())
	require.Equal(t, "old-order-1", d.report().body["out_trade_no"])
}

// Control: the same app in the file.
func TestANotificationOfAFiledProviderArrives(t *testing.T) {
	var m gateway.Merchant
	d := openPayment(t, func(d *cashDesk) {
		m = d.addProvider()
		m.SubMchID, m.SubAppID = subMchA, subAppA
		d.options.Config.Merchants["shop-a"] = m
		d.options.Config.Apps["shop-a"] = gateway.App{AppID: subAppA, Secret: secret, SignKey: signKey, Pay: &gateway.Pay{Merchant: "shop-a", NotifyTo: d.backend.URL + "/all"}}
	})
	require.Equal(t, http.StatusOK, d.oldShopOrder(t, m.V2.APIKey, subMchA, subAppA, "old-order-1"))
	require.Equal(t, "old-order-1", d.report().body["out_trade_no"])
}

func TestANotificationReachesTheSecondShopOfAProvider(t *testing.T) {
	var m gateway.Merchant
	d := openPayment(t, func(d *cashDesk) {
		m = d.addProvider()
		for name, sub := range map[string][2]string{"shop-a": {subMchA, subAppA}, "shop-b": {subMchB, subAppB}} {
			shop := m
			shop.SubMchID, shop.SubAppID = sub[0], sub[1]
			d.options.Config.Merchants[name] = shop
			d.options.Config.Apps[name] = gateway.App{AppID: sub[1], Secret: secret, SignKey: signKey, Pay: &gateway.Pay{Merchant: name, NotifyTo: d.backend.URL + "/" + name}}
		}
	})
	require.Equal(t, http.StatusOK, d.oldShopOrder(t, m.V2.APIKey, subMchA, subAppA, "old-order-a"))
	require.Equal(t, "/shop-a", d.report().path)
	require.Equal(t, http.StatusOK, d.oldShopOrder(t, m.V2.APIKey, subMchB, subAppB, "old-order-b"))
	require.Equal(t, "/shop-b", d.report().path)
}

// compat.md B' "Errors as B", and I: "B's 40011 at status 200 for unknown paths … stay".
func TestAnUnknownPathHasTheOldForm(t *testing.T) {
	d := openPayment(t)
	for _, in := range []input{
		{method: "POST", path: wepay + "nothing", key: onePayKey, body: `{}`, form: formJSON},
		{method: "GET", path: wepay + "get_pay_request_params?id=order-1", key: onePayKey},
	} {
		got := d.ask(nil, in)
		require.Equal(t, http.StatusOK, got.status, got.text)
		require.Equal(t, `{"errcode":40011,"message":"没有此API"}`, got.text)
	}
}

// PHP's json_encode(1.0*100) is 100.0, which the old system read as the number 100.
func TestAWholeNumberMayHaveAFraction(t *testing.T) {
	d := openPayment(t)
	for id, fee := range map[string]string{"order-1": "100.0", "order-2": "1e2"} {
		got := d.post(onePayKey, "get_pay_request_params", `{"id":"`+id+`","fee":`+fee+`,"openid":"o1","body":"tea"}`)
		resultOf(t, got)
		require.Equal(t, "100", d.lastSent()["total_fee"])
	}
}

func TestARepeatedRefundReturnsTheSame(t *testing.T) {
	d := openPayment(t)
	d.settle(onePayKey, oldMchID, "order-1")
	d.report()
	body := `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":60}`
	first := resultOf(t, d.post(refundKey, "refund", body))
	again := resultOf(t, d.post(refundKey, "refund", body))
	require.Equal(t, first["refund_fee"], again["refund_fee"])
	require.Equal(t, first["refund_id"], again["refund_id"])
}

// After notify_to was moved, the payments of orders of APIv3 still go to the former one.
func TestAPaymentIsReportedToThePresentNotifyTo(t *testing.T) {
	for key, mchID := range map[string]string{onePayKey: oldMchID, onePayKey3: newMchID} {
		t.Run(mchID, func(t *testing.T) {
			d := openPayment(t)
			body := `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`
			resultOf(t, d.post(key, "get_pay_request_params", body))
			d.stop()
			for _, name := range []string{"shop", "modern"} {
				a := d.options.Config.Apps[name]
				p := *a.Pay
				p.NotifyTo = d.backend.URL + "/moved"
				a.Pay = &p
				d.options.Config.Apps[name] = a
			}
			public, private := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
			for _, s := range []struct {
				s    *httptest.Server
				base string
			}{{public, d.public}, {private, d.private}} {
				l, err := net.Listen("tcp", strings.TrimPrefix(s.base, "http://"))
				require.NoError(t, err)
				s.s.Listener.Close()
				s.s.Listener = l
			}
			d.open(public, private)
			got := d.post(key, "get_pay_request_params", body)
			_, err := d.pay.Pay(mchID, "order-1", "o1")
			require.NoError(t, err)
			require.Equal(t, "/moved", d.report().path)
			resultOf(t, got)
		})
	}
}

// WeChat may take as long as 30 s, which is the time of one try.
func TestASlowAnswerOfWeChatIsWaitedFor(t *testing.T) {
	var slow bool
	d := openPayment(t, func(d *cashDesk) {
		next := d.options.HTTP.Transport
		d.options.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if slow {
				select {
				case <-time.After(11 * time.Second):
				case <-r.Context().Done():
					return nil, context.Cause(r.Context())
				}
			}
			return next.RoundTrip(r)
		})}
	})
	slow = true
	got := d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`)
	resultOf(t, got)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A second refund within a minute is accepted before its fields are looked at: this one can never be sent.
func TestARefundThatCannotBeSentIsNotAccepted(t *testing.T) {
	d := openPayment(t)
	d.settle(onePayKey, oldMchID, "order-1")
	d.report()
	resultOf(t, d.post(refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":1}`))
	for no, extra := range map[string]string{"r2": `"refund_fee ":"90"`, "r3": `"x-trace":"1"`, "r4": `"refund_fee_type":"USD"`} {
		got := d.post(refundKey, "refund", `{"out_refund_no":"`+no+`","out_trade_no":"order-1","total_fee":100,"refund_fee":1,`+extra+`}`)
		if !strings.HasPrefix(got.text, `{"errcode":-1,`) {
			t.Errorf("%s: %s", extra, got.text)
		}
	}
}

func TestAllMissingParametersAreNamed(t *testing.T) {
	d := openPayment(t)
	got := d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":1}`)
	require.Contains(t, got.text, `missing params body,openid`)
}

// 小店 and shop share a merchant. The order of 小店 was placed elsewhere.
func TestAnAppCannotRefundAnOrderOfAnother(t *testing.T) {
	for _, own := range []bool{false, true} {
		for _, told := range []bool{false, true} {
			t.Run(fmt.Sprintf("own route %t, payment notified %t", own, told), func(t *testing.T) { refundOfAnother(t, own, told) })
		}
	}
}

func refundOfAnother(t *testing.T, own, told bool) {
	d := openPayment(t, func(d *cashDesk) {
		if !told {
			d.pay.AddNotificationFault(paytest.NotificationFault{Lost: 100})
		}
	})
	key := d.options.Config.Merchants["old"].V2.APIKey
	order := map[string]any{
		"appid": miniID, "mch_id": oldMchID, "nonce_str": "n", "body": "tea", "out_trade_no": "mini-order-1", "total_fee": "100", "spbill_create_ip": "192.0.2.1",
		"notify_url": d.public + wepay + "pay_notify", "trade_type": "JSAPI", "openid": "o1",
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.mch.weixin.qq.com/pay/unifiedorder", strings.NewReader(notice(order, key)))
	require.NoError(t, err)
	resp, err := d.pay.Client().Transport.RoundTrip(r)
	require.NoError(t, err)
	resp.Body.Close()
	_, err = d.pay.Pay(oldMchID, "mini-order-1", "o1")
	require.NoError(t, err)
	if told {
		require.Eventually(t, func() bool { return len(d.pay.Deliveries()) == 1 }, 10*time.Second, 10*time.Millisecond)
	}
	status, got := 0, reply{}
	if own {
		got = d.ask(nil, input{method: "POST", path: "/app/shop/pay/refunds", key: refundKey, body: `{"out_refund_no":"r1","out_trade_no":"mini-order-1","fen":60}`, form: formJSON})
		status = got.status
		require.NotEqual(t, http.StatusOK, status, got.text)
		return
	}
	got = d.post(refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"mini-order-1","total_fee":100,"refund_fee":60}`)
	require.True(t, strings.HasPrefix(got.text, `{"errcode":-1,`), got.text)
}

// An app that is registered, with a key of its own that names it.
func TestARegisteredProviderOrdersAndRefunds(t *testing.T) {
	var m gateway.Merchant
	d := openPayment(t, func(d *cashDesk) {
		d.options.Records = &countedStore{Store: new(store.Memory)}
		m = d.addProvider()
		d.options.Config.Keys = append(d.options.Config.Keys, gateway.Key{Name: "a", Key: shopAKey, Apps: []string{"*"}, Scopes: []string{"pay", "refund"}})
	})
	m.SubMchID, m.SubAppID = subMchA, subAppA
	_, err := d.gateway.Merchants().Put(t.Context(), spMchID+"-"+subMchA, m, "")
	require.NoError(t, err)
	_, err = d.gateway.Apps().Put(t.Context(), "app-1111111111111111", gateway.App{AppID: subAppA, Secret: secret, SignKey: signKey, Pay: &gateway.Pay{Merchant: spMchID + "-" + subMchA, NotifyTo: d.backend.URL + "/all"}}, "")
	require.NoError(t, err)
	got := d.post(shopAKey, "get_pay_request_params", `{"appid":"`+subAppA+`","id":"order-1","fee":100,"openid":"o1","body":"tea"}`)
	require.Equal(t, subAppA, resultOf(t, got)["appId"])
	require.Equal(t, "o1", d.lastSent()["sub_openid"])
	_, err = d.pay.Pay(subMchA, "order-1", "o1")
	require.NoError(t, err)
	got = d.post(shopAKey, "refund", `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":100,"refund_fee":60,"sub_mch_id":"1","sub_appid":"x","appid":"`+subAppA+`"}`)
	require.Equal(t, subMchA, resultOf(t, got)["sub_mch_id"])
}

func TestTheSameOrderAtOnce(t *testing.T) {
	d := openPayment(t)
	done := make(chan reply, 8)
	for range 8 {
		go func() {
			done <- d.post(onePayKey, "get_pay_request_params", `{"id":"order-1","fee":100,"openid":"o1","body":"tea"}`)
		}()
	}
	for range 8 {
		resultOf(t, <-done)
	}
}

func TestRefundNotificationsAtTheOldURL(t *testing.T) {
	d := openPayment(t)
	d.placedElsewhere(t, "old-order-1")
	d.report()
	resultOf(t, d.post(refundKey, "refund", `{"out_refund_no":"r1","out_trade_no":"old-order-1","total_fee":100,"refund_fee":60,"notify_url":"http://127.0.0.1:1/x"}`))
	require.NoError(t, d.pay.FinishRefund(oldMchID, "r1", "SUCCESS"))
	var last paytest.Delivery
	require.Eventually(t, func() bool { // it is listed once it was answered
		for _, sent := range d.pay.Deliveries() {
			if strings.Contains(sent.Body, "req_info") {
				last = sent
			}
		}
		return last.Body != ""
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, d.public+"/app/shop/pay/notify", last.URL, "the caller's notify_url is ignored")
	old := d.ask(nil, input{method: "POST", path: wepay + "pay_notify", body: string(last.Body), form: "text/xml"})
	require.Equal(t, http.StatusOK, old.status, old.text)
	forged := strings.Replace(string(last.Body), "<req_info><![CDATA[", "<req_info><![CDATA[AAAA", 1)
	require.NotEqual(t, forged, last.Body)
	old = d.ask(nil, input{method: "POST", path: wepay + "pay_notify", body: forged, form: "text/xml"})
	require.GreaterOrEqual(t, old.status, 400, old.text)
}

func TestAnUnknownAppIDIsSaidToBeUnknown(t *testing.T) {
	d := openPayment(t)
	got := d.post(onePayKey, "get_pay_request_params", `{"appid":"`+noneID+`","id":"order-1","fee":1,"openid":"o1","body":"x"}`)
	require.Contains(t, got.text, `{"errcode":40003,`)
	require.NotContains(t, got.text, "name one as appid", got.text)
}

func TestNoSecretIsSentOrLogged(t *testing.T) {
	d := openPayment(t, func(d *cashDesk) { d.options.Config.Compat.Open = []string{"payment"} })
	open := func(route, query, body string) reply {
		r, err := http.NewRequestWithContext(t.Context(), "POST", d.private+wepay+route+query, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", formJSON)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return reply{status: resp.StatusCode, text: string(raw)}
	}
	got := open("get_pay_request_params", "?wetoken_key="+onePayKey, `{"id":"order-1","fee":100,"openid":"o1","body":"tea","key":"k","wetoken_key":"x"}`)
	require.Contains(t, got.text, `{"errcode":0,`)
	for _, value := range d.lastSent() {
		require.NotContains(t, value, onePayKey)
	}
	got = open("get_pay_request_params", "", `{"id":"order-2","fee":100,"openid":"o1","body":"tea"}`)
	require.Contains(t, got.text, `{"errcode":40003,`, "several apps, and no key")
	require.Equal(t, http.StatusUnauthorized, open("refund", "?wetoken_key="+unknownKey, `{}`).status)
	require.Equal(t, http.StatusForbidden, open("refund", "?wetoken_key="+onePayKey, `{"out_refund_no":"r1","out_trade_no":"order-1","total_fee":1,"refund_fee":1}`).status)
	got = open("get_pay_request_params", "?wetoken_key="+onePayKey, `{"id":"order-3","fee":50001,"openid":"o1","body":"tea"}`)
	require.Equal(t, http.StatusForbidden, got.status, "max_fen of a key holds in open mode: %s", got.text)
	for _, hidden := range []string{onePayKey, unknownKey, refundKey, signKey, d.options.Config.Merchants["old"].V2.APIKey, "PRIVATE KEY"} {
		require.NotContains(t, d.log.String(), hidden)
	}
}
