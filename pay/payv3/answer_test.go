package payv3_test

import (
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

func TestAnAcceptedOrderWithoutWhatThePayerNeedsIsUnknown(t *testing.T) {
	for _, trade := range []pay.Trade{pay.JSAPI, pay.APP, pay.Native, pay.H5} {
		for _, answer := range []string{`{}`, `null`, `{"prepay_id":"","code_url":"","h5_url":""}`, `{"prepay_id":null,"code_url":null,"h5_url":null}`} {
			f := newFake()
			f.answer = always(200, answer)
			p, err := f.merchant(t).Prepay(t.Context(), order(trade))
			require.ErrorIs(t, err, pay.ErrUnknown, "%s %s", trade, answer)
			require.Equal(t, pay.Prepaid{OutTradeNo: "order-1"}, p)
		}
	}
}

func TestAPaidOrderWithoutAnAmountIsUnknown(t *testing.T) {
	for _, amount := range []string{`{"total":"100"}`, `{"total":-100}`, `{"total":1e30}`, `{"total":1.5}`, `{}`, `null`, `[]`, `"100"`} {
		f := newFake()
		f.answer = always(200, `{"mchid":"`+mchID+`","appid":"`+appID+`","out_trade_no":"order-1","trade_state":"SUCCESS","amount":`+amount+`}`)
		_, err := f.merchant(t).Query(t.Context(), "order-1")
		require.ErrorIs(t, err, pay.ErrUnknown, amount)
		require.ErrorContains(t, err, "amount")
	}
	f := newFake()
	f.answer = always(200, `{"mchid":"`+mchID+`","appid":"`+appID+`","out_trade_no":"order-1","trade_state":"NOTPAY"}`)
	tr, err := f.merchant(t).Query(t.Context(), "order-1")
	require.NoError(t, err)
	require.Equal(t, pay.NotPaid, tr.State)
}

func TestAnAnswerWithoutAStateIsUnknown(t *testing.T) {
	for _, state := range []string{`""`, `null`, `1`} {
		f := newFake()
		f.answer = always(200, `{"mchid":"`+mchID+`","out_trade_no":"order-1","out_refund_no":"r-1","out_bill_no":"t1","trade_state":`+state+`,"status":`+state+`,"state":`+state+`,"amount":{"total":100,"refund":10}}`)
		m := f.merchant(t)
		_, err := m.Query(t.Context(), "order-1")
		require.ErrorIs(t, err, pay.ErrUnknown, state)
		_, err = m.QueryRefund(t.Context(), "r-1")
		require.ErrorIs(t, err, pay.ErrUnknown, state)
		_, err = m.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r-1", Fen: 10, TotalFen: 100})
		require.ErrorIs(t, err, pay.ErrUnknown, state)
		_, err = m.QueryTransfer(t.Context(), "t1")
		require.ErrorIs(t, err, pay.ErrUnknown, state)
	}
}

func TestAnAnswerOnAnotherMerchantIsUnknown(t *testing.T) {
	f := newFake()
	m := f.merchant(t)
	f.answer = always(200, `{"mchid":"1900000001","out_trade_no":"order-1","trade_state":"SUCCESS","amount":{"total":100}}`)
	_, err := m.Query(t.Context(), "order-1")
	require.ErrorIs(t, err, pay.ErrUnknown)
	require.ErrorContains(t, err, "1900000001")
	f.answer = always(200, `{"sp_mchid":"`+mchID+`","sub_mchid":"1900000110","out_trade_no":"order-1","trade_state":"SUCCESS","amount":{"total":100}}`)
	_, err = m.Sub(shopMchID, "").Query(t.Context(), "order-1")
	require.ErrorIs(t, err, pay.ErrUnknown)
	require.ErrorContains(t, err, "1900000110")
}

func TestPartsAndRefundsWithoutAnAmountAreUnreadable(t *testing.T) {
	s := newFake().signs
	m := newMerchant(t, config())
	combined := func(parts string) string {
		return `{"combine_appid":"` + appID + `","combine_mchid":"` + mchID + `","combine_out_trade_no":"c1","sub_orders":` + parts + `}`
	}
	for event, plains := range map[string][]string{
		"TRANSACTION.SUCCESS": {
			combined(`[]`), combined(`null`), combined(`{}`), combined(`[null]`), combined(`[1]`), combined(`[{}]`),
			combined(`[{"mchid":"1","out_trade_no":"part-1","trade_state":"SUCCESS","amount":{"total_amount":"10"}}]`),
			combined(`[{"mchid":"1","out_trade_no":"part-1","trade_state":"SUCCESS","amount":{"total_amount":-1}}]`),
			combined(`[{"mchid":"1","trade_state":"SUCCESS","amount":{"total_amount":10}}]`),
		},
		"REFUND.SUCCESS": {
			`{"mchid":"` + mchID + `","out_refund_no":"r-1","refund_status":"SUCCESS"}`,
			`{"mchid":"` + mchID + `","out_refund_no":"r-1","refund_status":"SUCCESS","amount":{"total":10,"refund":"10"}}`,
			`{"mchid":"` + mchID + `","out_refund_no":"r-1","refund_status":"SUCCESS","amount":{"total":10,"refund":-10}}`,
		},
	} {
		for _, plain := range plains {
			body := notification(apiV3Key, event, plain)
			_, err := m.Parse(t.Context(), s.sign(body), body)
			require.ErrorIs(t, err, pay.ErrUnreadable, plain)
		}
	}
}

func TestAnAmountIsNotCountedTwice(t *testing.T) {
	s := newFake().signs
	body := notification(apiV3Key, "TRANSACTION.SUCCESS", `{"combine_appid":"`+appID+`","combine_mchid":"`+mchID+`","combine_out_trade_no":"c1","sub_orders":[{"mchid":"1","out_trade_no":"part-1","trade_state":"SUCCESS","amount":{"total":10,"total_amount":10,"payer_total":9,"payer_amount":9}}]}`)
	n, err := newMerchant(t, config()).Parse(t.Context(), s.sign(body), body)
	require.NoError(t, err)
	require.EqualValues(t, 10, n.Parts[0].Fen)
	require.EqualValues(t, 9, n.Parts[0].PayerFen)
}

func TestANotificationIsTheSameAfterJSON(t *testing.T) {
	s := newFake().signs
	plain := `{"mchid":"` + mchID + `","appid":"` + appID + `","out_trade_no":"order-1","trade_state":"SUCCESS","attach":"a` + "\n" + `b","amount":{"total":100}}`
	body := notification(apiV3Key, "TRANSACTION.SUCCESS", plain)
	n, err := newMerchant(t, config()).Parse(t.Context(), s.sign(body), body)
	require.NoError(t, err)
	b, err := json.Marshal(n)
	require.NoError(t, err)
	var again pay.Notification
	require.NoError(t, json.Unmarshal(b, &again))
	require.Equal(t, n.Transaction.OutTradeNo, again.Transaction.OutTradeNo)
}

func TestASecretInAnEmbeddedStructIsEncrypted(t *testing.T) {
	type person struct {
		Name payv3.Secret `json:"name"`
	}
	f := newFake()
	f.answer = always(200, `{}`)
	require.NoError(t, f.merchant(t).Do(t.Context(), "POST", "/v3/x", struct {
		person
		Number string `json:"out_request_no"`
	}{person{"张三"}, "1"}, nil))
	var sent struct{ Name string }
	require.NoError(t, json.Unmarshal(f.bodies[0], &sent))
	require.Len(t, sent.Name, 344) // base64 of 256 bytes
}

func TestAClientWithoutATransportGivesIdleConnectionsUpInTime(t *testing.T) {
	old := http.DefaultTransport
	http.DefaultTransport = roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("http.DefaultTransport, which keeps idle connections for 90 s, is used")
		return nil, http.ErrServerClosed
	})
	defer func() { http.DefaultTransport = old }()
	f := newFake()
	f.answer = always(204, "")
	c := config()
	c.BaseURL, c.HTTP = serve(t, f), &http.Client{Timeout: 10 * time.Second}
	require.NoError(t, newMerchant(t, c).Close(t.Context(), "order-1"))
}

