package message_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/push"
)

// Messages about prices go to a shop, which may take 12 seconds, all messages go to a chat bot, and a CRM gets a copy of
// each message.
func ExampleForwarding() {
	bot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("signed:", r.Header.Get("Wetoken-Signature") != "")
		io.WriteString(w, `{"MsgType":"text","Content":"hello from the bot"}`)
	}))
	defer bot.Close()
	config := message.Config{
		AppID: "wxba5fad812f8e6fb9", Token: "AAAAA",
		Store: new(store.Memory), // use a persistent store in production
		Forward: message.Forwarding{
			SignKeys: []string{"a key that the backends have"},
			Backends: []message.Backend{
				{URL: "http://shop.example/wx", Answer: true, When: message.OnKeyword("price"), Timeout: 12 * time.Second},
				{URL: bot.URL, Answer: true, Form: message.FormJSON},
				{URL: "http://crm.example/wx"},
			},
		},
	}
	in, err := message.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	// go in.Run(ctx) delivers the copies.

	wx := push.Callback{AppID: config.AppID, Token: config.Token, Handler: in}
	pushed, err := wx.Push(context.Background(), push.Message{Content: "hello"})
	fmt.Println(pushed.Shown, err)
	// Output:
	// signed: true
	// hello from the bot <nil>
}
