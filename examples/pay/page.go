package main

import (
	"html/template"
	"log"
	"net/http"
)

// show writes a page.
func show(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Print(err)
	}
}

// The page of an order polls until it is paid, because the result of WeChat's script is no proof of payment.
var pages = template.Must(template.New("").Parse(`
{{define "head"}}<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Socks</title>
<body style="font: 17px/1.6 system-ui, sans-serif; max-width: 28em; margin: 0 auto; padding: 8vh 24px; text-align: center">
<h1>Socks, ¥12.00</h1>{{end}}

{{define "shop"}}{{template "head"}}
<form action="/buy" method="post">
<p><button id="native" name="trade" value="native">Pay by QR code</button></p>
<p><button id="jsapi" name="trade" value="jsapi">Pay in WeChat</button></p>
<p><button id="h5" name="trade" value="h5">Pay in the browser of a phone</button></p>
</form>{{end}}

{{define "order"}}{{template "head"}}
{{with .Order}}
<p id="result" data-number="{{.OutTradeNo}}">not paid</p>
{{if .QRURL}}<p><img id="qr" src="{{.QRURL}}" alt="QR code" width="320" height="320"></p>{{end}}
{{if .JSURL}}<p><button id="pay">Pay</button></p><p id="said"></p>{{if $.Phone}}<script src="{{$.Phone}}/phone/pay/bridge.js"></script>{{end}}{{end}}
{{if .PageURL}}<p><a id="link" href="{{.PageURL}}" target="_blank">Pay</a></p>{{end}}
<script>
var result = document.getElementById("result"), said = document.getElementById("said"), js = {{.JSURL}};
function poll() {
	fetch("/orders/" + result.dataset.number).then(function (r) { return r.json(); }).then(function (order) {
		if (!order.paid) return setTimeout(poll, 500);
		result.textContent = result.className = "paid";
	});
}
poll();
if (js) document.getElementById("pay").onclick = function () {
	fetch(js).then(function (r) { return r.json(); }).then(function (params) {
		WeixinJSBridge.invoke("getBrandWCPayRequest", params, function (res) { said.textContent = res.err_msg; });
	});
};
</script>
{{end}}{{end}}
`))
