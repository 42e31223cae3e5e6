package payv3_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

// write is a call that changes something at WeChat.
type write struct {
	name   string
	number string // that its errors name
	do     func(ctx context.Context, m *payv3.Merchant) error
	answer string
	status int
}

func order(trade pay.Trade) pay.Order {
	return pay.Order{Trade: trade, OutTradeNo: "order-1", Fen: 100, Description: "socks", OpenID: openID, ClientIP: "203.0.113.7", AuthCode: "130061098828009406"}
}

var writes = []write{
	{"jsapi", "out_trade_no order-1", prepay(pay.JSAPI), `{"prepay_id":"wx26112221580621e9b071c00d9e093b0000"}`, 200},
	{"native", "out_trade_no order-1", prepay(pay.Native), `{"code_url":"weixin://wxpay/bizpayurl?pr=p4lpSuKzz"}`, 200},
	{"app", "out_trade_no order-1", prepay(pay.APP), `{"prepay_id":"wx26112221580621e9b071c00d9e093b0000"}`, 200},
	{"h5", "out_trade_no order-1", prepay(pay.H5), `{"h5_url":"https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1"}`, 200},
	{"close", "out_trade_no order-1", func(ctx context.Context, m *payv3.Merchant) error { return m.Close(ctx, "order-1") }, "", 204},
	{"reverse", "out_trade_no order-1", func(ctx context.Context, m *payv3.Merchant) error { return m.Reverse(ctx, "order-1") }, `{"appid":"a","mchid":"b","out_trade_no":"order-1"}`, 200},
	{"refund", "out_refund_no r-1", func(ctx context.Context, m *payv3.Merchant) error {
		f, err := m.Refund(ctx, pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r-1", Fen: 10, TotalFen: 100})
		if err == nil && (f.State != pay.Processing || f.RefundID != "50000000382019052709732678859") {
			return errors.New("the refund is not what was answered")
		}
		return err
	}, `{"refund_id":"50000000382019052709732678859","out_refund_no":"r-1","out_trade_no":"order-1","status":"PROCESSING","amount":{"total":100,"refund":10}}`, 200},
	{"transfer", "out_bill_no t1", post("/v3/fund-app/mch-transfer/transfer-bills", map[string]any{"out_bill_no": "t1", "user_name": payv3.Secret("张三")}), `{"out_bill_no":"t1","state":"WAIT_USER_CONFIRM"}`, 200},
	{"cancelled transfer", "out_bill_no t1", post("/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/t1/cancel", nil), `{"out_bill_no":"t1","state":"CANCELING"}`, 200},
	{"shared", "out_order_no s1", post("/v3/profitsharing/orders", map[string]any{"out_order_no": "s1"}), `{"out_order_no":"s1"}`, 200},
	{"share returned", "out_return_no b1", post("/v3/profitsharing/return-orders", map[string]any{"out_order_no": "s1", "out_return_no": "b1"}), `{"out_return_no":"b1"}`, 200},
	{"combined", "combine_out_trade_no c1", post("/v3/combine-transactions/native", map[string]any{"combine_out_trade_no": "c1"}), `{"code_url":"weixin://"}`, 200},
}

func prepay(trade pay.Trade) func(context.Context, *payv3.Merchant) error {
	return func(ctx context.Context, m *payv3.Merchant) error {
		_, err := m.Prepay(ctx, order(trade))
		return err
	}
}

func post(path string, in any) func(context.Context, *payv3.Merchant) error {
	return func(ctx context.Context, m *payv3.Merchant) error {
		var out map[string]any
		return m.Do(ctx, "POST", path, in, &out)
	}
}

// books count how often something was done under a number, as WeChat does it: once.
func books(w write) (answer func(*http.Request, []byte) (int, string), done func() int) {
	numbers := make(map[string]bool)
	return func(r *http.Request, body []byte) (int, string) {
		key := r.URL.Path
		var fields map[string]any
		_ = json.Unmarshal(body, &fields)
		for _, name := range []string{"out_trade_no", "out_refund_no", "out_bill_no", "out_order_no", "out_return_no", "combine_out_trade_no"} {
			key += fmt.Sprint(fields[name])
		}
		numbers[key] = true
		return w.status, w.answer
	}, func() int { return len(numbers) }
}

var faults = []string{"lost", "unsigned", "forged", "probe", "502", "500"}

func TestAWriteWhoseFirstAnswerCannotBeTrustedIsSentOnceMore(t *testing.T) {
	for _, w := range writes {
		for _, fault := range append(faults, "drop") {
			t.Run(w.name+"/"+fault, func(t *testing.T) {
				f := newFake()
				answer, done := books(w)
				f.answer = answer
				f.fault = func(_ *http.Request, try int) string {
					if try == 1 {
						return fault
					}
					return ""
				}
				require.NoError(t, w.do(t.Context(), f.merchant(t)))
				f.settle()
				require.Equal(t, 1, done())
				require.Len(t, f.bodies, 2)
				require.Equal(t, f.bodies[0], f.bodies[1])
				require.Equal(t, f.headers[0].Get("Authorization"), f.headers[1].Get("Authorization"))
				retried := strings.HasSuffix(f.headers[1].Get("User-Agent"), " (Retried-V1)")
				require.Equal(t, fault == "lost" || fault == "drop", retried)
			})
		}
	}
}

func TestAWriteWithoutAnAnswerToBeTrustedIsUnknown(t *testing.T) {
	for _, w := range writes {
		for _, fault := range faults {
			t.Run(w.name+"/"+fault, func(t *testing.T) {
				f := newFake()
				answer, done := books(w)
				f.answer = answer
				f.fault = func(*http.Request, int) string { return fault }
				err := w.do(t.Context(), f.merchant(t))
				f.settle()
				require.ErrorIs(t, err, pay.ErrUnknown)
				require.ErrorContains(t, err, "query "+w.number)
				require.Equal(t, 1, done())
				require.Len(t, f.bodies, 2)
				var e *pay.Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, w.number, e.Number)
				switch fault {
				case "probe":
					require.ErrorIs(t, err, pay.ErrProbe)
				case "forged", "unsigned":
					require.ErrorIs(t, err, pay.ErrSignature)
				case "502":
					require.Equal(t, 502, e.Status)
				case "lost":
					require.ErrorIs(t, err, io.EOF)
				}
			})
		}
	}
}

