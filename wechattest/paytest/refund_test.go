package paytest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const refunds = "/v3/refund/domestic/refunds"

func refund(no, of string, fen, total int) object {
	return object{"out_trade_no": of, "out_refund_no": no, "notify_url": hook, "amount": object{"refund": fen, "total": total, "currency": "CNY"}}
}

// paid places and pays an order.
func (c *client) paid(s *paytest.Server, no string, fen int) (transactionID string) {
	c.t.Helper()
	c.do("POST", jsapi, order(no, fen))
	id, err := s.Pay(mchID, no, "")
	require.NoError(c.t, err)
	return id
}

func TestARefundStaysUnderWayUntilItIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := new(inbox)
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := shop(t, s)
		id := c.paid(s, "order-1", 100)
		first := c.do("POST", refunds, refund("r1", "order-1", 30, 100))
		require.Equal(t, "PROCESSING", first.text("status"))
		require.Equal(t, id, first.text("transaction_id"))
		require.NotContains(t, first.fields, "success_time")
		require.Equal(t, "REFUND", c.state("order-1"))
		time.Sleep(time.Hour)
		require.Equal(t, first.fields, c.do("POST", refunds, refund("r1", "order-1", 30, 100)).fields, "the same number is the same refund")
		c.refused(400, "REFUND_FEE_MISMATCH", "POST", refunds, refund("r1", "order-1", 31, 100))
		require.NoError(t, s.FinishRefund(mchID, "r1", "SUCCESS"))
		require.Equal(t, "SUCCESS", c.do("GET", refunds+"/r1", nil).text("status"))
		require.Error(t, s.FinishRefund(mchID, "r1", "CLOSED"))

		synctest.Wait()
		c.do("POST", refunds, refund("r2", "order-1", 70, 100))
		require.NoError(t, s.FinishRefund(mchID, "r2", "CLOSED"))
		time.Sleep(time.Minute)
		c.do("POST", refunds, refund("r3", "order-1", 70, 100))
		require.NoError(t, s.FinishRefund(mchID, "r3", "ABNORMAL"))
		synctest.Wait()
		var events []string
		for _, n := range in.got(c) {
			events = append(events, n.Event)
			if n.Event == "REFUND.SUCCESS" {
				require.Equal(t, "refund", n.Seal.AssociatedData)
				require.Equal(t, "SUCCESS", n.plain["refund_status"])
				require.NotContains(t, n.plain, "status")
				require.Equal(t, object{"total": 100.0, "refund": 30.0, "payer_total": 100.0, "payer_refund": 30.0}, n.plain["amount"])
			}
		}
		require.Equal(t, []string{"TRANSACTION.SUCCESS", "REFUND.SUCCESS", "REFUND.CLOSED", "REFUND.ABNORMAL"}, events)
		c.refused(404, "RESOURCE_NOT_EXISTS", "GET", refunds+"/r9", nil)
	})
}

func TestARefundMayFinishByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.RefundAfter = 3 * time.Minute
		c := shop(t, s)
		c.paid(s, "order-1", 100)
		c.do("POST", refunds, with(refund("r1", "order-1", 100, 100), "notify_url", nil))
		time.Sleep(3*time.Minute - time.Second)
		require.Equal(t, "PROCESSING", c.do("GET", refunds+"/r1", nil).text("status"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, "SUCCESS", c.do("GET", refunds+"/r1", nil).text("status"))
	})
}

func TestRefundsHaveTheirLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := shop(t, s)
		c.do("POST", jsapi, order("unpaid", 100))
		c.refused(404, "RESOURCE_NOT_EXISTS", "POST", refunds, refund("r1", "unpaid", 1, 100))
		c.refused(404, "RESOURCE_NOT_EXISTS", "POST", refunds, refund("r1", "nothing", 1, 100))
		id := c.paid(s, "order-1", 100)
		for name, body := range map[string]object{
			"no order":    with(refund("r1", "order-1", 1, 100), "out_trade_no", nil),
			"no number":   with(refund("r1", "order-1", 1, 100), "out_refund_no", nil),
			"bad number":  refund("r.1", "order-1", 1, 100),
			"nothing":     refund("r1", "order-1", 0, 100),
			"no total":    refund("r1", "order-1", 1, 0),
			"no currency": with(refund("r1", "order-1", 1, 100), "amount", object{"refund": 1, "total": 100}),
			"a query":     with(refund("r1", "order-1", 1, 100), "notify_url", hook+"?a"),
		} {
			c.refused(400, "PARAM_ERROR", "POST", refunds, body)
			require.NotEmpty(t, name)
		}
		c.refused(400, "INVALID_REQUEST", "POST", refunds, refund("r1", "order-1", 1, 99))
		c.refused(400, "INVALID_REQUEST", "POST", refunds, refund("r1", "order-1", 101, 100))

		c.do("POST", refunds, with(refund("r1", "order-1", 60, 100), "out_trade_no", nil, "transaction_id", id))
		c.refused(429, "FREQUENCY_LIMITED", "POST", refunds, refund("r2", "order-1", 10, 100))
		time.Sleep(time.Minute)
		c.refused(400, "INVALID_REQUEST", "POST", refunds, refund("r2", "order-1", 41, 100))
		c.do("POST", refunds, refund("r2", "order-1", 40, 100))
		time.Sleep(time.Minute)
		c.refused(400, "INVALID_REQUEST", "POST", refunds, refund("r3", "order-1", 1, 100))

		c.paid(s, "order-2", 100)
		for n := range 50 {
			c.do("POST", refunds, refund(fmt.Sprintf("many%d", n), "order-2", 1, 100))
			time.Sleep(time.Minute)
		}
		c.refused(400, "INVALID_REQUEST", "POST", refunds, refund("many50", "order-2", 1, 100))

		c.paid(s, "order-3", 100)
		_, err := s.Deposit(mchID, -100)
		require.NoError(t, err)
		_, err = s.Deposit(mchID, -49) // 50 fen are left of order-2
		require.NoError(t, err)
		c.refused(403, "NOT_ENOUGH", "POST", refunds, refund("poor", "order-3", 100, 100))
		_, err = s.Deposit(mchID, 99)
		require.NoError(t, err)
		c.do("POST", refunds, refund("poor", "order-3", 100, 100))

		c.paid(s, "order-4", 100)
		time.Sleep(365*24*time.Hour + time.Second)
		c.refused(400, "TRADE_OVERDUE", "POST", refunds, refund("late", "order-4", 100, 100))
	})
}

func TestAnAbnormalRefundGoesToACard(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	c.paid(s, "order-1", 100)
	id := c.do("POST", refunds, refund("r1", "order-1", 100, 100)).text("refund_id")
	path := refunds + "/" + id + "/apply-abnormal-refund"
	c.serial = c.m.PublicKeyID
	body := object{"out_refund_no": "r1", "type": "USER_BANK_CARD", "bank_type": "ICBC_DEBIT", "bank_account": c.secret("6222"), "real_name": c.secret("张三")}
	c.refused(400, "INVALID_REQUEST", "POST", path, body)
	require.NoError(t, s.FinishRefund(mchID, "r1", "ABNORMAL"))
	c.refused(400, "PARAM_ERROR", "POST", path, with(body, "real_name", nil))
	c.refused(400, "PARAM_ERROR", "POST", path, with(body, "type", "CASH"))
	c.refused(404, "RESOURCE_NOT_EXISTS", "POST", path, with(body, "out_refund_no", "r2"))
	c.refused(400, "PARAM_ERROR", "POST", path, with(body, "real_name", "张三"))
	require.Equal(t, "PROCESSING", c.do("POST", path, body).text("status"))
	require.NoError(t, s.FinishRefund(mchID, "r1", "SUCCESS"))
}
