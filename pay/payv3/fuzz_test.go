package payv3_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

// FuzzParse calls Parse with bodies, signed truly or not, and headers of any form. Parse must refuse them with a reason, and
// never accept a body that is not signed.
func FuzzParse(f *testing.F) {
	s := newFake().signs
	good := notification(apiV3Key, "TRANSACTION.SUCCESS", transactionJSON("order-1"))
	h := s.sign(good)
	add := func(body []byte, signed bool) {
		f.Add(body, signed, h.Get("Wechatpay-Serial"), h.Get("Wechatpay-Timestamp"), h.Get("Wechatpay-Nonce"), h.Get("Wechatpay-Signature"))
	}
	add(good, false)
	add(good, true)
	add([]byte(`{"resource":{"nonce":"","ciphertext":"AAAA"}}`), true)
	add([]byte(`{"resource":{"nonce":"1234567","ciphertext":""}}`), true)
	add([]byte(`<xml/>`), false)
	f.Add(good, false, "ABCDEF", "-1", "", "WECHATPAY/SIGNTEST/x")
	m := newMerchant(f, config())
	f.Fuzz(func(t *testing.T, body []byte, signed bool, serial, timestamp, nonce, signature string) {
		header := http.Header{"Wechatpay-Serial": {serial}, "Wechatpay-Timestamp": {timestamp}, "wechatpay-nonce": {nonce}, "Wechatpay-Signature": {signature}}
		if signed {
			header = s.sign(body)
		}
		n, err := m.Parse(t.Context(), header, body)
		var cause pay.Cause
		if err != nil && (!errors.As(err, &cause) || cause.Status() < 400) {
			t.Fatalf("no reason: %v", err)
		}
		if err == nil && !signed && string(body) != string(good) {
			t.Fatalf("an unsigned body was taken: %+v", n)
		}
	})
}

// FuzzSealed calls Parse with plaintexts that were sealed and signed truly.
func FuzzSealed(f *testing.F) {
	s := newFake().signs
	f.Add("TRANSACTION.SUCCESS", transactionJSON("order-1"), "fdasflkja484")
	f.Add("REFUND.SUCCESS", `{"mchid":"1900007291","out_refund_no":"r"}`, "1")
	f.Add("REFUND.SUCCESS", `{"mchid":"1900007291","out_refund_no":"r","refund_status":"SUCCESS","amount":{"refund":1}}`, "1")
	f.Add("TRANSACTION.SUCCESS", `{"combine_appid":"`+appID+`","combine_mchid":"`+mchID+`","combine_out_trade_no":"c","sub_orders":[{"out_trade_no":"p","trade_state":"SUCCESS","amount":{"total_amount":1}}]}`, "1")
	f.Add("TRANSACTION.SUCCESS", "{\"attach\":\"\n\"}", "1")
	f.Add("TRANSACTION.SUCCESS", `{"combine_out_trade_no":"c","sub_orders":[{},null,7]}`, "随机")
	m := newMerchant(f, config())
	f.Fuzz(func(t *testing.T, event, plain, nonce string) {
		if nonce == "" || len(plain) > 64<<10 {
			return
		}
		r := sealWith(apiV3Key, plain, "", nonce)
		body, err := jsonOf(map[string]any{"event_type": event, "resource": map[string]any{"nonce": nonce, "ciphertext": r["ciphertext"]}})
		if err != nil {
			return
		}
		n, err := m.Parse(t.Context(), s.sign(body), body)
		var e *pay.Error
		if err != nil && (!errors.As(err, &e) || e.Cause != pay.ErrUnreadable && e.Cause != pay.ErrMerchant && e.Cause != pay.ErrTooLarge) {
			t.Fatalf("%v", err)
		}
		if n.Transaction != nil && (n.Transaction.Fen < 0 || n.Transaction.Fen == 0 && n.Transaction.Paid() || n.Transaction.State == "" || n.Transaction.MchID != mchID) {
			t.Fatalf("%+v", n.Transaction)
		}
		for _, part := range n.Parts {
			if part.OutTradeNo == "" || part.State == "" || part.Fen < 0 || part.Fen == 0 && part.Paid() {
				t.Fatalf("%+v", part)
			}
		}
		if n.Refund != nil && (n.Refund.Fen < 1 || n.Refund.State == "" || n.Refund.MchID != mchID) {
			t.Fatalf("%+v", n.Refund)
		}
		if _, err := jsonOf(n); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzParseKey calls the readers of keys with any text.
func FuzzParseKey(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"))
	f.Add([]byte("MIIB"))
	f.Add([]byte{0x30, 0x82, 1})
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = payv3.ParseKey(text)
		_, _ = payv3.ParsePublicKey(text)
		_, _ = payv3.ParseCertificate(text)
	})
}
