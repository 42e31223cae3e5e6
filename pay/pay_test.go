package pay_test

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

func TestCodesOfBothVersionsHaveTheSameCauses(t *testing.T) {
	for cause, codes := range map[pay.Cause]string{
		pay.ErrUnknown:   "SYSTEM_ERROR SYSTEMERROR BANKERROR",
		pay.ErrBusy:      "FREQUENCY_LIMITED RATELIMIT_EXCEEDED INVALID_REQ_TOO_MUCH BIZERR_NEED_RETRY",
		pay.ErrPaying:    "USER_PAYING USERPAYING",
		pay.ErrPaid:      "ORDER_PAID ORDERPAID",
		pay.ErrClosed:    "ORDER_CLOSED ORDERCLOSED ORDER_REVERSED ORDERREVERSED",
		pay.ErrChanged:   "OUT_TRADE_NO_USED REFUND_FEE_MISMATCH",
		pay.ErrNotFound:  "ORDER_NOT_EXIST RESOURCE_NOT_EXISTS ORDERNOTEXIST REFUNDNOTEXIST INVALID_TRANSACTIONID",
		pay.ErrNotEnough: "NOT_ENOUGH NOTENOUGH",
		pay.ErrSettings:  "SIGN_ERROR NO_AUTH APPID_MCHID_NOT_MATCH MCH_NOT_EXISTS SIGNERROR NOAUTH",
		"":               "PARAM_ERROR INVALID_REQUEST RULE_LIMIT",
	} {
		for code := range strings.FieldsSeq(codes) {
			require.Equal(t, cause, pay.CauseOf(code, "…"), code)
		}
	}
	for message, cause := range map[string]pay.Cause{
		"订单重入参数校验失败": pay.ErrChanged, "201 商户订单号重复": pay.ErrChanged, "单号已存在但信息不一致": pay.ErrChanged,
		"此IP地址不允许调用该接口": pay.ErrSettings, "受理机构必须传入sub_mch_id": pay.ErrSettings,
	} {
		require.Equal(t, cause, pay.CauseOf("PARAM_ERROR", message), message)
		require.Equal(t, cause, pay.CauseOf("INVALID_REQUEST", message), message)
	}
}

func TestStatusOfCauses(t *testing.T) {
	for cause, status := range map[pay.Cause]int{
		pay.ErrUnknown: 503, pay.ErrPaid: 409, pay.ErrClosed: 409, pay.ErrChanged: 409, pay.ErrPaying: 409, pay.ErrNotFound: 404, pay.ErrNotEnough: 402, pay.ErrBusy: 429,
		pay.ErrSettings: 502, pay.ErrProbe: 401, pay.ErrClock: 401, pay.ErrSignature: 401, pay.ErrSerial: 503, pay.ErrMerchant: 403, pay.ErrAmount: 403, pay.ErrTooLarge: 413,
		"of a test's own": 503,
	} {
		require.Equal(t, status, cause.Status(), cause)
		require.NotEmpty(t, cause.Error())
	}
}

func TestErrorText(t *testing.T) {
	err := error(&pay.Error{Op: "POST /v3/x", Cause: pay.ErrUnknown, Number: "out_trade_no order-1", Status: 502, Err: io.ErrUnexpectedEOF, RequestID: "08E5"})
	require.EqualError(t, err, "pay: POST /v3/x: outcome unknown: query out_trade_no order-1: unexpected EOF (Request-ID 08E5)")
	require.ErrorIs(t, err, pay.ErrUnknown)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.EqualError(t, &pay.Error{Op: "POST /v3/x", Code: "PARAM_ERROR", Message: "参数错误", Status: 400}, "pay: POST /v3/x: PARAM_ERROR 参数错误")
	require.EqualError(t, &pay.Error{Op: "POST /v3/x", Status: 404}, "pay: POST /v3/x: HTTP status 404")
	serial := error(&pay.Error{Op: "parse notification", Cause: pay.ErrSerial})
	require.ErrorIs(t, serial, pay.ErrOther)
	require.False(t, errors.Is(err, pay.ErrOther))
	require.EqualError(t, &pay.FieldError{Field: "Order.Fen", Reason: "is 0: want at least 1"}, "pay: Order.Fen is 0: want at least 1")
}

