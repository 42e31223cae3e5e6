package payv3_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
)

func TestRefusedMessagesHaveAReason(t *testing.T) {
	s := newFake().signs
	body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
	reencode := func() []byte {
		var v any
		require.NoError(t, json.Unmarshal(body, &v))
		b, err := json.Marshal(v)
		require.NoError(t, err)
		return b
	}
	without := func(name string) http.Header {
		h := s.sign(body)
		h.Del(name)
		return h
	}
	with := func(name, value string) http.Header {
		h := s.sign(body)
		h.Set(name, value)
		return h
	}
	plain := func(from, to string) []byte {
		return notification(apiV3Key, "TRANSACTION.SUCCESS", strings.Replace(transactionJSON("order-1"), from, to, 1))
	}
	sealed := func(event, text string) []byte { return notification(apiV3Key, event, text) }
	indented := new(bytes.Buffer)
	require.NoError(t, json.Indent(indented, body, "", "  "))
	for _, c := range []struct {
		name   string
		header http.Header
		body   []byte
		want   pay.Cause
		words  string
	}{
		{"forged", signer{s.serial, keys()[3]}.sign(body), body, pay.ErrSignature, "does not fit"},
		{"replayed", s.signAt(body, time.Now().Add(-5*time.Minute), "n"), body, pay.ErrClock, "before our clock"},
		{"from the future", s.signAt(body, time.Now().Add(6*time.Minute), "n"), body, pay.ErrClock, "our clock may be slow"},
		{"truncated", s.sign(body), body[:len(body)-5], pay.ErrSignature, "cut off"},
		{"read before", s.sign(body), nil, pay.ErrSignature, "read before"},
		{"re-encoded", s.sign(body), reencode(), pay.ErrSignature, "encoded again"},
		{"indented", s.sign(body), indented.Bytes(), pay.ErrSignature, "encoded again"},
		{"with a newline", s.sign(body), append(bytes.Clone(body), '\n'), pay.ErrSignature, "encoded again"},
		{"probe", with("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+strings.Repeat("a", 336)), body, pay.ErrProbe, ""},
		{"no serial", without("Wechatpay-Serial"), body, pay.ErrSignature, "Wechatpay-Serial is missing: is a proxy"},
		{"no timestamp", without("Wechatpay-Timestamp"), body, pay.ErrSignature, "Wechatpay-Timestamp"},
		{"no nonce", without("Wechatpay-Nonce"), body, pay.ErrSignature, "Wechatpay-Nonce"},
		{"no signature", without("Wechatpay-Signature"), body, pay.ErrSignature, "Wechatpay-Signature"},
		{"no headers", nil, body, pay.ErrSignature, "proxy"},
		{"timestamp", with("Wechatpay-Timestamp", "yesterday"), body, pay.ErrSignature, "want seconds"},
		{"huge timestamp", with("Wechatpay-Timestamp", "99999999999999999"), body, pay.ErrSignature, "want seconds"},
		{"国密", with("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"), body, pay.ErrSignature, "SM3"},
		{"v2", nil, []byte("<xml><return_code>SUCCESS</return_code></xml>"), pay.ErrOther, "APIv2"},
		{"unknown serial", with("Wechatpay-Serial", "PUB_KEY_ID_1"), body, pay.ErrSerial, "PUB_KEY_ID_1"},
		{"serial not hex", with("Wechatpay-Serial", "xyz"), body, pay.ErrSerial, "hex"},
		{"too large", s.sign(body), make([]byte, 256<<10+1), pay.ErrTooLarge, ""},
		{"another key", nil, notification(newKey, "TRANSACTION.SUCCESS", transactionJSON("order-1")), pay.ErrUnreadable, "PreviousAPIv3Key"},
		{"another mchid", nil, plain(mchID, "1900000001"), pay.ErrMerchant, "1900000001"},
		{"another appid", nil, plain(appID, "wx3"), pay.ErrMerchant, "wx3"},
		{"refund of another mchid", nil, sealed("REFUND.SUCCESS", `{"mchid":"1","out_refund_no":"r"}`), pay.ErrMerchant, ""},
		{"combined order of another", nil, sealed("TRANSACTION.SUCCESS", `{"combine_appid":"`+appID+`","combine_mchid":"1","combine_out_trade_no":"c"}`), pay.ErrMerchant, ""},
		{"no amount", nil, plain(`"total":100`, `"total":"100"`), pay.ErrUnreadable, "amount"},
		{"not JSON", nil, []byte("hello"), pay.ErrUnreadable, ""},
		{"empty", nil, []byte("{}"), pay.ErrUnreadable, ""},
		{"plaintext not JSON", nil, sealed("TRANSACTION.SUCCESS", `{"mchid":`), pay.ErrUnreadable, ""},
		{"unknown event, not JSON", nil, sealed("X", `{"mchid":`), pay.ErrUnreadable, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := c.header
			if header == nil && c.name != "no headers" && c.name != "v2" {
				header = s.sign(c.body) // it is truly signed
			}
			_, err := newMerchant(t, config()).Parse(t.Context(), header, c.body)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.words)
			var e *pay.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, c.want, e.Cause)
			require.True(t, strings.HasPrefix(err.Error(), "pay: parse notification: "), err.Error())

			w := httptest.NewRecorder()
			newMerchant(t, config()).Answer(w, err)
			require.Equal(t, c.want.Status(), w.Code)
			require.GreaterOrEqual(t, w.Code, 400)
			require.Contains(t, w.Body.String(), `"code":"FAIL"`)
		})
	}
}

