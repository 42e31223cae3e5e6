package paytest

import (
	"strconv"
	"strings"
)

// words are the texts of the pages in one language.
type words struct {
	Lang, Phone, Scan, Paste, OpenID, Referer, Open, Waiting, Pay, Cancel, Fail, Wait, Goods, Order, Payer,
	Paid, Cancelled, Failed, Busy, Back, Home, Window, Simulated, Refused string
}

var chinese = words{
	Lang: "zh-CN", Phone: "微信支付模拟手机", Scan: "扫一扫", Paste: "粘贴二维码内容（code_url）、JSAPI 参数、h5_url 或网页地址",
	OpenID: "本机用户的 openid（可不填）", Referer: "h5_url 所在的网页（Referer）", Open: "打开", Waiting: "待支付",
	Pay: "立即支付", Cancel: "取消", Fail: "支付失败（密码错误、余额不足）", Wait: "停在输入密码", Goods: "商品", Order: "商户单号",
	Payer: "付款人 openid", Paid: "支付成功", Cancelled: "已取消", Failed: "支付失败", Busy: "正在输入密码", Back: "返回商家", Home: "返回手机", Window: "在新窗口打开（有的网页不允许嵌入）",
	Simulated: "本页由 paytest 模拟，不会产生真实付款。", Refused: "无法支付",
}

var english = words{
	Lang: "en", Phone: "A phone with WeChat Pay, simulated", Scan: "Scan", Paste: "Paste the text of a QR code (code_url), JSAPI parameters, an h5_url or the address of a page",
	OpenID: "openid of the person (may be empty)", Referer: "page with the h5_url (Referer)", Open: "Open", Waiting: "Waiting to be paid",
	Pay: "Pay now", Cancel: "Cancel", Fail: "Fail (wrong password, no balance)", Wait: "Stop at the password", Goods: "Goods", Order: "Order",
	Payer: "openid of the payer", Paid: "Paid", Cancelled: "Cancelled", Failed: "Payment failed", Busy: "Entering the password", Back: "Back to the shop", Home: "Back to the phone", Window: "Open in a new window (some pages refuse a frame)",
	Simulated: "paytest simulates this page. Nothing is really paid.", Refused: "No payment",
}

// wordsFor returns Chinese, unless English is preferred to it.
func wordsFor(accept string) words {
	best := map[string]float64{}
	for _, one := range strings.SplitN(accept, ",", 20) {
		tag, params, _ := strings.Cut(strings.ToLower(strings.TrimSpace(one)), ";")
		tag, _, _ = strings.Cut(tag, "-")
		weight := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			weight, _ = strconv.ParseFloat(v, 64) // 0: not wanted
		}
		best[tag] = max(best[tag], weight)
	}
	if best["en"] > best["zh"] {
		return english
	}
	return chinese
}
