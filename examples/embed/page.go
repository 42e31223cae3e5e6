package main

import (
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"strings"
)

func (a *app) serveHome(w http.ResponseWriter, r *http.Request) {
	m, err := a.visitor(r)
	if err != nil && !errors.Is(err, errNone) {
		fail(w, err)
		return
	}
	all, paid, err := a.countOrders(r.Context(), m.ID)
	if err != nil {
		fail(w, err)
		return
	}
	show(w, "home", map[string]any{"Member": m, "Books": books, "Orders": all, "Paid": paid})
}

func (a *app) serveOrder(w http.ResponseWriter, r *http.Request) {
	o, err := a.ownOrder(r)
	if err != nil {
		fail(w, err)
		return
	}
	show(w, "order", map[string]any{"Order": o, "InWeChat": strings.HasPrefix(o.Member, "wechat:"), "Script": a.payScript})
}

func show(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Print(err)
	}
}

func yuan(fen int64) string { return fmt.Sprintf("¥%d.%02d", fen/100, fen%100) }

// The page of an order reads itself until the order is paid, because the result of WeChat's script is no proof of payment.
var pages = template.Must(template.New("").Funcs(template.FuncMap{"yuan": yuan}).Parse(`
{{define "head"}}<!DOCTYPE html>
<html lang="zh-CN">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>书店 Bookshop</title>
<body style="font: 17px/1.6 system-ui, sans-serif; max-width: 28em; margin: 0 auto; padding: 8vh 24px; text-align: center">
<h1>书店 Bookshop</h1>{{end}}

{{define "home"}}{{template "head"}}
{{if .Member.ID}}<p>你好，<span id="name">{{.Member.Name}}</span><br>
订单 {{.Orders}}，已付款 {{.Paid}}。Orders: {{.Orders}}, paid: {{.Paid}}.</p>
<form action="/orders" method="post">
{{range $book, $fen := .Books}}<p><button name="book" value="{{$book}}">{{$book}} {{yuan $fen}}</button></p>
{{end}}</form>
<form action="/logout" method="post"><button id="logout">退出 Log out</button></form>
{{else}}<p><a id="wechat" href="/wx/login">微信登录 Log in with WeChat</a></p>
<form action="/guest" method="post"><button id="guest">不登录 Go on as a guest</button></form>{{end}}
{{end}}

{{define "order"}}{{template "head"}}
{{with .Order}}<p>{{.Book}} {{yuan .Fen}}</p>
{{if .PaidBy}}<p id="paid">已付款 Paid</p>
{{else}}<p>已预订，到店付款。Reserved: pay at the counter.</p>{{end}}{{end}}
{{if and .InWeChat (not .Order.PaidBy)}}<p><button id="pay">微信支付 Pay with WeChat</button></p><p id="said"></p>
{{with .Script}}<script src="{{.}}"></script>{{end}}
<script>
function say(text) { document.getElementById("said").textContent = text; }
document.getElementById("pay").onclick = function () {
	if (!window.WeixinJSBridge) return say("请在微信中打开。Open this page in WeChat.");
	fetch(location.pathname + "/pay", { method: "POST" }).then(function (r) {
		if (!r.ok) return r.text().then(function (text) { throw text; });
		return r.json();
	}).then(function (params) {
		WeixinJSBridge.invoke("getBrandWCPayRequest", params, function (res) { say(res.err_msg); });
	}).catch(say);
};
function poll() {
	fetch(location.href).then(function (r) { return r.text(); }).then(function (page) {
		var button = new DOMParser().parseFromString(page, "text/html").getElementById("pay");
		if (button) setTimeout(poll, 1000); else location.reload();
	}, function () { setTimeout(poll, 5000); });
}
poll();
</script>{{end}}
<p><a href="/">返回 Back</a></p>
{{end}}`))