func TestAWriteWithoutANumberIsNotRepeated(t *testing.T) {
	for _, fault := range faults {
		f := newFake()
		f.answer = always(200, `{}`)
		f.fault = func(*http.Request, int) string { return fault }
		reply := post("/v3/merchant-service/complaints-v2/200201820200101080076610000/response", map[string]any{"complainted_mchid": mchID, "response_content": "sorry"})
		require.ErrorIs(t, reply(t.Context(), f.merchant(t)), pay.ErrUnknown)
		f.settle()
		require.Len(t, f.bodies, 1, fault)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		f := newFake()
		f.answer = always(200, `{}`)
		f.fault = func(_ *http.Request, try int) string { return map[int]string{1: "probe"}[try] }
		require.NoError(t, f.merchant(t).Do(t.Context(), method, "/v3/anything", nil, nil))
		require.Len(t, f.bodies, 2)
	}
}

func TestARefusalAfterADoubtfulTryIsBelievedOfTheOrderAlone(t *testing.T) {
	for code, want := range map[string]pay.Cause{
		"ORDER_PAID": pay.ErrPaid, "ORDER_CLOSED": pay.ErrClosed, "OUT_TRADE_NO_USED": pay.ErrChanged, "RESOURCE_NOT_EXISTS": pay.ErrNotFound,
		"FREQUENCY_LIMITED": pay.ErrUnknown, "NO_AUTH": pay.ErrUnknown, "NOT_ENOUGH": pay.ErrUnknown, "SYSTEM_ERROR": pay.ErrUnknown,
		"RULE_LIMIT": pay.ErrUnknown, "INVALID_REQUEST": pay.ErrUnknown, "": pay.ErrUnknown, "PARAM_ERROR": pay.ErrUnknown,
	} {
		f := newFake()
		f.answer = always(403, `{"code":"`+code+`","message":"…"}`)
		f.fault = func(_ *http.Request, try int) string { return map[int]string{1: "lost"}[try] }
		err := prepay(pay.Native)(t.Context(), f.merchant(t))
		var e *pay.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, want, e.Cause, code)
		require.Equal(t, code, e.Code)
	}
}

func TestACancelledCallIsUnknown(t *testing.T) {
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(*http.Request, []byte) (int, string) {
		cancel()
		return 200, `{"prepay_id":"wx1"}`
	}
	f.fault = func(*http.Request, int) string { return "lost" }
	err := prepay(pay.JSAPI)(ctx, f.merchant(t))
	require.ErrorIs(t, err, pay.ErrUnknown)
	f.settle()
	require.Len(t, f.bodies, 1)

	err = prepay(pay.JSAPI)(ctx, f.merchant(t))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, pay.ErrUnknown) // it was not sent
	require.Len(t, f.bodies, 1)
}

