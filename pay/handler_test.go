package pay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/pay"
)

// counter is a desk with servers for its public and private routes.
type counter struct {
	*desk
	private, public string
	mu              sync.Mutex
	calls           []pay.Call
	deny            error
}

// guards admit the callers whose Authorization names the guard.
func guardOf(scope string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Authorization"), scope) {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func newCounter(t *testing.T) *counter {
	c := &counter{desk: newDesk()}
	c.QR = func(text string) ([]byte, error) { return []byte("image of " + text), nil }
	c.URL = "https://shop.example.com/wx"
	h := &pay.Handler{
		Cashier: c.Cashier, Guard: guardOf("pay"), RefundGuard: guardOf("refund"), TransferGuard: guardOf("transfer"),
		Around: func(ctx context.Context, call pay.Call, do func(context.Context) error) error {
			c.mu.Lock()
			c.calls = append(c.calls, call)
			deny := c.deny
			c.mu.Unlock()
			if deny != nil {
				return deny
			}
			return do(ctx)
		},
	}
	private, public := httptest.NewServer(wetoken.Handler(h)), httptest.NewServer(wetoken.Handler(c.Cashier))
	t.Cleanup(private.Close)
	t.Cleanup(public.Close)
	c.private, c.public = private.URL, public.URL
	return c
}

// ask makes a request, and returns the status and the body.
func ask(t *testing.T, method, address, scopes, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", scopes)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var out map[string]any
	if len(raw) > 0 && raw[0] == '{' {
		require.NoError(t, json.Unmarshal(raw, &out))
	}
	return resp.StatusCode, out
}

const orderBody = `{"trade":"native","out_trade_no":"%s","fen":100,"description":"socks","notify_to":"http://shop/paid","extra":{"goods_tag":"x"}}`

