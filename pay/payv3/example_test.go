package payv3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// openShop returns a WeChat Pay in memory, and a merchant of it. Its notifications go to notify, if that is not nil.
func openShop(notify http.Handler) (*paytest.Server, *payv3.Merchant) {
	if notify == nil {
		notify = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	}
	w := newWeChatPay()
	w.Transport = paytest.InMemory(notify)
	shown := w.AddMerchant(paytest.Merchant{MchID: "1900007291", AppIDs: []string{"wxd678efh567hg6787"}, Key: merchantKey(), Balance: 100_000})
	certificate, err := payv3.ParseCertificate([]byte(shown.Certificate))
	if err != nil {
		panic(err)
	}
	public, err := payv3.ParsePublicKey([]byte(shown.PublicKey))
	if err != nil {
		panic(err)
	}
	shop, err := payv3.New(payv3.Config{
		AppID: "wxd678efh567hg6787", MchID: "1900007291", Certificate: certificate, Key: merchantKey(), APIv3Key: shown.APIv3Key,
		PublicKeyID: shown.PublicKeyID, PublicKey: public, NotifyURL: "https://shop.example.com/paid",
		HTTP: w.Client(), // a program for WeChat itself leaves it out
	})
	if err != nil {
		panic(err)
	}
	return w, shop
}

// sell places and pays an order of 10 yuan, and returns WeChat's number of it.
func sell(w *paytest.Server, shop *payv3.Merchant, no string, extra map[string]any) string {
	_, err := shop.Prepay(context.Background(), pay.Order{Trade: pay.Native, OutTradeNo: no, Fen: 1000, Description: "socks", Extra: extra})
	if err != nil {
		panic(err)
	}
	id, err := w.Pay("1900007291", no, "o-payer")
	if err != nil {
		panic(err)
	}
	return id
}

// The smallest whole: an order, its payment, its notification.
func Example() {
	settled := make(chan pay.Transaction, 1)
	var shop *payv3.Merchant
	w, shop := openShop(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		notified(shop, func(t pay.Transaction) error {
			settled <- t
			return nil
		})(w, r)
	}))
	defer w.Close()
	prepaid, err := shop.Prepay(context.Background(), pay.Order{Trade: pay.Native, OutTradeNo: "order-1", Fen: 1200, Description: "socks"})
	if errors.Is(err, pay.ErrUnknown) {
		fmt.Println("nobody knows whether it was done: ask again under the same number")
	}
	fmt.Println(strings.HasPrefix(prepaid.CodeURL, "weixin://"), err)
	_, _ = w.Pay("1900007291", "order-1", "o-payer")
	t := <-settled
	fmt.Println(t.OutTradeNo, t.State, t.Fen, t.OpenID)
	// Output:
	// true <nil>
	// order-1 SUCCESS 1200 o-payer
}

// A bill is used only after Bill has returned nil.
func ExampleMerchant_Bill() {
	w, shop := openShop(nil)
	defer w.Close()
	dir, err := os.MkdirTemp("", "bills")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	day := time.Now().AddDate(0, 0, -2)
	for _, wrong := range []bool{false, true} {
		err := w.AddBill(paytest.Bill{MchID: "1900007291", Kind: "tradebill", Day: day, WrongHash: wrong, Write: func(w io.Writer) error {
			_, err := io.WriteString(w, "交易时间,…\r\n")
			return err
		}})
		if err != nil {
			panic(err)
		}
		name := filepath.Join(dir, fmt.Sprint(wrong))
		err = saveBill(context.Background(), shop, day, name)
		files, _ := os.ReadDir(dir)
		fmt.Println(err == nil, errors.Is(err, pay.ErrUnknown), len(files))
	}
	// Output:
	// true false 1
	// false true 1
}

// 商家转账.
func Example_transfer() {
	w, shop := openShop(nil)
	defer w.Close()
	t, err := sendMoney(context.Background(), shop, "t20261127001", "o-rider", "张三", 200)
	fmt.Println(t.State, t.Package != "", err)
	_ = w.FinishTransfer("1900007291", "t20261127001", "SUCCESS", "")
	t, err = sendMoney(context.Background(), shop, "t20261127001", "o-rider", "张三", 200) // the same number moves no more money
	fmt.Println(t.State, err)
	// Output:
	// WAIT_USER_CONFIRM true <nil>
	// SUCCESS <nil>
}