func TestAShopTakesItsOwnMessagesAlone(t *testing.T) {
	s := newFake().signs
	provider := newMerchant(t, config())
	message := func(event, plain string) (http.Header, []byte) {
		body := notification(apiV3Key, event, plain)
		return s.sign(body), body
	}
	payment := `{"sp_mchid":"` + mchID + `","sp_appid":"` + appID + `","sub_mchid":"` + shopMchID + `","sub_appid":"` + shopAppID + `","out_trade_no":"order-1","trade_type":"NATIVE","trade_state":"SUCCESS","amount":{"total":5}}`
	refunded := `{"sp_mchid":"` + mchID + `","sub_mchid":"` + shopMchID + `","out_refund_no":"r-1","refund_status":"SUCCESS","amount":{"total":5,"refund":2}}`
	combined := `{"combine_mchid":"` + mchID + `","combine_appid":"` + appID + `","combine_out_trade_no":"c1","sub_orders":[{"mchid":"` + mchID + `","sub_mchid":"` + shopMchID + `","out_trade_no":"order-1","trade_state":"SUCCESS","amount":{"total_amount":5}}]}`
	for event, plain := range map[string]string{"TRANSACTION.SUCCESS": payment, "REFUND.SUCCESS": refunded, "TRANSACTION.SUCCESS ": combined} {
		h, body := message(strings.TrimSpace(event), plain)
		for name, want := range map[string]error{"": nil, shopMchID: nil, "1900000999": pay.ErrMerchant} {
			m := provider
			if name != "" {
				m = provider.Sub(name, "")
			}
			n, err := m.Parse(t.Context(), h, body)
			require.True(t, errors.Is(err, want), "%s %s: %v", event, name, err)
			if err == nil && n.Transaction != nil {
				require.Equal(t, shopMchID, n.Transaction.SubMchID)
				require.Equal(t, mchID, n.Transaction.MchID)
				require.Equal(t, pay.Native, n.Transaction.Trade)
			}
		}
	}
}

