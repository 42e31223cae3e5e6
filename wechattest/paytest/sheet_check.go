package paytest

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

const h5For = 5 * time.Minute // validity of an h5_url

// scan returns the order of a code_url.
func (s *Server) scan(codeURL string, now time.Time) (*order, error) {
	o := s.prepaid[codeURL]
	if o == nil || o.trade != "NATIVE" || now.Sub(o.prepaidAt) >= prepaidFor {
		return nil, &refusal{"二维码已过期", "the code_url is unknown, or older than 2 hours"}
	}
	return o, nil
}

// checkParams returns the order of a call by a page or mini program, and checks its signature.
func (s *Server) checkParams(p *Params, page string, now time.Time) (*order, error) {
	for _, field := range []struct{ name, value string }{
		{"appId", p.AppID}, {"timeStamp", p.TimeStamp}, {"nonceStr", p.NonceStr}, {"package", p.Package},
		{"signType", p.SignType}, {"paySign", p.PaySign},
	} {
		if field.value == "" {
			return nil, &refusal{"调用支付JSAPI缺少参数：" + field.name, field.name + " is missing"}
		}
	}
	id, ok := strings.CutPrefix(p.Package, "prepay_id=")
	if !ok {
		return nil, &refusal{"调用支付JSAPI缺少参数：package", "package is not prepay_id=…"}
	}
	o := s.prepaid[id]
	switch {
	case o == nil || now.Sub(o.prepaidAt) >= prepaidFor:
		return nil, &refusal{"订单已失效", "the prepay_id is unknown, or older than 2 hours"}
	case o.trade != "JSAPI":
		return nil, &refusal{"支付场景非法", "invalid trade type " + o.trade + ": want JSAPI"}
	case p.AppID != o.appID && p.AppID != o.subAppID:
		return nil, &refusal{"支付验证签名失败", "invalid appId: want that of the order"}
	case o.v2 && p.SignType != o.signType:
		return nil, &refusal{"支付验证签名失败", "signType is not the order's sign_type, which is " + o.signType}
	case o.v2 && !p.v2().verifies(o.signType, o.signer().apiKey, p.PaySign):
		return nil, &refusal{"支付验证签名失败", "invalid paySign: want the signature of appId, nonceStr, package, signType and timeStamp by the merchant's key of v2"}
	case o.v2:
	case p.SignType != "RSA":
		return nil, &refusal{"支付验证签名失败", "signType is not RSA"}
	case !verifies(&o.signer().key.PublicKey, []byte(p.AppID+"\n"+p.TimeStamp+"\n"+p.NonceStr+"\n"+p.Package+"\n"), p.PaySign):
		return nil, &refusal{"支付验证签名失败", "invalid paySign: want the signature of appId, timeStamp, nonceStr and package by the merchant's key"}
	}
	if !o.signer().mayCallFrom(page) {
		return nil, &refusal{"当前页面的URL未注册：" + page, "the page is not below one of the merchant's pay_pages"}
	}
	return o, nil
}

// v2 returns the fields that v2 signs.
func (p *Params) v2() values {
	return values{"appId": p.AppID, "timeStamp": p.TimeStamp, "nonceStr": p.NonceStr, "package": p.Package, "signType": p.SignType}
}

// signer returns the account whose key signs for the order.
func (o *order) signer() *account {
	switch {
	case o.partOf != nil:
		return o.partOf.from
	case o.provider != nil:
		return o.provider
	}
	return o.payee
}

// mayCallFrom reports whether a page may start payments of the merchant. A mini program has no page.
func (a *account) mayCallFrom(page string) bool {
	pages := a.settings.PayPages
	return page == "" || len(pages) == 0 || slices.ContainsFunc(pages, func(prefix string) bool { return strings.HasPrefix(page, prefix) })
}

// checkH5 returns the order and the redirect_url of an h5_url.
func (s *Server) checkH5(link, referer string, now time.Time) (o *order, returnURL string, err error) {
	u, err := url.Parse(link)
	if err != nil || u.Path != h5Path {
		return nil, "", &refusal{"商家参数格式有误，请联系商家解决", "invalid h5_url"}
	}
	from, err := url.Parse(referer)
	if err != nil || from.Hostname() == "" {
		return nil, "", &refusal{"商家参数格式有误，请联系商家解决", "the Referer is missing: want a request from a link in a page"}
	}
	q := u.Query()
	if o = s.prepaid[q.Get("prepay_id")]; o == nil || o.trade != "MWEB" || q.Get("package") != digits(o.outTradeNo, 10) {
		return nil, "", &refusal{"支付请求已失效，请重新发起支付", "the h5_url is unknown, or was changed"}
	}
	if domains := o.signer().settings.H5Domains; len(domains) > 0 && !slices.Contains(domains, from.Hostname()) {
		return nil, "", &refusal{"商家存在未配置的参数，请联系商家解决", "the Referer is of " + from.Hostname() + ", which is not among the merchant's h5_domains"}
	}
	if now.Sub(o.linkedAt) >= h5For {
		return nil, "", &refusal{"支付请求已失效，请重新发起支付", "the h5_url is older than 5 minutes"}
	}
	if back := q.Get("redirect_url"); back != "" {
		to, err := url.Parse(back)
		if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
			return nil, "", &refusal{"商家参数格式有误，请联系商家解决", "invalid redirect_url: want an absolute URL"}
		}
		returnURL = to.String()
	}
	return o, returnURL, nil
}

// explain converts an error of payable or setPaying to a refusal in WeChat's words.
func (o *order) explain(err error, openID string, now time.Time) error {
	text := "支付失败"
	switch {
	case o.state == success || o.state == refunded:
		text = "该订单已支付"
	case o.state == closed || o.state == revoked:
		text = "订单已关闭"
	case o.openID != "" && openID != "" && o.openID != openID && o.subOpenID != openID:
		text = "下单账号与支付账号不一致，请核实后再支付"
	case !now.Before(o.expires) || now.Sub(o.prepaidAt) >= prepaidFor:
		text = "订单已失效"
	}
	return &refusal{text, strings.TrimPrefix(err.Error(), "paytest: ")}
}
