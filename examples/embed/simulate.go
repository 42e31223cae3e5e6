package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// world is a simulated WeChat, and WeChat Pay, with an address for browsers.
type world struct {
	account account
	openID  string // of a person who has logged in before

	wx  wechattest.Server
	pay paytest.Server
	l   net.Listener
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if paytest.Serves(r.URL.Path) {
		w.pay.ServeHTTP(rw, r)
		return
	}
	w.wx.ServeHTTP(rw, r)
}

// simulateWeChat returns a world with a new account and two persons.
func simulateWeChat() (*world, error) {
	w := &world{account: account{
		AppID: "wx" + strings.ToLower(rand.Text()[:16]), Secret: rand.Text(), Token: rand.Text(), EncodingAESKey: rand.Text() + rand.Text()[:16] + "A",
	}}
	c := &w.account
	w.wx.AddApp(c.AppID, c.Secret)
	w.wx.AddPerson(wechattest.Person{Name: "小明", Nickname: "小明 👋"})
	w.wx.AddPerson(wechattest.Person{Name: "小红"})
	w.openID = w.wx.OpenID(c.AppID, "小明")
	added := w.pay.AddMerchant(paytest.Merchant{MchID: "1900000001", Name: "书店 Bookshop", AppIDs: []string{c.AppID}})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.l, c.WeChat = l, "http://"+l.Addr().String()
	public, err := payv3.ParsePublicKey([]byte(added.PublicKey))
	if err == nil {
		c.Merchant, err = payv3.New(payv3.Config{
			AppID: c.AppID, MchID: added.MchID, SerialNo: added.SerialNo, Key: added.Key, APIv3Key: added.APIv3Key,
			PublicKeyID: added.PublicKeyID, PublicKey: public, BaseURL: c.WeChat,
		})
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	go func() { _ = (&http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second}).Serve(l) }() // until close
	return w, nil
}

func (w *world) close() {
	w.l.Close()
	w.pay.Close()
}

// pushCommand returns a command with which a person sends a message to the callback URL.
func (w *world) pushCommand(url, content string) string {
	body, _ := json.Marshal(map[string]any{ // strings always encode
		"app": w.account.AppID, "url": url, "token": w.account.Token, "aes_key": w.account.EncodingAESKey,
		"push": map[string]string{"from": w.openID, "content": content},
	})
	return fmt.Sprintf("curl -s -d '%s' %s/_wechattest/push", body, w.account.WeChat)
}