func TestAShopWithoutANumberMakesNoCall(t *testing.T) {
	for _, no := range []string{"", "shop", "1900000109&sp_mchid=1"} {
		f := newFake()
		f.answer = always(200, `{}`)
		m := f.merchant(t).Sub(no, "")
		s := f.signs
		body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
		_, prepaid := m.Prepay(t.Context(), order(pay.JSAPI))
		_, queried := m.Query(t.Context(), "order-1")
		_, refunded := m.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r-1", Fen: 1, TotalFen: 1})
		_, found := m.QueryRefund(t.Context(), "r-1")
		_, parsed := m.Parse(t.Context(), s.sign(body), body)
		for i, err := range []error{prepaid, queried, refunded, found, parsed, m.Close(t.Context(), "order-1"), m.Reverse(t.Context(), "order-1"),
			m.Bill(t.Context(), "", time.Now(), nil), m.Do(t.Context(), "GET", "/v3/x", nil, nil)} {
			require.ErrorContains(t, err, "sub_mchid", i)
		}
		require.Empty(t, f.requests)
	}
}

func TestAnEmptyListOfCertificatesDropsNoneThatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = always(200, `{}`)
		m := newMerchant(t, f.certified())
		require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
		for i, none := range []string{`{"data":[]}`, `{}`, `null`, `{"data":null}`} {
			f.none = refuseWith(200, none)
			<-time.After(13 * time.Hour)
			require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
			synctest.Wait()
			require.Equal(t, i+2, f.downloads)
			require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil), none)
		}
	})
}

