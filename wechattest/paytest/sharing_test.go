package paytest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const sharings = "/v3/profitsharing"

func TestAnOrderIsSharedAndItsRefundNeedsTheShareBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := shop(t, s)
		c.serial = c.m.PublicKeyID
		c.do("POST", jsapi, with(order("order-1", 100), "settle_info", object{"profit_sharing": true}))
		id, err := s.Pay(mchID, "order-1", "")
		require.NoError(t, err)
		share := func(no string, fen int) object {
			return object{"appid": appID, "transaction_id": id, "out_order_no": no, "unfreeze_unsplit": false, "receivers": []object{
				{"type": "MERCHANT_ID", "account": "1900000777", "name": c.secret("partner"), "amount": fen, "description": "share"},
			}}
		}
		receiver := object{"type": "MERCHANT_ID", "account": "1900000777", "relation_type": "PARTNER", "name": c.secret("partner"), "appid": appID}
		c.refused(400, "PARAM_ERROR", "POST", sharings+"/orders", share("s1", 30))
		c.refused(400, "PARAM_ERROR", "POST", sharings+"/receivers/add", with(receiver, "relation_type", nil))
		c.do("POST", sharings+"/receivers/add", receiver)
		c.refused(400, "PARAM_ERROR", "POST", sharings+"/orders", with(share("s1", 30), "receivers", []object{}))
		c.refused(403, "NOT_ENOUGH", "POST", sharings+"/orders", share("s1", 101))
		for range 2 {
			r := c.do("POST", sharings+"/orders", share("s1", 30))
			require.Equal(t, "PROCESSING", r.text("state"))
		}
		c.refused(400, "INVALID_REQUEST", "POST", sharings+"/orders", share("s1", 31))
		time.Sleep(10 * time.Second)
		r := c.do("GET", sharings+"/orders/s1?transaction_id="+id, nil)
		require.Equal(t, "FINISHED", r.text("state"))
		require.Equal(t, "SUCCESS", r.fields["receivers"].([]any)[0].(object)["result"])
		c.refused(404, "RESOURCE_NOT_EXISTS", "GET", sharings+"/orders/s2?transaction_id="+id, nil)
		require.EqualValues(t, 70, c.do("GET", sharings+"/transactions/"+id+"/amounts", nil).fields["unsplit_amount"])

		c.refused(403, "NOT_ENOUGH", "POST", refunds, refund("r1", "order-1", 100, 100))
		back := object{"out_order_no": "s1", "out_return_no": "b1", "return_mchid": "1900000777", "amount": 30, "description": "back"}
		c.refused(400, "INVALID_REQUEST", "POST", sharings+"/return-orders", with(back, "amount", 31))
		c.refused(404, "RESOURCE_NOT_EXISTS", "POST", sharings+"/return-orders", with(back, "out_order_no", "s9"))
		for range 2 {
			require.Equal(t, "SUCCESS", c.do("POST", sharings+"/return-orders", back).text("result"))
		}
		c.refused(400, "INVALID_REQUEST", "POST", sharings+"/return-orders", with(back, "amount", 29))
		require.EqualValues(t, 30, c.do("GET", sharings+"/return-orders/b1?out_order_no=s1", nil).fields["amount"])
		c.refused(404, "RESOURCE_NOT_EXISTS", "GET", sharings+"/return-orders/b1?out_order_no=s2", nil)
		c.do("POST", refunds, refund("r1", "order-1", 40, 100))

		c.do("POST", sharings+"/orders/unfreeze", object{"transaction_id": id, "out_order_no": "u1", "description": "done"})
		c.refused(400, "INVALID_REQUEST", "POST", sharings+"/orders", share("s2", 10))
		require.EqualValues(t, 0, c.do("GET", sharings+"/transactions/"+id+"/amounts", nil).fields["unsplit_amount"])

		plain := c.paid(s, "order-2", 100)
		c.refused(400, "INVALID_REQUEST", "POST", sharings+"/orders", with(share("s3", 10), "transaction_id", plain))
		c.refused(404, "RESOURCE_NOT_EXISTS", "POST", sharings+"/orders", with(share("s3", 10), "transaction_id", "4200"))
		c.do("POST", jsapi, with(order("order-3", 100), "settle_info", object{"profit_sharing": true}))
		late, err := s.Pay(mchID, "order-3", "")
		require.NoError(t, err)
		time.Sleep(30*24*time.Hour + time.Second)
		c.refused(400, "INVALID_REQUEST", "POST", sharings+"/orders", with(share("s4", 10), "transaction_id", late))
		c.do("POST", sharings+"/receivers/delete", object{"type": "MERCHANT_ID", "account": "1900000777", "appid": appID})
	})
}