func TestOrdersOverHTTP(t *testing.T) {
	c := newCounter(t)
	status, got := ask(t, "POST", c.private+"/pay/orders", "pay", fmt.Sprintf(orderBody, "order-1"))
	require.Equal(t, http.StatusOK, status, got)
	require.Equal(t, "weixin://order-1", got["code_url"])
	require.Contains(t, got["qr_url"], "https://shop.example.com/wx/pay/qr/")
	require.NotContains(t, got, "notify_to")
	first := got["qr_url"]
	_, got = ask(t, "POST", c.private+"/pay/orders", "pay", fmt.Sprintf(orderBody, "order-1"))
	require.Equal(t, first, got["qr_url"], "the same order has the same address")

	status, got = ask(t, "GET", c.private+"/pay/orders/order-1", "pay", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "NOTPAY", got["state"])

	require.Equal(t, http.StatusNoContent, c.bank.notifyPaid(c.Cashier, c.bank.payOrder("order-1")))
	require.Equal(t, "http://shop/paid", c.shop.transaction("tx-order-1").NotifyTo)
	status, got = ask(t, "POST", c.private+"/pay/orders/order-1/close", "pay", "")
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "paid", got["cause"])
	require.Equal(t, float64(-1), got["errcode"])
	require.Equal(t, "tx-order-1", got["transaction"].(map[string]any)["transaction_id"])

	status, got = ask(t, "POST", c.private+"/pay/refunds", "refund", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30,"total_fen":100}`)
	require.Equal(t, http.StatusOK, status, got)
	require.Equal(t, "PROCESSING", got["state"])
	require.NotContains(t, got, "notify_url")
	status, got = ask(t, "GET", c.private+"/pay/refunds/r1", "pay", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "SUCCESS", got["state"])
	require.Len(t, c.shop.refunded(), 1)

	_, got = ask(t, "POST", c.private+"/pay/orders", "pay", fmt.Sprintf(orderBody, "order-2"))
	require.NotEmpty(t, got["code_url"])
	status, got = ask(t, "POST", c.private+"/pay/orders/order-2/close", "pay", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, map[string]any{"out_trade_no": "order-2", "state": "CLOSED"}, got)

	status, got = ask(t, "POST", c.private+"/pay/transfers", "transfer", `{"out_bill_no":"t1","openid":"o1","fen":100,"scene_id":"1000","remark":"a prize","report_infos":[{"info_type":"a","info_content":"b"}]}`)
	require.Equal(t, http.StatusOK, status, got)
	require.Equal(t, "package-of-t1", got["package"])
	status, got = ask(t, "POST", c.private+"/pay/transfers/t1/cancel", "transfer", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "CANCELING", got["state"])
	require.Equal(t, pay.Call{Action: "order", Number: "order-1", Fen: 100, NotifyTo: "http://shop/paid"}, c.calls[0])
	require.Contains(t, c.calls, pay.Call{Action: "refund", Number: "r1", Fen: 30})
	require.Contains(t, c.calls, pay.Call{Action: "transfer", Number: "t1", Fen: 100})

	status, _ = ask(t, "GET", c.private+"/pay/bills/2026-01-02?kind=ALL", "pay", "")
	require.Equal(t, http.StatusOK, status)
	status, _ = ask(t, "GET", c.private+"/pay/bills/yesterday", "pay", "")
	require.Equal(t, http.StatusBadRequest, status)
}

func TestGuardAdmitsNoRefundsAndTransfers(t *testing.T) {
	c := newCounter(t)
	c.place(t, "order-1")
	require.Equal(t, http.StatusNoContent, c.bank.notifyPaid(c.Cashier, c.bank.payOrder("order-1")))
	for route, body := range map[string]string{
		"POST /pay/refunds":                `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30}`,
		"POST /pay/transfers":              `{}`,
		"GET /pay/transfers/t1":            "",
		"POST /pay/transfers/t1/cancel":    "",
		"POST /pay/refused/x/accept":       "",
		"POST /pay/orders/order-1/reverse": "", // it is paid, so this returns the money
		"POST /pay/orders/unknown/reverse": "",
	} {
		method, path, _ := strings.Cut(route, " ")
		status, _ := ask(t, method, c.private+path, "pay", body)
		require.Equal(t, http.StatusForbidden, status, route)
	}
	require.Zero(t, c.bank.count("refund")+c.bank.count("transfer")+c.bank.count("reverse"))
	for route := range (&pay.Handler{Cashier: c.Cashier}).Routes() {
		method, path, _ := strings.Cut(route, " ")
		w := httptest.NewRecorder()
		wetoken.Handler(&pay.Handler{Cashier: c.Cashier}).ServeHTTP(w, httptest.NewRequest(method, path, nil))
		require.Equal(t, http.StatusForbidden, w.Code, route)
	}
}

func TestErrorsNameTheInvalidField(t *testing.T) {
	c := newCounter(t)
	for body, want := range map[string]string{
		`{"trade":"native","out_trade_no":"order-1","fen":1.5}`:               "fen is a number",
		`{"trade":"native","out_trade_no":"order-1","fen":"100"}`:             "fen is a string",
		`{"trade":"native","out_trade_no":"order-1","price":100}`:             `unknown field "price"`,
		`{"trade":"native","out_trade_no":"order-1","Fen":100}`:               `unknown field "Fen"`,
		`{"trade":"native","fen":1,"fen":100}`:                                `key "fen" is given twice`,
		`{"extra":{"a":{"b":1,"b":2}}}`:                                       `key "b" is given twice`,
		`{"extra":` + strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40) + `}`: `nested too deeply`,
		`[]`: `not an object`,
		`{"trade":"native","out_trade_no":"order-1","fen":100,"description":"a"}{`: "not JSON",
		`{"trade":"native","out_trade_no":"../x","fen":100,"description":"a"}`:     "OutTradeNo",
		`{"trade":"cash","out_trade_no":"order-1","fen":100,"description":"a"}`:    "Order.Trade",
		`{"expires_at":"tomorrow"}`: "expires_at",
		`{"trade":"native","out_trade_no":"order-9","fen":1,"description":"x","expires_at":"0001-01-01T00:00:00Z"}`: "Order.ExpiresAt is invalid",
		``: "not JSON",
	} {
		status, got := ask(t, "POST", c.private+"/pay/orders", "pay", body)
		require.Equal(t, http.StatusBadRequest, status, body)
		require.Contains(t, got["errmsg"], want, body)
	}
	status, got := ask(t, "POST", c.private+"/pay/orders", "pay", strings.Repeat("a", 1<<20))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	require.Equal(t, "too_large", got["cause"])
	require.Zero(t, c.bank.count("prepay"))
}

func TestErrorsHaveTheStatusOfTheirCause(t *testing.T) {
	c := newCounter(t)
	i := 0
	for cause, want := range map[pay.Cause]int{
		pay.ErrUnknown: 503, pay.ErrChanged: 409, pay.ErrPaying: 409, pay.ErrNotEnough: 402, pay.ErrBusy: 429, pay.ErrSettings: 502, pay.ErrClosed: 409, "": 502,
	} {
		i++
		c.bank.set(func(b *bank) { b.fail["prepay"] = &pay.Error{Op: "prepay", Cause: cause, Status: 400, Code: "CODE"} })
		status, got := ask(t, "POST", c.private+"/pay/orders", "pay", fmt.Sprintf(orderBody, fmt.Sprint("order-", i)))
		require.Equal(t, want, status, cause)
		require.Equal(t, "CODE", got["code"])
		if cause != "" {
			require.Equal(t, string(cause), got["cause"])
		}
	}
	c.deny = &pay.Error{Op: "place order", Cause: pay.ErrDenied, Message: "too much"}
	status, got := ask(t, "POST", c.private+"/pay/orders", "pay", fmt.Sprintf(orderBody, "order-x"))
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, "denied", got["cause"])
	c.deny = nil
	c.records.set(func(f *flaky) { f.away = true })
	status, _ = ask(t, "GET", c.private+"/pay/orders/order-1", "pay", "")
	require.Equal(t, http.StatusServiceUnavailable, status)
}

func TestRefusedPaymentsCanBeListedAndAccepted(t *testing.T) {
	c := newCounter(t)
	c.place(t, "order-1")
	wrong := c.bank.payOrder("order-1")
	wrong.Fen = 1
	require.Equal(t, http.StatusForbidden, c.bank.notifyPaid(c.Cashier, wrong))
	_, got := ask(t, "GET", c.private+"/pay/refused", "pay", "")
	list := got["refused"].([]any)
	require.Len(t, list, 1)
	id := list[0].(map[string]any)["id"].(string)
	status, _ := ask(t, "POST", c.private+"/pay/refused/"+id+"/accept", "refund", "")
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, 1, c.shop.count())
	_, got = ask(t, "GET", c.private+"/pay/refused", "pay", "")
	require.Empty(t, got["refused"])
	status, _ = ask(t, "POST", c.private+"/pay/refused/"+id+"/accept", "refund", "")
	require.Equal(t, http.StatusNotFound, status)
}

// idOf returns the random id at the end of an address.
func idOf(address string) string { return address[strings.LastIndexByte(address, '/')+1:] }

func TestPublicURLsOfAnOrder(t *testing.T) {
	c := newCounter(t)
	p, err := c.Prepay(t.Context(), order("order-1"))
	require.NoError(t, err)
	resp, err := http.Get(c.public + "/pay/qr/" + idOf(p.QRURL))
	require.NoError(t, err)
	image, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "image/png", resp.Header.Get("Content-Type"))
	require.Equal(t, "image of weixin://order-1", string(image))
	require.Equal(t, 1, c.bank.count("prepay"), "the stored code is used")
	for _, other := range []string{"js", "h5"} { // of another trade
		status, _ := ask(t, "GET", c.public+"/pay/"+other+"/"+idOf(p.QRURL), "", "")
		require.Equal(t, http.StatusNotFound, status)
	}
	c.bank.payOrder("order-1")
	_, err = c.Query(t.Context(), "order-1")
	require.NoError(t, err)
	status, got := ask(t, "GET", c.public+"/pay/qr/"+idOf(p.QRURL), "", "")
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "paid", got["cause"])
	require.NotContains(t, fmt.Sprint(got), "order-1", "the reply has no order number")
}

func TestInvalidIDsFindNoOrder(t *testing.T) {
	c := newCounter(t)
	other := deskOn(c.bank, c.shop, c.Store, c.records)
	other.App, other.URL = "other", "https://shop.example.com/wx2"
	o := order("order-9")
	o.Trade, o.OpenID = pay.JSAPI, "o1"
	foreign, err := other.Prepay(t.Context(), o)
	require.NoError(t, err)
	for _, id := range []string{strings.Repeat("A", 26), "x", strings.Repeat("a", 26), idOf(foreign.JSURL), strings.Repeat("A", 5000), "..%2f..", url.PathEscape("订单")} {
		for _, kind := range []string{"qr", "js", "h5"} {
			status, got := ask(t, "GET", c.public+"/pay/"+kind+"/"+id, "", "")
			require.Equal(t, http.StatusNotFound, status, id)
			if kind != "h5" {
				require.Equal(t, "not_found", got["cause"])
			}
		}
	}
	require.Equal(t, 1, c.bank.count("prepay"))
}

func TestAnOldCodeIsRenewedWithTheSameNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.QR = func(text string) ([]byte, error) { return []byte(text), nil }
		p, err := d.Prepay(t.Context(), order("order-1"))
		require.NoError(t, err)
		get := func() int {
			w := httptest.NewRecorder()
			wetoken.Handler(d.Cashier).ServeHTTP(w, httptest.NewRequest("GET", "/pay/qr/"+idOf(p.QRURL), nil))
			return w.Code
		}
		<-time.After(time.Hour)
		require.Equal(t, http.StatusOK, get())
		require.Equal(t, 1, d.bank.count("prepay"))
		<-time.After(55 * time.Minute)
		require.Equal(t, http.StatusOK, get())
		require.Equal(t, http.StatusOK, get())
		require.Equal(t, 2, d.bank.count("prepay"))
		<-time.After(2 * time.Hour)
		d.bank.fail["prepay"] = refuse("prepay", pay.ErrUnknown)
		for range 20 {
			require.GreaterOrEqual(t, get(), http.StatusTooManyRequests)
		}
		require.Equal(t, 3, d.bank.count("prepay"), "anybody with the id may ask")
		clear(d.bank.fail)
		<-time.After(5 * time.Second)
		require.Equal(t, http.StatusOK, get())
		<-time.After(8 * 24 * time.Hour)
		require.Equal(t, http.StatusConflict, get(), "it has expired")
		require.Equal(t, 4, d.bank.count("prepay"))
	})
}

func TestJSAPIParametersAreSignedAtTheRequestAndH5IsAPage(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		o := order("order-1")
		o.Trade, o.OpenID = pay.JSAPI, "o1"
		p, err := w.Prepay(t.Context(), o)
		require.NoError(t, err)
		<-time.After(time.Minute)
		get := func(path string) *httptest.ResponseRecorder {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Accept-Language", "en-US,en;q=0.9")
			wetoken.Handler(w.Cashier).ServeHTTP(rec, r)
			return rec
		}
		rec := get("/pay/js/" + idOf(p.JSURL))
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, "*", rec.Header().Get("Access-Control-Allow-Origin"))
		var params map[string]string
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &params))
		require.Equal(t, p.Params["package"], params["package"])
		require.NotEqual(t, p.Params["paySign"], params["paySign"])
		require.Equal(t, fmt.Sprint(time.Now().Unix()), params["timeStamp"])

		o = order("order-2")
		o.Trade, o.ClientIP, o.Description = pay.H5, "1.2.3.4", "<b>socks</b>"
		o.Extra = map[string]any{"scene_info": map[string]any{"h5_info": map[string]any{"type": "Wap"}}}
		p, err = w.Prepay(t.Context(), o)
		require.NoError(t, err)
		rec = get("/pay/h5/" + idOf(p.PageURL))
		require.Equal(t, http.StatusOK, rec.Code, rec.Body)
		require.Equal(t, "origin", rec.Header().Get("Referrer-Policy"))
		require.Contains(t, rec.Body.String(), `<html lang="en">`)
		require.Contains(t, rec.Body.String(), "&lt;b&gt;socks&lt;/b&gt; ¥1.00")
		require.Contains(t, rec.Body.String(), `<a id="pay" href="http`)
		<-time.After(5 * time.Minute)
		again := get("/pay/h5/" + idOf(p.PageURL))
		require.Equal(t, http.StatusOK, again.Code, again.Body)
	})
}