func TestASerialMayBeginWithAZero(t *testing.T) {
	f := newFake()
	f.answer = always(200, `{}`)
	c := f.certified()
	f.signs.serial = "0" + f.signs.serial // as openssl writes one with an odd number of digits
	m := newMerchant(t, c)
	require.NoError(t, m.Do(t.Context(), "GET", "/v3/x", nil, nil))
	body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
	_, err := m.Parse(t.Context(), f.signs.sign(body), body)
	require.NoError(t, err)
	require.Equal(t, f.signs.serial, f.headers[1].Get("Wechatpay-Serial")) // as WeChat writes it
	f.signs.serial = f.signs.serial[1:]
	_, err = m.Parse(t.Context(), f.signs.sign(body), body)
	require.NoError(t, err)
}

func TestKeysThatAreNilPointersAreRefused(t *testing.T) {
	var none *rsa.PrivateKey
	for field, change := range map[string]func(*payv3.Config){
		"Config.Key":       func(c *payv3.Config) { c.Key = none },
		"Config.PublicKey": func(c *payv3.Config) { c.PublicKey = new(rsa.PublicKey) },
		"Config.BackupURL": func(c *payv3.Config) { c.BackupURL = "https://api2.example.com/prefix" },
	} {
		c := config()
		change(&c)
		_, err := payv3.New(c)
		var wrong *pay.FieldError
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, field, wrong.Field)
	}
}

// A payment code is good for 45 s, so that nothing is gained by waiting longer.
func TestAPaymentCodeIsNotWaitedForMuchLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = always(202, `{"code":"USER_PAYING"}`)
		c := config()
		c.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == "GET" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return f.client().Transport.RoundTrip(r)
		})}
		start := time.Now()
		_, err := newMerchant(t, c).Prepay(t.Context(), order(pay.Code))
		require.ErrorIs(t, err, pay.ErrPaying)
		require.LessOrEqual(t, time.Since(start), 50*time.Second)
	})
}

func TestAPaymentWhoseNumberIsNoTextIsNotHandedOverAsAnotherKind(t *testing.T) {
	s := newFake().signs
	for _, plain := range []string{`{"mchid":"` + mchID + `","appid":"` + appID + `","out_trade_no":123456,"trade_state":"SUCCESS","amount":{"total":100}}`,
		`{"combine_out_trade_no":["c1"]}`, `{"out_trade_no":""}`, `null`, `[]`, `1`} {
		body := notification(apiV3Key, "TRANSACTION.SUCCESS", plain)
		_, err := newMerchant(t, config()).Parse(t.Context(), s.sign(body), body)
		require.ErrorIs(t, err, pay.ErrUnreadable, plain)
	}
}

func TestACallWhoseAnswerHasNowhereToGoIsNotSent(t *testing.T) {
	f := newFake()
	f.answer = always(200, `{}`)
	m := f.merchant(t)
	for _, out := range []any{5, struct{}{}, map[string]any{}, (*struct{})(nil), (*[]byte)(nil), []byte(nil)} {
		var wrong *pay.FieldError
		require.ErrorAs(t, m.Do(t.Context(), "POST", "/v3/x", nil, out), &wrong, "%T", out)
		require.Equal(t, "out", wrong.Field)
	}
	var wrong *pay.FieldError
	require.ErrorAs(t, m.Do(t.Context(), "POST", "/v3/x", (*payv3.Upload)(nil), nil), &wrong)
	require.Empty(t, f.requests)
}

func TestAuthorizationFollowsNoRedirectAndNoOtherHost(t *testing.T) {
	for _, status := range []int{301, 302, 307, 308} {
		f := newFake()
		c := config()
		var hosts []string
		c.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host)
			if r.URL.Path == "/v3/bill/tradebill" {
				return f.client().Transport.RoundTrip(r)
			}
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://evil.example.com/x"}}, Body: http.NoBody, Request: r}, nil
		})}
		m := newMerchant(t, c)
		require.ErrorIs(t, m.Close(t.Context(), "order-1"), pay.ErrUnknown)
		for _, address := range []string{"https://evil.example.com/v3/x?token=t", "//evil.example.com/v3/x", "https://evil.example.com//other.example.com/x", "https://a:b@evil.example.com/x", "evil:/x"} {
			f.answer = always(200, `{"hash_type":"SHA1","hash_value":"x","download_url":"`+address+`"}`)
			require.Error(t, m.Bill(t.Context(), "", time.Now(), io.Discard))
		}
		for _, host := range hosts {
			require.Equal(t, "api.mch.weixin.qq.com", host)
		}
		require.Len(t, hosts, 2+2*5)
	}
}

func TestOnlyAGETMayBeAnsweredUnsigned(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		for _, path := range []string{"/v3/statements", "/v3/merchant-service/images/1", "/v3/billdownload/file"} {
			f := newFake()
			f.answer = always(200, `{}`)
			f.fault = func(*http.Request, int) string { return "unsigned" }
			require.ErrorIs(t, f.merchant(t).Do(t.Context(), method, path, nil, nil), pay.ErrUnknown, method+path)
		}
	}
}
