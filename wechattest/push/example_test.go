package push_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"

	"github.com/wetoken/wetoken/wechattest/push"
)

// WeChat's side of a callback: the message is signed, sent, and the reply read as strictly as WeChat does.
func ExampleCallback() {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ ToUserName, FromUserName, Content string }
		if err := xml.NewDecoder(r.Body).Decode(&m); err != nil {
			w.WriteHeader(400)
			return
		}
		fmt.Fprintf(w, "<xml><ToUserName>%s</ToUserName><FromUserName>%s</FromUserName><CreateTime>1</CreateTime>"+
			"<MsgType>text</MsgType><Content>you said %s</Content></xml>", m.FromUserName, m.ToUserName, m.Content)
	})
	wx := &push.Callback{AppID: "wx1234567890abcdef", Token: "token", Handler: app} // or URL
	pushed, err := wx.Push(context.Background(), push.Message{Content: "hello"})
	fmt.Println(pushed.Shown, err)
	pushed, err = wx.Push(context.Background(), push.Message{Event: "subscribe"})
	fmt.Println(pushed.Shown, err)
	// Output:
	// you said hello <nil>
	// you said  <nil>
}