func TestOrdersAreListedWithTheirAppID(t *testing.T) {
	d := newDesk()
	d.AppID = "wx0123456789abcdef"
	d.place(t, "order-1")
	own := order("order-2")
	own.AppID = "wx00000000000000aa"
	_, err := d.Prepay(t.Context(), own)
	require.NoError(t, err)
	require.NoError(t, d.Close(t.Context(), "order-1"))
	orders, _, err := d.Orders(t.Context(), pay.Filter{})
	require.NoError(t, err)
	got := map[string]string{}
	for _, o := range orders {
		got[o.OutTradeNo] = o.AppID
	}
	require.Equal(t, map[string]string{"order-1": d.AppID, "order-2": own.AppID}, got)
}

func TestOrdersAreListedByTheirState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.records.set(func(f *flaky) { f.ops = 0 })
		const all = 1000
		for i := range all {
			d.place(t, fmt.Sprintf("order-%04d", i))
		}
		for i := range 250 {
			require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, d.bank.payOrder(fmt.Sprintf("order-%04d", i))))
		}
		<-time.After(24 * time.Hour)
		require.NoError(t, d.Close(t.Context(), "order-0999"))
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-0999")))
		require.NoError(t, d.Close(t.Context(), "order-0998"))

		list := func(f pay.Filter) map[string]pay.Transaction {
			got := map[string]pay.Transaction{}
			for page := 0; ; page++ {
				require.Less(t, page, 200)
				d.records.set(func(f *flaky) { f.ops = 0 })
				orders, next, err := d.Orders(t.Context(), f)
				require.NoError(t, err)
				require.LessOrEqual(t, len(orders), 100)
				d.records.set(func(f *flaky) { require.LessOrEqual(t, f.ops, 64*2+400) })
				for _, o := range orders {
					got[o.OutTradeNo] = o
				}
				if next == "" {
					return got
				}
				f.Cursor = next
			}
		}
		require.Len(t, list(pay.Filter{}), all)
		require.Len(t, list(pay.Filter{State: pay.NotPaid}), all-252)
		require.Len(t, list(pay.Filter{State: pay.Success}), 251)
		require.Len(t, list(pay.Filter{State: pay.Closed}), 1)
		late := list(pay.Filter{Late: true})
		require.Len(t, late, 1)
		require.Equal(t, "closed", late["order-0999"].Late)
		require.Len(t, list(pay.Filter{State: pay.Success, Since: time.Now().Add(-time.Hour)}), 1)
		require.Empty(t, list(pay.Filter{Since: time.Now()}))
		require.Len(t, list(pay.Filter{Since: time.Unix(0, 0)}), all)

		other := deskOn(d.bank, d.shop, d.Store, d.records)
		other.App = "other"
		orders, _, err := other.Orders(t.Context(), pay.Filter{})
		require.NoError(t, err)
		require.Empty(t, orders)
		for _, cursor := range []string{"x", "2026-01-01.9.0.0.0", "2026-01-01.0.-1.0.0", strings.Repeat("1.", 50), "2026-13-01.0.0.0.0", "2026-01-01.0.0.99999999999.0"} {
			_, _, err := d.Orders(t.Context(), pay.Filter{Cursor: cursor})
			require.ErrorAs(t, err, new(*pay.FieldError), cursor)
		}
		_, _, err = d.Orders(t.Context(), pay.Filter{State: "PAID"})
		require.ErrorAs(t, err, new(*pay.FieldError))
	})
}

