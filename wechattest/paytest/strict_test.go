package paytest_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesOfFieldsAreTakenInTheirCase(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	for _, name := range []string{"appid", "mchid", "description", "out_trade_no", "notify_url", "amount"} {
		o := nativeOrder("order-1", 100)
		o[string(name[0]-'a'+'A')+name[1:]] = o[name]
		delete(o, name)
		c.refused(400, "PARAM_ERROR", "POST", native, o)
	}
	o := nativeOrder("order-1", 100)
	o["amount"] = object{"Total": 100}
	c.refused(400, "PARAM_ERROR", "POST", native, o)
	o["amount"], o["Attach"] = object{"total": 100, "TOTAL": 1}, 5 // fields that WeChat does not know are ignored
	require.NotEmpty(t, c.do("POST", native, o).text("code_url"))
	got, err := s.Order(mchID, "order-1")
	require.NoError(t, err)
	require.EqualValues(t, 100, got.Total)
}

func TestAmountsDoNotOverflow(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	c.do("POST", native, nativeOrder("order-1", 100))
	_, err := s.Pay(mchID, "order-1", payer)
	require.NoError(t, err)
	refund := func(no string, fen int64) object {
		return object{"out_trade_no": "order-1", "out_refund_no": no, "amount": object{"refund": fen, "total": 100, "currency": "CNY"}}
	}
	c.do("POST", "/v3/refund/domestic/refunds", refund("r1", 1))
	c.refused(400, "INVALID_REQUEST", "POST", "/v3/refund/domestic/refunds", refund("r2", math.MaxInt64))

	c.do("POST", sharings+"/receivers/add", object{"type": "MERCHANT_ID", "account": "1900000777", "appid": appID, "relation_type": "PARTNER"})
	c.do("POST", native, with(nativeOrder("order-2", 100), "settle_info", object{"profit_sharing": true}))
	id, err := s.Pay(mchID, "order-2", payer)
	require.NoError(t, err)
	receiver := func(fen int64) object {
		return object{"type": "MERCHANT_ID", "account": "1900000777", "amount": fen, "description": "d"}
	}
	c.refused(403, "NOT_ENOUGH", "POST", sharings+"/orders", object{"appid": appID, "transaction_id": id, "out_order_no": "s1", "unfreeze_unsplit": false,
		"receivers": []object{receiver(math.MaxInt64), receiver(math.MaxInt64)}})
}