func TestTheBackupHostIsAskedAfterAConnectionErrorAlone(t *testing.T) {
	f := newFake()
	f.answer = always(200, `{"code_url":"weixin://"}`)
	live := httptest.NewServer(f)
	t.Cleanup(live.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := "http://" + l.Addr().String()
	l.Close()
	c := config()
	c.BaseURL, c.BackupURL, c.HTTP = dead, live.URL, nil
	require.NoError(t, prepay(pay.Native)(t.Context(), newMerchant(t, c)))
	require.Len(t, f.requests, 1)
	require.Contains(t, f.headers[0].Get("User-Agent"), "(Retried-V1)")

	spare := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the backup host was asked") }))
	t.Cleanup(spare.Close)
	c.BaseURL, c.BackupURL = live.URL, spare.URL
	f.fault = func(*http.Request, int) string { return "502" }
	require.ErrorIs(t, prepay(pay.Native)(t.Context(), newMerchant(t, c)), pay.ErrUnknown)
}

func TestTheDefaultHosts(t *testing.T) {
	var hosts []string
	c := config()
	c.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Scheme+"://"+r.URL.Host)
		return nil, io.ErrUnexpectedEOF
	})}
	require.ErrorIs(t, prepay(pay.Native)(t.Context(), newMerchant(t, c)), pay.ErrUnknown)
	require.Equal(t, []string{"https://api.mch.weixin.qq.com", "https://api2.wechatpay.cn"}, hosts)
}

func TestAPaymentCodeIsWaitedFor(t *testing.T) {
	paid := strings.Replace(transactionJSON("order-1"), "JSAPI", "MICROPAY", 1)
	paying := `{"out_trade_no":"order-1","trade_state":"USERPAYING"}`
	for _, c := range []struct {
		name    string
		first   string
		status  int
		fault   string
		queries []string // answers, of which the last one stays
		want    pay.Cause
		after   time.Duration
	}{
		{"paid at once", paid, 200, "", nil, "", 0},
		{"paid later", `{"code":"USER_PAYING","message":"用户支付中"}`, 202, "", []string{paying, paid}, "", 10 * time.Second},
		{"still paying", paying, 200, "", []string{paying}, pay.ErrPaying, 45 * time.Second},
		{"failed", paying, 200, "", []string{`{"out_trade_no":"order-1","trade_state":"PAYERROR"}`}, pay.ErrClosed, 5 * time.Second},
		{"answers lost, paid", paid, 200, "lost", []string{paid}, "", 5 * time.Second},
		{"answers forged, paid", paid, 200, "forged", []string{paying, paid}, "", 10 * time.Second},
		{"nothing known", paid, 200, "lost", []string{""}, pay.ErrUnknown, 45 * time.Second},
		{"refused", `{"code":"AUTH_CODE_INVALID","message":"…"}`, 400, "", nil, "refused", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				asked := 0
				f.answer = func(r *http.Request, _ []byte) (int, string) {
					if r.Method == "POST" {
						return c.status, c.first
					}
					answer := c.queries[min(asked, len(c.queries)-1)]
					asked++
					if answer == "" {
						return 500, `{"code":"SYSTEM_ERROR"}`
					}
					return 200, answer
				}
				f.fault = func(r *http.Request, _ int) string {
					if r.Method == "POST" {
						return c.fault
					}
					return ""
				}
				cfg := config()
				cfg.HTTP = f.client()
				start := time.Now()
				p, err := newMerchant(t, cfg).Prepay(t.Context(), order(pay.Code))
				require.Equal(t, c.after, time.Since(start))
				require.Contains(t, string(f.bodies[0]), `"payer":{"auth_code":"130061098828009406"}`)
				require.NotContains(t, string(f.bodies[0]), "notify_url")
				switch c.want {
				case "":
					require.NoError(t, err)
					require.Equal(t, pay.Success, p.Transaction.State)
					require.Equal(t, pay.Code, p.Transaction.Trade)
				case "refused":
					require.Error(t, err)
					require.NotErrorIs(t, err, pay.ErrUnknown)
				default:
					require.ErrorIs(t, err, c.want)
				}
			})
		})
	}
}

func TestARefusedRepeatOfAPaymentCodeIsQueried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.answer = func(r *http.Request, _ []byte) (int, string) {
			if r.Method == "POST" {
				return 400, `{"code":"AUTH_CODE_USED","message":"…"}`
			}
			return 200, transactionJSON("order-1")
		}
		f.fault = func(r *http.Request, try int) string {
			if r.Method == "POST" && try == 1 {
				return "lost"
			}
			return ""
		}
		cfg := config()
		cfg.HTTP = f.client()
		p, err := newMerchant(t, cfg).Prepay(t.Context(), order(pay.Code))
		require.NoError(t, err)
		require.Equal(t, pay.Success, p.Transaction.State)
	})
}