func TestAnOrderWithoutARecordBelongsToTheAppWithItsAppID(t *testing.T) {
	c := newCounter(t)
	c.bank.payOrder("order-9") // of appid wx1, made elsewhere
	c.AppID = "wx2"
	for route, body := range map[string]string{
		"GET /pay/orders/order-9":        "",
		"POST /pay/refunds":              `{"out_trade_no":"order-9","out_refund_no":"r1","fen":30}`,
		"POST /pay/orders/order-9/close": "",
	} {
		method, path, _ := strings.Cut(route, " ")
		status, got := ask(t, method, c.private+path, "pay refund", body)
		require.Equal(t, http.StatusNotFound, status, "%s: %v", route, got)
	}
	require.Equal(t, http.StatusForbidden, c.bank.notifyPaid(c.Cashier, c.bank.payOrder("order-9")))
	require.Zero(t, c.bank.count("refund")+c.bank.count("close"))
	c.AppID = "wx1"
	status, _ := ask(t, "GET", c.private+"/pay/orders/order-9", "pay", "")
	require.Equal(t, http.StatusOK, status)
}

func TestLargeInvalidBodiesAreRefused(t *testing.T) {
	c := newCounter(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			resp, err := http.Post(c.public+"/pay/notify", "application/json", bytes.NewReader(make([]byte, 1<<20)))
			if err != nil {
				return // the connection was closed before the whole body was sent
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	all.Wait()
	require.Equal(t, http.StatusUnauthorized, send(c.Cashier, []byte("nonsense")))
	require.Zero(t, c.shop.calls())
}
