package paytest

import (
	"bytes"
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// orderBody is the body of the calls that place orders.
type orderBody struct {
	AppID    string `json:"appid"`
	MchID    string `json:"mchid"`
	SpAppID  string `json:"sp_appid"`
	SpMchID  string `json:"sp_mchid"`
	SubAppID string `json:"sub_appid"`
	SubMchID string `json:"sub_mchid"`

	Description string `json:"description"`
	OutTradeNo  string `json:"out_trade_no"`
	TimeExpire  string `json:"time_expire"`
	Attach      string `json:"attach"`
	NotifyURL   string `json:"notify_url"`
	GoodsTag    string `json:"goods_tag"`
	Amount      *struct {
		Total    int64  `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
	Payer struct {
		OpenID    string `json:"openid"`
		SpOpenID  string `json:"sp_openid"`
		SubOpenID string `json:"sub_openid"`
		AuthCode  string `json:"auth_code"`
	} `json:"payer"`
	SceneInfo *struct {
		PayerClientIP string `json:"payer_client_ip"`
		DeviceID      string `json:"device_id"`
		H5Info        *struct {
			Type string `json:"type"`
		} `json:"h5_info"`
		StoreInfo *struct {
			ID    string `json:"id"`
			OutID string `json:"out_id"`
		} `json:"store_info"`
	} `json:"scene_info"`
	SettleInfo struct {
		ProfitSharing bool `json:"profit_sharing"`
	} `json:"settle_info"`
}

// parties checks the merchants and appids of an order.
func (s *Server) parties(c *call, in *orderBody, partner bool) (o *order, a answer, ok bool) {
	appID, mchID := in.AppID, in.MchID
	if partner {
		appID, mchID = in.SpAppID, in.SpMchID
	}
	payee, a, ok := s.payee(c, partner, mchID, in.SubMchID)
	switch {
	case !ok:
		return nil, a, false
	case appID == "" && partner:
		return nil, missing("sp_appid"), false
	case appID == "":
		return nil, missing("appid"), false
	case !c.from.takes(appID), partner && in.SubAppID != "" && !payee.takes(in.SubAppID):
		return nil, refuse("APPID_MCHID_NOT_MATCH", ""), false
	}
	o = &order{payee: payee, appID: appID, state: notPaid, created: c.now}
	if partner {
		o.provider, o.subAppID = c.from, in.SubAppID
	}
	return o, a, true
}

// newOrder checks the fields that all orders share.
func (s *Server) newOrder(c *call, in *orderBody, partner bool) (o *order, a answer, ok bool) {
	if o, a, ok = s.parties(c, in, partner); !ok {
		return nil, a, false
	}
	switch {
	case in.Description == "":
		return nil, missing("description"), false
	case utf8.RuneCountInString(in.Description) > 127:
		return nil, paramError("/description", "", "longer than 127", "商品描述过长"), false
	case in.OutTradeNo == "":
		return nil, missing("out_trade_no"), false
	case !tradeNo.MatchString(in.OutTradeNo):
		return nil, paramError("/out_trade_no", in.OutTradeNo, "6 to 32 of 0-9A-Za-z_-|*@", "商户订单号不符合规则"), false
	case utf8.RuneCountInString(in.Attach) > 128:
		return nil, paramError("/attach", "", "longer than 128", "附加数据过长"), false
	case in.Amount == nil:
		return nil, missing("amount"), false
	case in.Amount.Total < 1:
		return nil, paramError("/amount/total", "", "less than 1", "订单金额必须大于0"), false
	case in.Amount.Currency != "" && in.Amount.Currency != "CNY":
		return nil, paramError("/amount/currency", in.Amount.Currency, "Currency code is invalid", "货币类型不支持"), false
	}
	o.expires = c.now.AddDate(0, 0, 7)
	if in.TimeExpire != "" {
		t, err := time.Parse(time.RFC3339, in.TimeExpire)
		if err != nil {
			return nil, paramError("/time_expire", in.TimeExpire, "want RFC 3339", "交易结束时间格式错误"), false
		}
		o.expires = clamp(t, c.now.Add(time.Minute), c.now.AddDate(0, 0, 90))
	}
	o.outTradeNo, o.total, o.currency = in.OutTradeNo, in.Amount.Total, "CNY"
	o.description, o.attach, o.shares = in.Description, in.Attach, in.SettleInfo.ProfitSharing
	if in.SceneInfo != nil {
		o.deviceID = in.SceneInfo.DeviceID
	}
	return o, a, true
}

func clamp(t, from, to time.Time) time.Time {
	switch {
	case t.Before(from):
		return from
	case t.After(to):
		return to
	}
	return t
}

// badNotifyURL returns the reason why WeChat refuses this URL, or "".
func badNotifyURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(text) > 255:
		return "want an absolute URL of at most 255 bytes"
	case strings.Contains(text, "?"):
		return "must have no query"
	}
	return ""
}

func (s *Server) placeOrder(c *call, partner bool, trade string) answer {
	var in orderBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	o, a, ok := s.newOrder(c, &in, partner)
	if !ok {
		return a
	}
	o.trade, o.notifyURL = trade, in.NotifyURL
	if in.NotifyURL == "" {
		return missing("notify_url")
	}
	if issue := badNotifyURL(in.NotifyURL); issue != "" {
		return paramError("/notify_url", in.NotifyURL, issue, "通知地址不符合规则")
	}
	if a, ok := o.setPayer(&in, partner); !ok {
		return a
	}
	if trade == "MWEB" && (in.SceneInfo == nil || in.SceneInfo.PayerClientIP == "" || in.SceneInfo.H5Info == nil || in.SceneInfo.H5Info.Type == "") {
		return missing("scene_info")
	}
	o.asked = canonical(c.body)
	o, a, ok = s.enter(o)
	if !ok {
		return a
	}
	return done(s.prepay(o, o.prepayFields(), c))
}

// setPayer sets the payer of an order that names one.
func (o *order) setPayer(in *orderBody, partner bool) (a answer, ok bool) {
	if o.trade != "JSAPI" {
		return a, true
	}
	switch {
	case !partner && in.Payer.OpenID == "":
		return missing("openid"), false
	case partner && in.Payer.SpOpenID == "" && in.Payer.SubOpenID == "":
		return missing("sp_openid"), false
	case partner && in.Payer.SubOpenID != "" && in.SubAppID == "":
		return missing("sub_appid"), false
	}
	o.openID, o.subOpenID = in.Payer.OpenID, in.Payer.SubOpenID
	if partner {
		o.openID = in.Payer.SpOpenID
	}
	return a, true
}

// canonical writes a JSON object in one form, so that the same parameters compare equal however they are written.
func canonical(body []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return body
	}
	return toJSON(v)
}

// enter places an order, or returns the one placed before with the same parameters.
func (s *Server) enter(o *order) (*order, answer, bool) {
	old := o.payee.orders[o.outTradeNo]
	if old == nil {
		o.payee.orders[o.outTradeNo] = o
		return o, answer{}, true
	}
	old.settle(o.created)
	switch {
	case old.v2 != o.v2 || old.trade != o.trade || old.provider != o.provider || (old.partOf == nil) != (o.partOf == nil):
		return nil, refuse("OUT_TRADE_NO_USED", "201 商户订单号重复"), false
	case old.state == closed:
		return nil, refuse("ORDER_CLOSED", ""), false
	case old.state == revoked:
		return nil, refuse("ORDER_REVERSED", ""), false
	case old.state == success || old.state == refunded:
		return nil, refuse("ORDER_PAID", ""), false
	case !bytes.Equal(old.asked, o.asked):
		return nil, refuse("INVALID_REQUEST", "订单重入时，要求参数值与原请求一致"), false
	}
	return old, answer{}, true
}

const prepaidFor = 2 * time.Hour

// prepayFields returns the name of the field with which the answer says how to pay.
func (o *order) prepayFields() string {
	switch o.trade {
	case "NATIVE":
		return "code_url"
	case "MWEB":
		return "h5_url"
	}
	return "prepay_id"
}

// prepay returns the answer to a placed order, with a new prepay_id where the old one has expired.
func (s *Server) prepay(o *order, field string, c *call) fields {
	now := c.now
	if s.prepaid == nil {
		s.prepaid = make(map[string]*order)
	}
	if o.prepayID == "" || now.Sub(o.prepaidAt) >= prepaidFor {
		delete(s.prepaid, o.prepayID)
		delete(s.prepaid, o.codeURL)
		o.prepayID = "wx" + now.In(beijing).Format("20060102150405") + strings.ToLower(randomHex(20))
		o.codeURL = "weixin://wxpay/bizpayurl?pr=" + randomText(9)
		o.prepaidAt = now
		s.prepaid[o.prepayID], s.prepaid[o.codeURL] = o, o
	}
	switch field {
	case "code_url":
		return fields{field: o.codeURL}
	case "h5_url":
		o.linkedAt = now
		return fields{field: c.pageHost() + h5Path + "?prepay_id=" + o.prepayID + "&package=" + digits(o.outTradeNo, 10)}
	}
	return fields{field: o.prepayID}
}

// h5Host and h5Path are where WeChat has the page of an h5_url.
const (
	h5Host = "wx.tenpay.com"
	h5Path = "/cgi-bin/mmpayweb-bin/checkmweb"
)

// pageHost is the base of an h5_url: WeChat's own, unless the call came to another address than WeChat's. The Server has
// the page there, too, so that a browser without WeChat's names finds it.
func (c *call) pageHost() string {
	name := c.host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	switch {
	case strings.HasSuffix(name, ".weixin.qq.com") || strings.HasSuffix(name, ".wechatpay.cn"):
		return "https://" + h5Host
	case c.plain:
		return "http://" + c.host
	}
	return "https://" + c.host
}
