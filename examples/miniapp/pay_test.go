package main_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/order"
	"github.com/wetoken/wetoken/examples/miniapp/store"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

// placed is an order with the arguments of wx.requestPayment.
type placed struct {
	number string
	params map[string]any
}

func (p *program) order(token string) placed {
	p.t.Helper()
	data := p.call("POST", "/app/miniapp/pay/orders", token, map[string]string{"product_id": "socks"}).fields(p.t)
	return placed{data["order"].(map[string]any)["out_trade_no"].(string), data["params"].(map[string]any)}
}

// pay pays as the phone does, which checks the arguments.
func (p *program) pay(o placed, person string) {
	p.t.Helper()
	raw, err := json.Marshal(o.params)
	require.NoError(p.t, err)
	var params paytest.Params
	require.NoError(p.t, json.Unmarshal(raw, &params))
	params.AppID = miniAppID
	sheet, err := p.world.Pay.OpenSheet(paytest.Entry{Params: &params})
	require.NoError(p.t, err)
	_, err = p.world.Pay.AnswerSheet(sheet.ID, "pay", p.world.WeChat.OpenID(miniAppID, person))
	require.NoError(p.t, err)
}

// wait returns an order when it is not open any more.
func (p *program) wait(token, number string) map[string]any {
	p.t.Helper()
	for range 5 {
		o := p.call("GET", "/app/miniapp/pay/orders/"+number+"?wait=20", token, nil).fields(p.t)
		if o["state"] != "open" {
			return o
		}
	}
	p.t.Fatal("the order stays open")
	return nil
}

func (p *program) points(token string) int {
	p.t.Helper()
	return int(p.call("GET", "/app/miniapp/user", token, nil).fields(p.t)["points"].(float64))
}

func TestAnOrderIsPaidAndItsBusinessIsDoneOnce(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	token, _ := p.login("小明")
	p.world.WeChat.Accept(miniAppID, "小明", "paid")
	p.world.Pay.AddNotificationFault(paytest.NotificationFault{MchID: mchID, Copies: 3})
	o := p.order(token)
	p.pay(o, "小明")
	paid := p.wait(token, o.number)
	require.Equal(t, "paid", paid["state"])
	require.NotEmpty(t, paid["transaction_id"])
	require.Equal(t, 12, p.points(token))
	require.Eventually(t, func() bool { return len(p.world.WeChat.Sent()) == 1 }, 20*time.Second, 10*time.Millisecond)
	require.Contains(t, string(p.world.WeChat.Sent()[0].Body), "¥12.00")
	require.Eventually(t, func() bool { return len(p.world.Pay.Deliveries()) >= 2 }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, 12, p.points(token), "copies change nothing")

	stranger, _ := p.login("小红")
	p.refused(p.call("GET", "/app/miniapp/pay/orders/"+o.number, stranger, nil), 404, "not_found")
	p.refused(p.call("POST", "/app/miniapp/pay/orders/"+o.number+"/cancel", stranger, nil), 404, "not_found")
	p.refused(p.call("POST", "/app/miniapp/pay/orders/"+o.number+"/cancel", token, nil), 409, "paid")
	p.refused(p.call("POST", "/app/miniapp/pay/orders", token, map[string]any{"product_id": "socks' OR 1=1", "fen": 1}), 400, "product")
	p.refused(p.call("POST", "/app/miniapp/pay/orders", "", "{}"), 401, "token")
}

func TestACancelledOrderCannotBePaid(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	token, _ := p.login("小明")
	o := p.order(token)
	require.Equal(t, "closed", p.call("POST", "/app/miniapp/pay/orders/"+o.number+"/cancel", token, nil).fields(t)["state"])
	_, err := p.world.Pay.Pay(mchID, o.number, p.world.WeChat.OpenID(miniAppID, "小明"))
	require.Error(t, err)

	late := p.order(token)
	p.call("POST", "/app/miniapp/pay/orders/"+late.number+"/cancel", token, nil)
	_, err = p.world.Pay.PayLate(mchID, late.number, p.world.WeChat.OpenID(miniAppID, "小明"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "a payment needs a person") }, 20*time.Second, 10*time.Millisecond)
	require.Zero(t, p.points(token))
	require.Equal(t, "closed", p.call("GET", "/app/miniapp/pay/orders/"+late.number, token, nil).fields(t)["state"])

	for range 20 {
		p.order(token)
	}
	p.refused(p.call("POST", "/app/miniapp/pay/orders", token, map[string]string{"product_id": "socks"}), 429, "orders")
}

func TestWithoutABusinessHookAPaymentIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	token, _ := p.login("小明")
	o := p.order(token)
	p.pay(o, "小明")
	require.Eventually(t, func() bool {
		d := p.world.Pay.Deliveries()
		return len(d) > 0 && d[0].Status != 0
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, http.StatusServiceUnavailable, p.world.Pay.Deliveries()[0].Status)
	require.Contains(t, p.log.String(), o.number)
	require.Contains(t, p.log.String(), "no business hook is set")
	require.Equal(t, "open", p.call("GET", "/app/miniapp/pay/orders/"+o.number, token, nil).fields(t)["state"])
}

func TestAFailedBusinessIsDoneAgainAndChangesNothingBefore(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	p := start(t, func(ctx context.Context, tx *sql.Tx, o order.Order) error {
		err := store.GivePoints(ctx, tx, o)
		if runs.Add(1) == 1 {
			return errors.Join(err, errors.New("the first run fails after its work"))
		}
		return err
	})
	token, _ := p.login("小明")
	o := p.order(token)
	p.pay(o, "小明")
	require.Equal(t, "paid", p.wait(token, o.number)["state"])
	require.EqualValues(t, 2, runs.Load())
	require.Equal(t, 12, p.points(token), "the first run was rolled back")
}

