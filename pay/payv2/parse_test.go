package payv2_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

func TestPaymentNotificationsAreVerifiedAndDecoded(t *testing.T) {
	for _, by := range []payv2.SignType{payv2.HMACSHA256, payv2.MD5} {
		c := config()
		c.SignType, c.PreviousAPIKey = by, newKey
		m := newMerchant(t, c)
		for _, key := range []string{apiKey, newKey} {
			n, err := m.Parse(t.Context(), nil, signed(paid("order-1"), by, key))
			require.NoError(t, err)
			require.Equal(t, "TRANSACTION.SUCCESS", n.Type)
			raw := make(map[string]string)
			require.NoError(t, json.Unmarshal(n.Raw, &raw))
			require.Equal(t, "a \"b\" \\ <c>", raw["attach"])
			require.Equal(t, "新", raw["field_of_the_future"])
			got := *n.Transaction
			got.Raw = nil
			require.Equal(t, pay.Transaction{OutTradeNo: "order-1", TransactionID: "4200000000202401010000000001", AppID: appID, MchID: mchID, Trade: pay.JSAPI, State: pay.Success,
				Fen: 100, PayerFen: 90, OpenID: openID, Attach: "a \"b\" \\ <c>", PaidAt: got.PaidAt}, got)
			require.Equal(t, "2024-01-01T12:00:00+08:00", got.PaidAt.Format(time.RFC3339))
		}
	}
}

func TestAPaymentNamesAnotherCurrencyThanCNY(t *testing.T) {
	m := newMerchant(t, config())
	for fee, want := range map[string]string{"CNY": "", "HKD": "HKD"} {
		in := paid("order-1")
		in["fee_type"] = fee
		n, err := m.Parse(t.Context(), nil, signed(in, payv2.HMACSHA256, apiKey))
		require.NoError(t, err)
		require.Equal(t, want, n.Transaction.Currency)
	}
	o := order(pay.Native)
	o.Extra = map[string]any{"fee_type": "HKD"}
	_, err := m.Prepay(t.Context(), o)
	require.ErrorContains(t, err, `Order.Extra sets "fee_type" to "HKD": want CNY`)
}

