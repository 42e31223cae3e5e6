// Pay is a shop that takes payments with a pay.Cashier: by a QR code, in a page in WeChat, in another browser on a phone, and in a
// mini program.
//
//	go run ./examples/pay
//	WECHAT_APP_ID=wx… WECHAT_MCH_ID=… WECHAT_SERIAL_NO=… WECHAT_KEY=apiclient_key.pem WECHAT_API_V3_KEY=… \
//	WECHAT_PUBLIC_KEY_ID=PUB_KEY_ID_… WECHAT_PUBLIC_KEY=pub_key.pem go run ./examples/pay -url https://shop.example.com/wx
//
// The first command simulates WeChat Pay in this process, with a phone in the browser to pay with. The second needs -url, the
// public https URL of this program. A merchant of APIv2 is a payv2.Merchant in the place of the payv3.Merchant. A real shop stores its orders and the Cashier's records in a database, with the Store of
// package store/sqlstore. It gets the openid of its user from a login, with package oauth.
//
// A mini program sends POST /orders {"trade":"jsapi","openid":"o…"} and pays with the reply:
//
//	wx.requestPayment({ ...order.params, success: …, fail: … })
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"rsc.io/qr"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8093", "address to listen on; port 0 picks a free one")
	public := flag.String("url", "", "public URL of /wx, for WeChat's notifications; default that of -addr")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if *public == "" {
		*public = "http://" + l.Addr().String() + "/wx"
	}

	merchant, phone := merchantFromEnv(), ""
	if merchant == nil {
		merchant, phone = simulateWeChat()
	}
	s := &shop{phone: phone, ledger: ledger{paid: make(map[string]pay.Transaction)}}
	s.cashier = &pay.Cashier{
		Merchants: []pay.Merchant{merchant}, URL: *public, Store: new(store.Memory),
		QR: encodeQR, OnPaid: s.settle,
		OnRefund: func(_ context.Context, f pay.Refund) error {
			log.Printf("refund %s of %d fen is %s", f.OutRefundNo, f.Fen, f.State)
			return nil
		},
	}
	mux := s.routes()
	wetoken.Bind(mux, "/wx", s.cashier)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("http://%s/\n", l.Addr())
	fmt.Printf("curl -s -X POST http://%s/orders   # as a mini program does, with -d '{\"trade\":\"jsapi\",\"openid\":\"…\"}'\n", l.Addr())
	if phone != "" {
		fmt.Printf("%s/phone   # pays: paste a code_url, the text of a QR code\n", phone)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	_ = s.cashier.Run(ctx) // queries orders that get no notification, until the program is interrupted
	end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = server.Shutdown(end) // requests that outlast it are cut off
}

// encodeQR returns a QR code as a PNG image.
func encodeQR(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, err
	}
	return code.PNG(), nil
}

// merchantFromEnv returns the merchant configured by the environment, or nil.
func merchantFromEnv() pay.Merchant {
	if os.Getenv("WECHAT_MCH_ID") == "" {
		return nil
	}
	config := payv3.Config{
		AppID: os.Getenv("WECHAT_APP_ID"), MchID: os.Getenv("WECHAT_MCH_ID"), SerialNo: os.Getenv("WECHAT_SERIAL_NO"),
		APIv3Key: os.Getenv("WECHAT_API_V3_KEY"), PublicKeyID: os.Getenv("WECHAT_PUBLIC_KEY_ID"),
	}
	key, err := os.ReadFile(os.Getenv("WECHAT_KEY"))
	if err == nil {
		config.Key, err = payv3.ParseKey(key)
	}
	if err != nil {
		log.Fatal(err)
	}
	public, err := os.ReadFile(os.Getenv("WECHAT_PUBLIC_KEY"))
	if err == nil {
		config.PublicKey, err = payv3.ParsePublicKey(public)
	}
	if err != nil {
		log.Fatal(err)
	}
	return newMerchant(config)
}

func newMerchant(config payv3.Config) pay.Merchant {
	merchant, err := payv3.New(config)
	if err != nil {
		log.Fatal(err)
	}
	return merchant
}

// simulateWeChat serves a simulated WeChat Pay on its own address. It returns a merchant and the URL of the phone.
func simulateWeChat() (merchant pay.Merchant, phone string) {
	const mchID, appID = "1900000001", "wxexample000000000"
	weChat := &paytest.Server{RefundAfter: 2 * time.Second}
	added := weChat.AddMerchant(paytest.Merchant{MchID: mchID, Name: "Example shop", AppIDs: []string{appID}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal((&http.Server{Handler: weChat, ReadHeaderTimeout: 5 * time.Second}).Serve(l)) }()
	public, err := payv3.ParsePublicKey([]byte(added.PublicKey))
	if err != nil {
		log.Fatal(err)
	}
	phone = "http://" + l.Addr().String()
	return newMerchant(payv3.Config{
		AppID: appID, MchID: mchID, SerialNo: added.SerialNo, Key: added.Key, APIv3Key: added.APIv3Key,
		PublicKeyID: added.PublicKeyID, PublicKey: public, BaseURL: phone,
	}), phone
}