// 合单.
func Example_combinedOrder() {
	parts := make(chan pay.Transaction, 2)
	var shop *payv3.Merchant
	w, shop := openShop(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n, err := shop.Parse(r.Context(), r.Header, body)
		for _, part := range n.Parts {
			parts <- part
		}
		shop.Answer(w, err)
	}))
	defer w.Close()
	params, err := combine(context.Background(), shop, "cart-1", "o-payer")
	fmt.Println(strings.HasPrefix(params["package"], "prepay_id="), params["signType"], err)
	_, _ = w.Pay("1900007291", "cart-1-1", "")
	for range 2 {
		part := <-parts
		fmt.Println(part.OutTradeNo, part.State, part.Fen)
	}
	// Output:
	// true RSA <nil>
	// cart-1-1 SUCCESS 100
	// cart-1-2 SUCCESS 250
}

// 分账, and a refund of an order whose money was shared.
func Example_profitSharing() {
	w, shop := openShop(nil)
	defer w.Close()
	ctx := context.Background()
	id := sell(w, shop, "order-1", map[string]any{"settle_info": map[string]any{"profit_sharing": true}})
	fmt.Println(share(ctx, shop, id, "share1", "1900000109", "袜业有限公司", 300))
	f, err := refundShared(ctx, shop, "share1", "1900000109", 300, pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r-1", Fen: 1000, TotalFen: 1000})
	fmt.Println(f.State, err)
	// Output:
	// <nil>
	// PROCESSING <nil>
}

// 异常退款.
func Example_abnormalRefund() {
	w, shop := openShop(nil)
	defer w.Close()
	ctx := context.Background()
	sell(w, shop, "order-1", nil)
	_, _ = shop.Refund(ctx, pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r-1", Fen: 1000, TotalFen: 1000})
	_ = w.FinishRefund("1900007291", "r-1", "ABNORMAL")
	f, err := shop.QueryRefund(ctx, "r-1")
	fmt.Println(f.State, err)
	state, err := finishAbnormal(ctx, shop, f, "ICBC_DEBIT", "6228480402564890018", "张三")
	fmt.Println(state, err)
	// Output:
	// ABNORMAL <nil>
	// PROCESSING <nil>
}

// 消费者投诉.
func Example_complaint() {
	w, shop := openShop(nil)
	defer w.Close()
	sell(w, shop, "order-1", nil)
	id, err := w.Complain("1900007291", "order-1", "one sock is missing", "13800000000")
	if err != nil {
		panic(err)
	}
	phone, err := settleComplaint(context.Background(), shop, id, "Another one is on its way.")
	fmt.Println(phone, err, w.Complaints("1900007291")[0].State)
	// Output:
	// 13800000000 <nil> PROCESSED
}

// 发货信息.
func Example_shipping() {
	tries := 0
	api := &wechat.Client{HTTP: &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 3 {
			io.WriteString(w, `{"errcode":10060001,"errmsg":"支付单不存在"}`)
			return
		}
		io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	})}}} // of a program: &wechat.Client{Tokens: tokens}
	fmt.Println(ship(context.Background(), api, "4200000000202401010000000001", "o-payer", time.Microsecond), tries)
	// Output:
	// <nil> 3
}

// 虚拟支付.
func Example_xpay() {
	w := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL.Path, len(r.URL.Query().Get("pay_sig")), r.URL.Query().Get("signature"))
		io.WriteString(w, `{"errcode":0,"balance":7}`)
	}))
	defer w.Close()
	var out struct{ Balance int }
	body := `{"openid": "xxx", "user_ip": "127.0.0.1", "env": 0}`
	err := xpay(context.Background(), &wechat.Client{BaseURL: w.URL}, "appkey", "9hAb/NEYUlkaMBEsmFgzig==", "/xpay/query_user_balance", []byte(body), &out)
	fmt.Println(out.Balance, err)
	// Output:
	// /xpay/query_user_balance 64 089d9e8dc5d308977360c4b79ec600a93d736802802a807d634192328032f6c7
	// 7 <nil>
}