func TestMessagesThatAreNotWeChatsAreRefused(t *testing.T) {
	good := string(signed(paid("order-1"), payv2.HMACSHA256, apiKey))
	replace := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	with := func(name, value string) string {
		m := paid("order-1")
		m[name] = value
		return string(signed(m, payv2.HMACSHA256, apiKey))
	}
	downgraded := paid("order-1")
	downgraded["sign_type"] = "MD5"
	lies := paid("order-1")
	lies["sign_type"] = "HMAC-SHA256"
	m := newMerchant(t, config())
	for name, c := range map[string]struct {
		body  string
		cause pay.Cause
	}{
		"forged":                       {string(signed(paid("order-1"), payv2.HMACSHA256, newKey)), pay.ErrSignature},
		"unsigned":                     {string(unsigned(paid("order-1"))), pay.ErrSignature},
		"changed":                      {replace("<total_fee>100<", "<total_fee>1<"), pay.ErrSignature},
		"added":                        {replace("</xml>", "<coupon_fee_99>1</coupon_fee_99></xml>"), pay.ErrSignature},
		"removed":                      {replace("<coupon_fee_17>1</coupon_fee_17>", ""), pay.ErrSignature},
		"a blank in sign":              {replace("<sign>", "<sign> "), pay.ErrSignature},
		"downgraded":                   {string(signed(downgraded, payv2.MD5, apiKey)), pay.ErrSignature},
		"downgraded, silently":         {string(signed(paid("order-1"), payv2.MD5, apiKey)), pay.ErrSignature},
		"downgraded, and says another": {string(signed(lies, payv2.MD5, apiKey)), pay.ErrSignature},
		"truncated":                    {good[:len(good)-20], pay.ErrUnreadable},
		"duplicated":                   {replace("<total_fee>100</total_fee>", "<total_fee>100</total_fee><total_fee>1</total_fee>"), pay.ErrUnreadable},
		"nested":                       {replace("<total_fee>100</total_fee>", "<total_fee><a>100</a></total_fee>"), pay.ErrUnreadable},
		"another root":                 {strings.ReplaceAll(good, "xml>", "root>"), pay.ErrUnreadable},
		"XXE":                          {`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + replace("order-1", "&e;"), pay.ErrUnreadable},
		"an entity":                    {replace("order-1", "&e;"), pay.ErrUnreadable},
		"a billion laughs":             {`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>` + good, pay.ErrUnreadable},
		"deep":                         {strings.Repeat("<a>", 50000), pay.ErrUnreadable},
		"many":                         {"<xml>" + strings.Repeat("<a/>", 50000) + "</xml>", pay.ErrUnreadable},
		"too long":                     {"<xml>" + strings.Repeat(" ", 256<<10) + "</xml>", pay.ErrTooLarge},
		"empty":                        {"", pay.ErrOther},
		"JSON":                         {`{"id":"1"}`, pay.ErrOther},
		"no fields":                    {"<xml/>", pay.ErrUnreadable},
		"no mch_id":                    {"<xml><appid>1</appid></xml>", pay.ErrUnreadable},
		"other mch_id":                 {with("mch_id", "1900007292"), pay.ErrOther},
		"other appid":                  {with("appid", "wx1"), pay.ErrMerchant},
		"yuan":                         {with("total_fee", "1.00"), pay.ErrUnreadable},
		"negative":                     {with("total_fee", "-1"), pay.ErrUnreadable},
		"nothing":                      {with("total_fee", "0"), pay.ErrUnreadable},
		"much":                         {with("total_fee", "99999999999999999999"), pay.ErrUnreadable},
		"contradiction":                {string(signed(func() fields { p := paid("order-1"); p["result_code"], p["trade_state"] = "FAIL", "SUCCESS"; return p }(), payv2.HMACSHA256, apiKey)), pay.ErrUnreadable},
	} {
		_, err := m.Parse(t.Context(), nil, []byte(c.body))
		var cause pay.Cause
		require.ErrorAs(t, err, &cause, name)
		require.Equal(t, c.cause, cause, "%s: %v", name, err)
		require.NotContains(t, err.Error(), apiKey)
		w := httptest.NewRecorder()
		m.Answer(w, err)
		require.GreaterOrEqual(t, w.Code, 400, name)
		require.Contains(t, w.Body.String(), "<return_code><![CDATA[FAIL]]></return_code>")
	}
	_, err := m.Parse(t.Context(), nil, signed(paid("order-1"), payv2.MD5, apiKey))
	require.ErrorContains(t, err, "it is signed with MD5: Config.SignType is HMAC-SHA256")
	_, err = m.Sub("1900000109", "").Parse(t.Context(), nil, []byte(good))
	require.ErrorIs(t, err, pay.ErrMerchant)
	_, err = m.Sub("x", "").Parse(t.Context(), nil, []byte(good))
	require.ErrorIs(t, err, pay.ErrMerchant)
}

func TestOtherSignedNotificationsAreHandedOverRaw(t *testing.T) {
	m := newMerchant(t, config())
	n, err := m.Parse(t.Context(), nil, signed(ok("contract_id", "1", "change_type", "ADD"), payv2.HMACSHA256, apiKey))
	require.NoError(t, err)
	require.Equal(t, "V2.OTHER", n.Type)
	require.JSONEq(t, `"ADD"`, string(jsonField(t, n.Raw, "change_type")))
	p := paid("order-1")
	p["result_code"] = "FAIL"
	n, err = m.Parse(t.Context(), nil, signed(p, payv2.HMACSHA256, apiKey))
	require.NoError(t, err)
	require.Equal(t, "TRANSACTION.FAIL", n.Type)
	require.False(t, n.Transaction.Paid())
}

// A value with & can continue with other fields, so that two messages have the same signature.
func TestPaymentsWithAnAmbiguousSignatureAreConfirmedByAQuery(t *testing.T) {
	for _, by := range []payv2.SignType{payv2.HMACSHA256, payv2.MD5} {
		asked, answer, fault := 0, paid("order-1"), ""
		f := newFake(func(path string, in fields) (fields, string) {
			require.Equal(t, "/pay/orderquery", path)
			asked++
			answer["out_trade_no"], answer["sub_mch_id"] = in["out_trade_no"], in["sub_mch_id"]
			return answer, fault
		})
		f.by = by
		m := f.merchant(t, func(c *payv2.Config) { c.SignType = by })
		answer["trade_state"], answer["attach"] = "SUCCESS", "a=1&b=2"

		true1 := paid("order-1")
		true1["attach"] = answer["attach"]
		n, err := m.Parse(t.Context(), nil, signed(true1, by, apiKey))
		require.NoError(t, err)
		require.Equal(t, 1, asked)
		require.Equal(t, []any{"TRANSACTION.SUCCESS", "a=1&b=2", pay.Success, int64(100)}, []any{n.Type, n.Transaction.Attach, n.Transaction.State, n.Transaction.Fen})

		true1["sub_mch_id"] = "1900000109" // of a shop of the provider
		n, err = m.Parse(t.Context(), nil, signed(true1, by, apiKey))
		require.NoError(t, err)
		require.Equal(t, "1900000109", n.Transaction.SubMchID)

		// The payer of own-01 or its shop chose attach, and posts the signed text as that of another payment.
		own := paid("own-01")
		own["attach"] = "a&mch_id=" + mchID + "&out_trade_no=order-1&return_code=SUCCESS&total_fee=100000&transaction_id=4200&z="
		sign, rest := payv2.Sign(own, by, apiKey), ""
		for _, name := range slices.Sorted(maps.Keys(own)) {
			if name > "attach" {
				rest += "&" + name + "=" + own[name]
			}
		}
		forged := fields{"appid": appID, "attach": "a", "mch_id": mchID, "out_trade_no": "order-1", "return_code": "SUCCESS", "total_fee": "100000", "transaction_id": "4200", "z": rest}
		require.Equal(t, sign, payv2.Sign(forged, by, apiKey), "the signature is true")
		forged["sign"] = sign
		for name, change := range map[string]func(){
			"not paid":       func() { answer["trade_state"] = "NOTPAY" },
			"paid otherwise": func() { answer["total_fee"] = "100000" },
			"another amount": func() { answer["transaction_id"] = "4200" },
			"unknown":        func() { answer = refused("ORDERNOTEXIST", "not exist") },
		} {
			answer = paid("order-1")
			answer["trade_state"] = "SUCCESS"
			change()
			_, err = m.Parse(t.Context(), nil, unsigned(forged))
			require.ErrorIs(t, err, pay.ErrSignature, name)
		}
		answer, fault = paid("order-1"), "forged"
		_, err = m.Parse(t.Context(), nil, unsigned(forged))
		var e *pay.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, pay.ErrUnknown, e.Cause, "WeChat sends it again")
		before := asked
		_, err = m.Parse(t.Context(), nil, signed(ok("contract_code", "a&b", "change_type", "ADD"), by, apiKey))
		require.ErrorIs(t, err, pay.ErrSignature)
		require.ErrorContains(t, err, "a value contains &")
		require.Equal(t, before, asked)
	}
}

func jsonField(t *testing.T, raw []byte, name string) json.RawMessage {
	m := make(map[string]json.RawMessage)
	require.NoError(t, json.Unmarshal(raw, &m))
	return m[name]
}

// atWeChat returns the answer of refundquery.
func atWeChat(more ...string) fields {
	return ok(append([]string{"transaction_id", "4200", "out_trade_no", "order-1", "total_fee", "100", "refund_count", "2", "out_refund_no_0", "refund-0", "refund_id_0", "4", "refund_fee_0", "1",
		"refund_status_0", "PROCESSING", "out_refund_no_1", "refund-1", "refund_id_1", "50000", "refund_fee_1", "30", "refund_status_1", "SUCCESS",
		"refund_success_time_1", "2024-01-02 03:04:05", "refund_recv_accout_1", "支付用户零钱"}, more...)...)
}

func TestRefundNotificationsAreConfirmedByAQuery(t *testing.T) {
	answer, fault := atWeChat(), ""
	f := newFake(func(string, fields) (fields, string) { return answer, fault })
	m := f.merchant(t, func(c *payv2.Config) { c.PreviousAPIKey = newKey })
	for _, key := range []string{apiKey, newKey} {
		n, err := m.Parse(t.Context(), nil, refundNotification(key))
		require.NoError(t, err)
		require.Equal(t, "REFUND.SUCCESS", n.Type)
		require.Equal(t, pay.Success, n.Refund.State)
		require.Equal(t, []any{"refund-1", "order-1", "50000", int64(30), int64(100), mchID, "支付用户零钱"},
			[]any{n.Refund.OutRefundNo, n.Refund.OutTradeNo, n.Refund.RefundID, n.Refund.Fen, n.Refund.TotalFen, n.Refund.MchID, n.Refund.Account})
	}
	answer = atWeChat("refund_status_1", "CHANGE")
	n, err := m.Parse(t.Context(), nil, refundNotification(apiKey))
	require.NoError(t, err)
	require.Equal(t, pay.Abnormal, n.Refund.State)
	require.Equal(t, "REFUND.ABNORMAL", n.Type)

	for name, c := range map[string]struct {
		answer fields
		fault  string
		body   []byte
		cause  pay.Cause
	}{
		"not finished":  {atWeChat("refund_status_1", "PROCESSING"), "", refundNotification(apiKey), pay.ErrUnknown},
		"not found":     {refused("REFUNDNOTEXIST", "not exist"), "", refundNotification(apiKey), pay.ErrUnknown},
		"forged answer": {atWeChat(), "forged", refundNotification(apiKey), pay.ErrUnknown},
		"wrong amount":  {atWeChat(), "", refundNotification(apiKey, "refund_fee", "31"), pay.ErrAmount},
		"another id":    {atWeChat(), "", refundNotification(apiKey, "refund_id", "5"), pay.ErrSignature},
		"another order": {atWeChat(), "", refundNotification(apiKey, "out_trade_no", "order-2"), pay.ErrSignature},
		"unknown key":   {atWeChat(), "", refundNotification(strings.Repeat("k", 32)), pay.ErrUnreadable},
		"bad number":    {atWeChat(), "", refundNotification(apiKey, "out_refund_no", "../x"), pay.ErrUnreadable},
		"no base64":     {atWeChat(), "", unsigned(fields{"return_code": "SUCCESS", "mch_id": mchID, "req_info": "!!"}), pay.ErrUnreadable},
		"a DOCTYPE":     {atWeChat(), "", unsigned(fields{"return_code": "SUCCESS", "mch_id": mchID, "req_info": seal("<!DOCTYPE root><root><a>1</a></root>", apiKey)}), pay.ErrUnreadable},
	} {
		answer, fault = c.answer, c.fault
		_, err := m.Parse(t.Context(), nil, c.body)
		var e *pay.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, c.cause, e.Cause, "%s: %v", name, err)
	}
}

func TestRefundsOfAPIv3AreConfirmedByItsMerchant(t *testing.T) {
	c := config()
	asked := ""
	c.QueryRefund = func(_ context.Context, no string) (pay.Refund, error) {
		asked = no
		return pay.Refund{OutRefundNo: no, Fen: 30, State: pay.Success}, nil
	}
	n, err := newMerchant(t, c).Parse(t.Context(), nil, refundNotification(apiKey))
	require.NoError(t, err)
	require.Equal(t, "refund-1", asked)
	require.Equal(t, pay.Success, n.Refund.State)
}

func TestRefundsThatAPIv3DoesNotKnowAreConfirmedByAPIv2(t *testing.T) {
	answer, queries := atWeChat(), 0
	f := newFake(func(string, fields) (fields, string) { queries++; return answer, "" })
	unknown := error(&pay.Error{Op: "query", Cause: pay.ErrNotFound})
	m := f.merchant(t, func(c *payv2.Config) {
		c.QueryRefund = func(context.Context, string) (pay.Refund, error) { return pay.Refund{}, unknown }
	})
	n, err := m.Parse(t.Context(), nil, refundNotification(apiKey))
	require.NoError(t, err)
	require.Equal(t, []any{pay.Success, 1}, []any{n.Refund.State, queries})
	answer = refused("REFUNDNOTEXIST", "not exist")
	_, err = m.Parse(t.Context(), nil, refundNotification(apiKey))
	var e *pay.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, pay.ErrUnknown, e.Cause)
	unknown = &pay.Error{Op: "query", Cause: pay.ErrBusy}
	before := queries
	_, err = m.Parse(t.Context(), nil, refundNotification(apiKey))
	require.ErrorAs(t, err, &e)
	require.Equal(t, pay.ErrUnknown, e.Cause)
	require.Equal(t, before, queries, "it may be known there")
}

func TestAnswersHaveTheFormOfAPIv2(t *testing.T) {
	m := newMerchant(t, config())
	w := httptest.NewRecorder()
	m.Answer(w, nil)
	require.Equal(t, 200, w.Code)
	require.Equal(t, "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>", w.Body.String())
	require.Equal(t, "text/xml; charset=utf-8", w.Header().Get("Content-Type"))
	w = httptest.NewRecorder()
	m.Answer(w, errors.New("the database is away"))
	require.Equal(t, 503, w.Code)
	require.NotContains(t, w.Body.String(), "database")
}

// FuzzParse calls Parse with bodies, signed truly or not. Parse must refuse them with a reason, and never accept a body that is not signed.
func FuzzParse(f *testing.F) {
	good := signed(paid("order-1"), payv2.HMACSHA256, apiKey)
	f.Add(good)
	f.Add(refundNotification(apiKey))
	f.Add([]byte("<xml><mch_id>" + mchID + "</mch_id><sign/></xml>"))
	f.Add([]byte("<!DOCTYPE a><xml/>"))
	f.Add([]byte(`{"id":1}`))
	c := config()
	c.QueryRefund = func(_ context.Context, no string) (pay.Refund, error) {
		return pay.Refund{OutRefundNo: no, Fen: 30, State: pay.Success}, nil
	}
	m := newMerchant(f, c)
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := m.Parse(t.Context(), nil, body)
		var cause pay.Cause
		if err != nil && (!errors.As(err, &cause) || cause.Status() < 400) {
			t.Fatalf("no reason: %v", err)
		}
		if err == nil && n.Refund == nil && !bytes.Equal(body, good) {
			in, err := payv2.Read(string(body), "xml")
			if err != nil || in["sign"] != payv2.Sign(in, payv2.HMACSHA256, apiKey) {
				t.Fatalf("an unsigned body was taken: %+v", n)
			}
		}
		if err == nil && !json.Valid(n.Raw) {
			t.Fatalf("%q", n.Raw)
		}
	})
}

// FuzzSigned calls Parse with values that are signed truly, and checks that each value is read as it was written.
func FuzzSigned(f *testing.F) {
	f.Add("total_fee", "100", "a]]>b")
	f.Add("out_trade_no", "]]]>", "\r\n")
	f.Add("trade_state", "REFUND", "&amp;<![CDATA[x]]>")
	f.Add("req_info", seal("<root><out_refund_no>1</out_refund_no><refund_fee>30</refund_fee></root>", apiKey), "")
	m := newFake(func(string, fields) (fields, string) { return refused("ORDERNOTEXIST", "not exist"), "" }).merchant(f)
	f.Fuzz(func(t *testing.T, name, value, attach string) {
		p := paid("order-1")
		p[name], p["attach"] = value, attach
		body, err := payv2.Encode(p, payv2.HMACSHA256, apiKey)
		if err != nil {
			return
		}
		in, err := payv2.Read(string(body), "xml")
		if err != nil || in["attach"] != attach || name != "sign" && name != "attach" && in[name] != value {
			if name != "sign" {
				t.Fatalf("%v: %q %q", err, in[name], in["attach"])
			}
		}
		n, err := m.Parse(t.Context(), nil, body)
		var cause pay.Cause
		if err != nil && !errors.As(err, &cause) {
			t.Fatal(err)
		}
		if n.Transaction != nil && (n.Transaction.Fen == 0 && n.Transaction.Paid() || n.Transaction.Fen < 0 || n.Transaction.MchID != mchID) {
			t.Fatalf("%+v", n.Transaction)
		}
		if err == nil && !json.Valid(n.Raw) {
			t.Fatalf("%q", n.Raw)
		}
	})
}
