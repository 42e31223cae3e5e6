package main

import (
	"fmt"
	"io"

	"github.com/wetoken/wetoken/gateway"
)

// printDemo prints commands to try.
func printDemo(w io.Writer, s settings, c gateway.Config) {
	private, public := "http://"+reachable(s.private)+"/app/demo", c.PublicURL+"/app/demo"
	key := c.Keys[0].Key
	known := "Its appid, secret and key are new, and change at the next start."
	if key == demoKey {
		known = "Its appid, secret and key are public, and the same at each start; -fresh makes new ones."
	}
	auth := "-H 'Authorization: Bearer " + key + "'"
	fmt.Fprintf(w, `The demo serves the app "demo" of a WeChat that is simulated in this process.
%[3]s

A token:

  curl -s %[1]s %[2]s/token

Another token, as if WeChat had refused the first:

  curl -s %[1]s %[2]s/token | sed 's/access_token/refused/' | curl -s %[1]s -d @- %[2]s/token

`, auth, private, known)
	if c.HasPay() {
		printDemoPay(w, auth, private, c.Endpoints.Pay)
	}
	printDemoCompat(w, auth, s, c)
	fmt.Fprintf(w, `A site with a WeChat login, whose page calls WeChat's JavaScript, from a clone of the repository:

  go run ./examples/remote -public %[1]s -private %[2]s -key %[3]s -wechat %[4]s

`, public, private, key, c.Endpoints.Open)
}

func printDemoPay(w io.Writer, auth, private, weChat string) {
	fmt.Fprintf(w, `An order. The qr_url of the answer is its QR code, for a browser:

  NO=demo-$(date +%%s)
  curl -s %[1]s -d '{"trade":"native","out_trade_no":"'$NO'","fen":1200,"description":"socks"}' %[2]s/pay/orders

The phone of a person, in a browser, pays it: paste the code_url of the answer there. The line below pays without it.

  %[3]s/phone

  curl -s -d '{"mchid":"%[4]s","out_trade_no":"'$NO'"}' %[3]s/_paytest/pay

The order as it is then, and a refund of a part:

  curl -s %[1]s %[2]s/pay/orders/$NO
  curl -s %[1]s -d '{"out_trade_no":"'$NO'","out_refund_no":"'$NO'-1","fen":300,"total_fen":1200}' %[2]s/pay/refunds

`, auth, private, weChat, demoMchID)
}

// printDemoCompat prints requests of the old systems' clients.
func printDemoCompat(w io.Writer, auth string, s settings, c gateway.Config) {
	app := c.Apps["demo"]
	fmt.Fprintf(w, `The token as clients of wetoken and of wechat-accesstoken read it, over HTTP and JSON-RPC; docs/migrating.md has more:

  curl -s '%[1]s/%[2]s/wechat/token/get?%[2]s&secret=%[3]s'
  curl -s %[4]s %[1]s/apis/v1/wx/mp/access_token/%[2]s
  curl -s %[4]s -H 'Content-Type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"accessToken","params":[{"appid":"%[2]s"}]}' http://%[5]s

`, "http://"+reachable(s.private), app.AppID, app.Secret, auth, reachable(c.Compat.JSONRPC))
	fmt.Fprintf(w, `The same of wechat-proxy: a token, another app under a key of its own, and example pages for a browser:

  curl -s '%[1]s/app/demo/api?secret=%[3]s'
  curl -s %[4]s '%[1]s/register?key=shop&appid=%[2]s&secret=%[3]s&call=/api&call=/js'
  curl -s %[4]s %[1]s/app/shop

  %[5]s/example/?app=demo

`, "http://"+reachable(s.private), app.AppID, app.Secret, auth, c.PublicURL)
}
