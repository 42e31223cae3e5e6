package handlers_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
)

// admin returns an admin and the number of an order that was paid.
func admin(t *testing.T, s *server, b *shoptest.Bank) (a *customer, no string) {
	t.Helper()
	c := s.customer(t, "li")
	data := c.send(t, "POST", "/order", `{"goods":[5]}`).data(t)
	scanAndPay(t, b, data["code_url"].([]any)[0].(string))
	no = data["out_trade_no"].(string)
	c.waitPaid(t, no)
	for _, path := range []string{"/orders/" + no + "/refund", "/orders/" + no + "/ship", "/payments/42/accept", "/payments/42/refund"} {
		require.Equal(t, http.StatusForbidden, c.send(t, "POST", path, "").http, path)
	}
	for _, path := range []string{"/bills/2026-01-02", "/payments", "/order?all=true"} {
		require.Equal(t, http.StatusForbidden, c.send(t, "GET", path, "").http, path)
	}
	a = s.customer(t, "boss")
	require.NoError(t, s.db.MakeAdmin(t.Context(), "boss"))
	return a, no
}

func TestAnAdminShipsAndRefunds(t *testing.T) {
	s, b := newPaidServer(t, t.TempDir()+"/shop.db", "v3")
	boss, no := admin(t, s, b)
	list := boss.send(t, "GET", "/order?all=true", "")
	require.Len(t, list.fields["orders"], 1)

	requireRefused(t, "参数不正确", boss.send(t, "POST", "/orders/"+no+"/ship", `{"express_company":"SF"}`))
	shipped := boss.send(t, "POST", "/orders/"+no+"/ship", `{"express_company":"SF","tracking_no":"SF123"}`)
	requireState(t, 200, shipped)
	order := shipped.fields["order"].(map[string]any)
	require.Equal(t, []any{"SHIPPED", "SUCCESS", "SF123"}, []any{order["state"], order["trade_state"], order["tracking_no"]})

	requireState(t, 200, boss.send(t, "POST", "/orders/"+no+"/refund", `{"reason":"torn"}`))
	require.NoError(t, b.FinishRefund(shoptest.MchID, order["transaction_id"].(string)+"-1", "SUCCESS"))
	require.Eventually(t, func() bool {
		o, err := s.shop.Store.Order(t.Context(), no)
		return err == nil && o.State == shop.Refunded
	}, 30*time.Second, 10*time.Millisecond)
	requireRefused(t, "订单的状态不允许此操作", boss.send(t, "POST", "/orders/"+no+"/ship", ""))
	requireRefused(t, "订单不存在", boss.send(t, "POST", "/orders/letao-none/refund", ""))

	requireRefused(t, "参数不正确", boss.send(t, "GET", "/bills/today", ""))
	requireRefused(t, "微信支付暂时没有结果，请稍后再试", boss.send(t, "GET", "/bills/"+time.Now().In(shop.Beijing).Format(time.DateOnly), ""))
	bill := boss.send(t, "GET", "/bills/"+time.Now().In(shop.Beijing).AddDate(0, 0, -3).Format(time.DateOnly), "")
	requireState(t, 200, bill)
	require.Equal(t, []any{}, bill.fields["differences"])
}

func TestAnAdminDecidesAboutPaymentsThatCameLate(t *testing.T) {
	s, b := newPaidServer(t, t.TempDir()+"/shop.db", "v3")
	boss, _ := admin(t, s, b)
	late := func() (no, id string) {
		no = boss.send(t, "POST", "/order", `{"goods":[5]}`).data(t)["out_trade_no"].(string)
		require.NoError(t, s.shop.Cashier.Close(t.Context(), no))
		_, err := s.shop.Query(t.Context(), no)
		require.NoError(t, err)
		id, err = b.PayLate(shoptest.MchID, no, "")
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			list := boss.send(t, "GET", "/payments", "").fields["payments"].([]any)
			return len(list) == 1 && list[0].(map[string]any)["transaction_id"] == id
		}, 30*time.Second, 10*time.Millisecond)
		return no, id
	}
	no, id := late()
	requireState(t, 200, boss.send(t, "POST", "/payments/"+id+"/accept", ""))
	require.Equal(t, []any{"SUCCESS"}, boss.send(t, "POST", "/queryOrder", form("out_trade_no", no)).data(t)["trade_state"])
	requireRefused(t, "订单的状态不允许此操作", boss.send(t, "POST", "/payments/"+id+"/accept", ""))

	_, id = late()
	requireState(t, 200, boss.send(t, "POST", "/payments/"+id+"/refund", `{"reason":"late"}`))
	require.NoError(t, b.FinishRefund(shoptest.MchID, id+"-1", "SUCCESS"))
	require.Eventually(t, func() bool {
		return len(boss.send(t, "GET", "/payments", "").fields["payments"].([]any)) == 0
	}, 30*time.Second, 10*time.Millisecond)
	requireRefused(t, "订单不存在", boss.send(t, "POST", "/payments/4299/refund", ""))
}