func TestOrderCheck(t *testing.T) {
	good := pay.Order{Trade: pay.Native, OutTradeNo: "Az09_-|*@", Fen: 1, Description: strings.Repeat("字", 200)}
	require.NoError(t, good.Check())
	for _, no := range []string{"12345", strings.Repeat("1", 33), "order 1", "订单一二三", "a\nbcdef", ""} {
		o := good
		o.OutTradeNo = no
		require.Error(t, o.Check(), no)
	}
	for in, ok := range map[time.Duration]bool{-time.Second: false, time.Minute: true, 89 * 24 * time.Hour: true, 91 * 24 * time.Hour: false} {
		o := good
		o.ExpiresAt = time.Now().Add(in)
		require.Equal(t, ok, o.Check() == nil, in)
	}
	for address, ok := range map[string]bool{
		"": true, "https://shop.example.com/paid": true, "http://127.0.0.1:8080/paid": true, "http://10.1.2.3/paid": true, "http://localhost/paid": true,
		"http://shop.example.com/paid": false, "ftp://shop.example.com": false, "shop.example.com": false, "/paid": false, "https://": false, "%": false,
	} {
		require.Equal(t, ok, pay.CheckNotifyURL("NotifyURL", address) == nil, address)
	}
	const most = 999_999_999_999_999
	for fen, ok := range map[int64]bool{math.MinInt64: false, -1: false, 0: false, 1: true, most: true, most + 1: false, math.MaxInt64: false} {
		o := good
		o.Fen = fen
		require.Equal(t, ok, o.Check() == nil, fen)
		require.Equal(t, ok, pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r", Fen: fen, TotalFen: fen}.Check() == nil, fen)
		require.Equal(t, ok, pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r", Fen: 1, TotalFen: fen}.Check() == nil, fen)
		require.Equal(t, ok && fen != 1, pay.Transfer{OutBillNo: "t1", OpenID: "o", SceneID: "1000", Remark: "r", UserName: "张三", Fen: fen}.Check() == nil, fen)
	}
	require.NoError(t, pay.Refund{TransactionID: "42", OutRefundNo: strings.Repeat("r", 64), Fen: 1, TotalFen: 1}.Check())
	require.Error(t, pay.Refund{OutTradeNo: "no", OutRefundNo: "r", Fen: 1, TotalFen: 1}.Check())
}

func TestAnOrderWithAStructInExtraIsPlacedAgain(t *testing.T) {
	type store struct {
		ID   string `json:"id"`
		Area string `json:"area_code"`
	}
	type scene struct {
		StoreInfo store  `json:"store_info"`
		ClientIP  string `json:"payer_client_ip"`
	}
	inWorldOfBoth(t, payv2.MD5, func(b bothVersions) []pay.Merchant { return []pay.Merchant{b.v3} }, func(t *testing.T, w *world, _ bothVersions) {
		o := pay.Order{Trade: pay.Native, OutTradeNo: "order-1", Fen: 100, Description: "d", Extra: map[string]any{"scene_info": scene{store{"1", "2"}, "1.2.3.4"}}}
		for range 2 {
			_, err := w.Prepay(t.Context(), o)
			require.NoError(t, err)
		}
		require.Equal(t, 2, w.Calls("/v3/pay/transactions/native"))
		o.Extra = map[string]any{"scene_info": scene{store{"1", "3"}, "1.2.3.4"}}
		_, err := w.Prepay(t.Context(), o)
		require.ErrorIs(t, err, pay.ErrChanged)
	})
}

func TestAnOrderIsTheSameAfterJSON(t *testing.T) {
	o := pay.Order{Trade: pay.JSAPI, OutTradeNo: "order-1", Fen: 1200, Description: "袜子", OpenID: "o", AppID: "wx1", ExpiresAt: time.Unix(1700000000, 0).UTC(),
		Extra: map[string]any{"scene_info": map[string]any{"device_id": "1"}}}
	b, err := json.Marshal(o)
	require.NoError(t, err)
	var got pay.Order
	require.NoError(t, json.Unmarshal(b, &got))
	require.Equal(t, o, got)
	b, err = json.Marshal(pay.Order{Trade: pay.Native, OutTradeNo: "order-1", Fen: 1, Description: "d"})
	require.NoError(t, err)
	require.Equal(t, `{"trade":"native","out_trade_no":"order-1","fen":1,"description":"d"}`, string(b))
	require.Equal(t, http.StatusConflict, pay.ErrPaid.Status())
}
