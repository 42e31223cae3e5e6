package message_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/message/event"
)

// A Receiver verifies and decrypts messages, calls handlers, and encrypts the replies.
func Example() {
	in, err := message.New(message.Config{
		AppID:          "wxba5fad812f8e6fb9",
		Token:          "AAAAA",
		EncodingAESKey: "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	in.Handle(message.OnText("hello"), func(ctx context.Context, m *message.Message) (message.Reply, error) {
		return message.Text("hi, " + m.FromUserName), nil
	})
	in.Handle(message.OnEvent("subscribe"), func(ctx context.Context, m *message.Message) (message.Reply, error) {
		return message.News{{Title: "Welcome", URL: "https://example.com"}}, nil
	})
	in.Handle(message.Any, func(ctx context.Context, m *message.Message) (message.Reply, error) {
		return message.TransferCustomerService{}, nil
	})
	mux := http.NewServeMux()
	for pattern, h := range in.Routes() { // wetoken.Bind does this, under a prefix
		mux.Handle(pattern, h)
	}

	query, body := official().send("<xml><ToUserName>gh_1</ToUserName><FromUserName>oUser</FromUserName><MsgType>text</MsgType><Content>hello</Content></xml>")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/message?"+query.Encode(), strings.NewReader(string(body))))
	fmt.Println(w.Code, strings.HasPrefix(w.Body.String(), "<xml><Encrypt>"))
	// Output: 200 true
}

func ExampleNew() {
	_, err := message.New(message.Config{AppID: "wxba5fad812f8e6fb9", Token: "AAAAA", EncodingAESKey: "tooshort"})
	fmt.Println(err)
	// Output: message: Config.EncodingAESKey is not an EncodingAESKey: it has 8 characters: want 43
}

// Open and Seal serve callbacks that do not come over net/http.
func ExampleReceiver_Open() {
	in, err := message.New(message.Config{AppID: "wxba5fad812f8e6fb9", Token: "AAAAA"})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := in.Open(official().plain(), []byte(`<xml><FromUserName>oUser</FromUserName><MsgType>text</MsgType><Content>你好</Content></xml>`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.FromUserName, m.Content)
	_, err = in.Open(url.Values{"signature": {"forged"}}, []byte("<xml/>"))
	fmt.Println(err)
	// Output:
	// oUser 你好
	// message: signature is missing or wrong
}

func ExampleMessage_Decode() {
	in, err := message.New(message.Config{AppID: "wxba5fad812f8e6fb9", Token: "AAAAA"})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := in.Open(official().plain(), []byte(`{"MsgType":"event","Event":"trade_manage_order_settlement",
		"merchant_trade_no":"20260101","settlement_time":1767225600}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	var e event.TradeManageOrderSettlement
	if err := m.Decode(&e); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.MerchantTradeNo, e.SettlementTime.UTC().Format(time.DateOnly))
	// Output: 20260101 2026-01-01
}

func ExampleElement_Get() {
	in, err := message.New(message.Config{AppID: "wxba5fad812f8e6fb9", Token: "AAAAA"})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := in.Open(official().plain(), []byte(`<xml><Event>scancode_push</Event><ScanCodeInfo><ScanResult>42</ScanResult></ScanCodeInfo></xml>`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Root.Get("ScanCodeInfo", "ScanResult"))
	// Output: 42
}

func ExampleParseReply() {
	reply, err := message.ParseReply([]byte(`{"MsgType":"news","Articles":[{"Item":{"Title":"from a backend"}}]}`))
	fmt.Printf("%+v %v\n", reply, err)
	// Output: [{Title:from a backend Description: PicURL: URL:}] <nil>
}
