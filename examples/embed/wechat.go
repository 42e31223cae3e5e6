package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

// addWeChat adds to the bookshop a login, replies to messages, and payments. The caller runs the Cashier.
func addWeChat(a *app, s store.Store, c account, url string) (*pay.Cashier, error) {
	client := &wechat.Client{BaseURL: c.WeChat} // empty: WeChat's own address
	tokens := &token.Manager{AppID: c.AppID, Secret: c.Secret, Store: s, Client: client}
	api := &wechat.Client{Tokens: tokens, BaseURL: c.WeChat}

	login := &oauth.Login{
		AppID: c.AppID, Secret: c.Secret, Store: s, URL: url + "/wx", Scope: oauth.ScopeUserInfo, Client: client, OpenURL: c.WeChat,
		OnLogin: func(w http.ResponseWriter, r *http.Request, u oauth.User) {
			a.logIn(w, r, "wechat:"+u.OpenID, u.Nickname)
		},
	}

	in, err := message.New(message.Config{AppID: c.AppID, Token: c.Token, EncodingAESKey: c.EncodingAESKey, Store: s})
	if err != nil {
		return nil, err
	}
	in.Handle(message.OnText("订单", "orders"), func(ctx context.Context, m *message.Message) (message.Reply, error) {
		all, paid, err := a.countOrders(ctx, "wechat:"+m.FromUserName)
		return message.Text(fmt.Sprintf("订单 %d，已付款 %d。Orders: %[1]d, paid: %[2]d.", all, paid)), err
	})

	cashier := &pay.Cashier{
		Merchants: []pay.Merchant{c.Merchant}, URL: url + "/wx", Store: s,
		OnPaid: func(ctx context.Context, t pay.Transaction) error {
			settled, err := a.settle(ctx, t.OutTradeNo, t.Fen, "wechat:"+t.TransactionID)
			if err == nil && !settled {
				log.Printf("payment %s of %d fen is not that of order %s: refund it", t.TransactionID, t.Fen, t.OutTradeNo)
			}
			if settled {
				if err := message.Send(ctx, api, t.OpenID, message.Text("已付款 Paid: "+t.OutTradeNo)); err != nil {
					log.Print(err) // such as 48 hours after the last message of the user
				}
			}
			return err // not nil: WeChat notifies again
		},
	}
	wetoken.Bind(a, "/wx", in, login, cashier)

	a.Post("/orders/{no}/pay", func(w http.ResponseWriter, r *http.Request) { // the arguments for WeChat's script
		o, err := a.ownOrder(r)
		if err != nil {
			fail(w, err)
			return
		}
		openID, ok := strings.CutPrefix(o.Member, "wechat:")
		if !ok || o.PaidBy != "" {
			http.Error(w, "this order cannot be paid with WeChat", http.StatusConflict)
			return
		}
		prepaid, err := cashier.Prepay(r.Context(), pay.Order{Trade: pay.JSAPI, OutTradeNo: o.No, Fen: o.Fen, Description: o.Book, OpenID: openID})
		if err != nil {
			fail(w, err)
			return
		}
		_ = json.NewEncoder(w).Encode(prepaid.Params) // the browser has gone
	})
	return cashier, nil
}
