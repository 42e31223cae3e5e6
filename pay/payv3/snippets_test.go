package payv3_test

// The functions of this file are shown by docs/pay.md word by word, and run by the examples.

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechat"
)

func notified(shop pay.Merchant, settle func(pay.Transaction) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<10))
		if err != nil {
			shop.Answer(w, err)
			return
		}
		n, err := shop.Parse(r.Context(), r.Header, body)
		if err == nil && n.Transaction != nil && n.Transaction.Paid() {
			err = settle(*n.Transaction) // compare the amount; a second call for one TransactionID changes nothing
		}
		shop.Answer(w, err) // 204, or a status after which WeChat sends it again
	}
}

func saveBill(ctx context.Context, shop pay.Merchant, day time.Time, name string) error {
	f, err := os.CreateTemp(filepath.Dir(name), "bill-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(shop.Bill(ctx, "ALL", day, f), f.Close())
	if err != nil {
		return err // the file is incomplete, or not what WeChat signed for
	}
	return os.Rename(f.Name(), name)
}

type transfer struct {
	OutBillNo  string `json:"out_bill_no"`
	State      string `json:"state"`
	Package    string `json:"package_info"` // for wx.requestMerchantTransfer while State is WAIT_USER_CONFIRM
	FailReason string `json:"fail_reason"`
}

func sendMoney(ctx context.Context, shop *payv3.Merchant, no, openID, name string, fen int64) (t transfer, err error) {
	err = shop.Do(ctx, "POST", "/v3/fund-app/mch-transfer/transfer-bills", map[string]any{
		"appid": "wxd678efh567hg6787", "out_bill_no": no, "openid": openID, "user_name": payv3.Secret(name),
		"transfer_amount": fen, "transfer_remark": "报销", "transfer_scene_id": "1005",
		"transfer_scene_report_infos": []map[string]string{{"info_type": "岗位类型", "info_content": "骑手"}, {"info_type": "报酬说明", "info_content": "11月报酬"}},
	}, &t)
	if err != nil { // whatever it is: no new number before the query says FAIL
		err = errors.Join(err, shop.Do(ctx, "GET", "/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/"+no, nil, &t))
	}
	return t, err
}

func combine(ctx context.Context, shop *payv3.Merchant, no, openID string) (map[string]string, error) {
	part := func(no string, fen int64) map[string]any {
		return map[string]any{"mchid": "1900007291", "out_trade_no": no, "attach": "x", "description": "socks",
			"amount": map[string]any{"total_amount": fen, "currency": "CNY"}}
	}
	var out struct {
		PrepayID string `json:"prepay_id"`
	}
	err := shop.Do(ctx, "POST", "/v3/combine-transactions/jsapi", map[string]any{
		"combine_appid": "wxd678efh567hg6787", "combine_mchid": "1900007291", "combine_out_trade_no": no,
		"sub_orders":         []any{part(no+"-1", 100), part(no+"-2", 250)},
		"combine_payer_info": map[string]any{"openid": openID}, "notify_url": "https://shop.example.com/paid",
	}, &out)
	if err != nil {
		return nil, err
	}
	return shop.Params(pay.JSAPI, "", out.PrepayID)
}

func share(ctx context.Context, shop *payv3.Merchant, transactionID, no, receiver, name string, fen int64) error {
	err := shop.Do(ctx, "POST", "/v3/profitsharing/receivers/add", map[string]any{"appid": "wxd678efh567hg6787", "type": "MERCHANT_ID",
		"account": receiver, "name": payv3.Secret(name), "relation_type": "PARTNER"}, nil)
	if err != nil {
		return err
	}
	return shop.Do(ctx, "POST", "/v3/profitsharing/orders", map[string]any{
		"appid": "wxd678efh567hg6787", "transaction_id": transactionID, "out_order_no": no, "unfreeze_unsplit": true,
		"receivers": []map[string]any{{"type": "MERCHANT_ID", "account": receiver, "amount": fen, "description": "commission"}},
	}, nil) // accepted; GET /v3/profitsharing/orders/{out_order_no}?transaction_id= has the result
}

func refundShared(ctx context.Context, shop *payv3.Merchant, share, receiver string, shared int64, f pay.Refund) (pay.Refund, error) {
	err := shop.Do(ctx, "POST", "/v3/profitsharing/return-orders", map[string]any{"out_order_no": share, "out_return_no": "back-" + share,
		"return_mchid": receiver, "amount": shared, "description": "returned"}, nil)
	if err != nil {
		return f, err
	}
	return shop.Refund(ctx, f)
}

func finishAbnormal(ctx context.Context, shop *payv3.Merchant, f pay.Refund, bank, account, name string) (state pay.State, err error) {
	var out struct {
		Status pay.State `json:"status"`
	}
	err = shop.Do(ctx, "POST", "/v3/refund/domestic/refunds/"+f.RefundID+"/apply-abnormal-refund", map[string]any{
		"out_refund_no": f.OutRefundNo, "type": "USER_BANK_CARD", "bank_type": bank,
		"bank_account": payv3.Secret(account), "real_name": payv3.Secret(name),
	}, &out)
	return out.Status, err
}

func settleComplaint(ctx context.Context, shop *payv3.Merchant, id, answer string) (phone string, err error) {
	path, who := "/v3/merchant-service/complaints-v2/"+id, map[string]any{"complainted_mchid": "1900007291"}
	var c struct {
		State string       `json:"complaint_state"`
		Phone payv3.Secret `json:"payer_phone"` // needs Config.Key to be a crypto.Decrypter
	}
	if err := shop.Do(ctx, "GET", path, nil, &c); err != nil {
		return "", err
	}
	reply := map[string]any{"complainted_mchid": "1900007291", "response_content": answer}
	if err := shop.Do(ctx, "POST", path+"/response", reply, nil); err != nil { // ErrUnknown: read negotiation-historys before a second reply
		return string(c.Phone), err
	}
	return string(c.Phone), shop.Do(ctx, "POST", path+"/complete", who, nil)
}

func ship(ctx context.Context, api *wechat.Client, transactionID, openID string, again time.Duration) error {
	for {
		err := api.Post(ctx, "/wxa/sec/order/upload_shipping_info", nil, map[string]any{
			"order_key": map[string]any{"order_number_type": 2, "transaction_id": transactionID}, "logistics_type": 1, "delivery_mode": 1,
			"shipping_list": []map[string]any{{"tracking_no": "SF1234567890", "express_company": "SF", "item_desc": "socks", "contact": map[string]string{"receiver_contact": "138****0000"}}},
			"upload_time":   time.Now().Format(time.RFC3339), "payer": map[string]string{"openid": openID},
		}, nil)
		if !errors.Is(err, wechat.Code(10060001)) { // the payment is not in WeChat's books yet: minutes, or hours
			return err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func xpay(ctx context.Context, api *wechat.Client, appKey, sessionKey, uri string, body []byte, out any) error {
	sign := func(key, text string) string {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return hex.EncodeToString(mac.Sum(nil))
	}
	query := url.Values{"pay_sig": {sign(appKey, uri+"&"+string(body))}, "signature": {sign(sessionKey, string(body))}}
	return api.Post(ctx, uri, query, body, out) // the body goes byte for byte
}