func TestForgedNotificationsSettleNothing(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	token, _ := p.login("小明")
	o := p.order(token)
	p.world.Pay.AddNotificationFault(paytest.NotificationFault{MchID: mchID, Sign: paytest.Forged, Times: 1})
	p.pay(o, "小明")
	require.Eventually(t, func() bool {
		d := p.world.Pay.Deliveries()
		return len(d) > 0 && d[0].Status == http.StatusUnauthorized
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "open", p.call("GET", "/app/miniapp/pay/orders/"+o.number, token, nil).fields(t)["state"])
}

func TestShippingIsReportedUntilWeChatTakesIt(t *testing.T) {
	t.Parallel()
	p := start(t, store.GivePoints)
	token, _ := p.login("小明")
	o := p.order(token)
	admin := func(method, path string, body any) reply {
		return p.call(method, path, "", body, "Authorization", "Bearer "+adminKey)
	}
	path := "/admin/orders/" + o.number + "/shipping"
	p.refused(admin("POST", path, map[string]any{"logistics_type": 3}), 409, "unpaid")
	p.pay(o, "小明")
	p.wait(token, o.number)

	p.refused(p.call("POST", path, token, map[string]any{"logistics_type": 3}), 401, "admin")
	p.refused(p.call("POST", path, "", "{}", "Authorization", "Bearer "), 401, "admin")
	p.refused(admin("POST", path, map[string]any{"logistics_type": 9}), 400, "shipping")
	p.refused(admin("POST", path, map[string]any{"logistics_type": 1}), 400, "shipping")
	p.refused(admin("POST", "/admin/orders/mp00000000/shipping", map[string]any{"logistics_type": 3}), 404, "not_found")

	// WeChat does not have the payment in its books yet.
	p.world.WeChat.AddFault(wechattest.Fault{Path: "/wxa/sec/order/upload_shipping_info", Code: 10060001, Times: 1})
	s := admin("POST", path, map[string]any{"logistics_type": 3}).fields(t)
	require.Equal(t, "due", s["state"])
	require.Contains(t, s["error"], "10060001")
	_, err := p.db.ExecContext(t.Context(), "UPDATE miniapp_shipment SET next_at = 1") // the minute is over
	require.NoError(t, err)
	require.Eventually(t, func() bool { return admin("GET", path, nil).fields(t)["state"] == "sent" }, 30*time.Second, 50*time.Millisecond)
	require.Len(t, p.world.WeChat.Shipments(), 1)
	require.Equal(t, o.number, p.world.WeChat.Shipments()[0].Payment.OutTradeNo)

	s = admin("POST", path, map[string]any{"logistics_type": 1, "tracking_no": "1", "express_company": "SF"}).fields(t)
	require.Equal(t, "failed", s["state"], "WeChat wants a contact for SF")
	require.Contains(t, s["error"], "10060014")
	s = admin("POST", path, map[string]any{"logistics_type": 1, "tracking_no": "1", "express_company": "SF", "contact": "138****0000"}).fields(t)
	require.Equal(t, "sent", s["state"], "the one correction")
}

func TestABillIsQueriedAndDownloaded(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p := start(t, store.GivePoints)
	const text = "\ufeff交易时间,商户订单号,商品名称,应结订单金额\r\n`2026-11-01 10:00:00,`mp1,`say \"hi\",`12.00\r\n`2026-11-01 10:00:01,`mp2,`socks,`12.00\r\n总交易单数,应结订单总金额\r\n`2,`24.00\r\n"
	ago := func(days int) (day string) { return time.Now().In(beijing).AddDate(0, 0, -days).Format(time.DateOnly) }
	add := func(days int, wrongHash bool) {
		t.Helper()
		require.NoError(t, p.world.Pay.AddBill(paytest.Bill{
			MchID: mchID, Kind: "tradebill", Day: time.Now().AddDate(0, 0, -days), WrongHash: wrongHash,
			Write: func(w io.Writer) error { _, err := io.WriteString(w, text); return err },
		}))
	}
	day, wrong := ago(3), ago(4)
	add(3, false)
	add(4, true)
	admin := func(path string) reply { return p.call("GET", path, "", nil, "Authorization", "Bearer "+adminKey) }
	b := admin("/admin/bills/" + day).fields(t)
	require.EqualValues(t, 2, b["rows"])
	require.Equal(t, map[string]any{"总交易单数": "2", "应结订单总金额": "24.00"}, b["totals"])
	r := admin("/admin/bills/" + day + "/file?kind=ALL")
	require.Equal(t, text, r.raw)
	p.refused(admin("/admin/bills/yesterday"), 400, "day")
	p.refused(admin("/admin/bills/"+day+"?kind=x"), 400, "day")
	p.refused(admin("/admin/bills/"+ago(9)), 404, "bill")
	p.refused(p.call("GET", "/admin/bills/"+day+"/file", "", nil), 401, "admin")

	r = admin("/admin/bills/" + wrong + "/file")
	require.Equal(t, 503, r.status, "a bill that is not WeChat's is not sent")
	require.NotContains(t, r.raw, "mp1")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "bill-*.csv"))
	require.NoError(t, err)
	require.Empty(t, left)
}