func TestNotificationsOfAllKindsAreHandedOver(t *testing.T) {
	s := newFake().signs
	parse := func(event, plain string) pay.Notification {
		body := notification(apiV3Key, event, plain)
		n, err := newMerchant(t, config()).Parse(t.Context(), s.sign(body), body)
		require.NoError(t, err)
		require.Equal(t, plain, string(n.Raw))
		require.Equal(t, event, n.Type)
		require.Equal(t, "EV-2018022511223320873", n.ID)
		return n
	}
	f := parse("REFUND.ABNORMAL", `{"mchid":"`+mchID+`","transaction_id":"42","out_trade_no":"order-1","refund_id":"50","out_refund_no":"r-1","refund_status":"ABNORMAL","user_received_account":"支付用户零钱","amount":{"total":100,"refund":7,"payer_total":100,"payer_refund":7}}`).Refund
	require.Equal(t, pay.Refund{MchID: mchID, TransactionID: "42", OutTradeNo: "order-1", RefundID: "50", OutRefundNo: "r-1", State: pay.Abnormal, Account: "支付用户零钱", Fen: 7, TotalFen: 100, Raw: f.Raw}, *f)

	n := parse("TRANSACTION.SUCCESS", `{"combine_appid":"`+appID+`","combine_mchid":"`+mchID+`","combine_out_trade_no":"c1","combine_payer_info":{"openid":"`+openID+`"},"sub_orders":[{"mchid":"1900000109","trade_type":"JSAPI","trade_state":"SUCCESS","transaction_id":"42","out_trade_no":"part-1","amount":{"total_amount":10,"payer_amount":9}},{"mchid":"1900000110","out_trade_no":"part-2","trade_state":"SUCCESS","amount":{"total_amount":20}}]}`)
	require.Nil(t, n.Transaction)
	require.Len(t, n.Parts, 2)
	part := n.Parts[0]
	part.Raw = nil
	require.Equal(t, pay.Transaction{OutTradeNo: "part-1", TransactionID: "42", AppID: appID, MchID: "1900000109", Trade: pay.JSAPI, State: pay.Success, Fen: 10, PayerFen: 9, OpenID: openID}, part)

	for _, event := range []string{"MCHTRANSFER.BILL.FINISHED", "COMPLAINT.CREATE", "PROFITSHARING", "", "TRANSACTION.PAY_BACK"} {
		n := parse(event, `{"anything":[1,2,3]}`)
		require.Nil(t, n.Transaction)
		require.Nil(t, n.Refund)
		require.Empty(t, n.Parts)
	}
}

func TestNoncesTimesAndHeadersOfAnyFormAreTaken(t *testing.T) {
	s := newFake().signs
	m := newMerchant(t, config())
	for _, nonce := range []string{"n", "fdasflkja484", strings.Repeat("n", 100), "随机"} {
		for _, created := range []string{`"2015-05-20T13:29:35.123+08:00"`, `"20180225112233"`, `"soon"`, `1700000000`, `null`} {
			r := sealWith(apiV3Key, transactionJSON("order-1"), "", nonce)
			body := []byte(fmt.Sprintf(`{"create_time":%s,"event_type":"TRANSACTION.SUCCESS","resource":{"ciphertext":"%s","nonce":"%s"}}`, created, r["ciphertext"], nonce))
			n, err := m.Parse(t.Context(), s.signAt(body, time.Now(), nonce), body)
			require.NoError(t, err, nonce+created)
			require.Equal(t, "order-1", n.Transaction.OutTradeNo)
		}
	}
	body := []byte(`{"event_type":"X","resource":{"ciphertext":"AAAA","nonce":""}}`)
	_, err := m.Parse(t.Context(), s.sign(body), body)
	require.ErrorIs(t, err, pay.ErrUnreadable)

	body = notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
	lower := make(http.Header)
	for k, v := range s.sign(body) {
		lower[strings.ToLower(k)] = v
	}
	_, err = m.Parse(t.Context(), lower, body)
	require.NoError(t, err)
}

func TestAMessageIsGoodForFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMerchant(t, config())
		body := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
		h := newFake().signs.sign(body)
		<-time.After(299 * time.Second)
		_, err := m.Parse(t.Context(), h, body)
		require.NoError(t, err)
		<-time.After(time.Second)
		_, err = m.Parse(t.Context(), h, body)
		require.ErrorIs(t, err, pay.ErrClock)
	})
}

func TestNotificationsAreAcknowledgedByStatus(t *testing.T) {
	for err, status := range map[error]int{nil: 204, pay.ErrProbe: 401, pay.ErrSignature: 401, pay.ErrClock: 401, pay.ErrSerial: 503, pay.ErrMerchant: 403, pay.ErrAmount: 403,
		pay.ErrUnreadable: 403, pay.ErrTooLarge: 413, fmt.Errorf("hook: %w", pay.ErrUnknown): 503, errors.New("store is away: secret"): 503} {
		w := httptest.NewRecorder()
		newMerchant(t, config()).Answer(w, err)
		require.Equal(t, status, w.Code, "%v", err)
		require.NotContains(t, w.Body.String(), "secret")
	}
}
