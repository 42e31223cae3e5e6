package paytest

import (
	"bytes"
	"strings"
	"time"
)

// combined is a combined order (合单).
type combined struct {
	from      *account
	no        string
	trade     string
	appID     string
	notifyURL string
	asked     []byte
	parts     []*order
}

type combineBody struct {
	AppID      string `json:"combine_appid"`
	MchID      string `json:"combine_mchid"`
	OutTradeNo string `json:"combine_out_trade_no"`
	SceneInfo  *struct {
		PayerClientIP string `json:"payer_client_ip"`
		DeviceID      string `json:"device_id"`
		H5Info        *struct {
			Type string `json:"type"`
		} `json:"h5_info"`
	} `json:"scene_info"`
	SubOrders []struct {
		MchID       string `json:"mchid"`
		SubMchID    string `json:"sub_mchid"`
		SubAppID    string `json:"sub_appid"`
		Attach      string `json:"attach"`
		OutTradeNo  string `json:"out_trade_no"`
		Description string `json:"description"`
		Amount      *struct {
			Total    int64  `json:"total_amount"`
			Currency string `json:"currency"`
		} `json:"amount"`
		SettleInfo struct {
			ProfitSharing bool `json:"profit_sharing"`
		} `json:"settle_info"`
	} `json:"sub_orders"`
	Payer struct {
		OpenID    string `json:"openid"`
		SubOpenID string `json:"sub_openid"`
	} `json:"combine_payer_info"`
	TimeExpire string `json:"time_expire"`
	NotifyURL  string `json:"notify_url"`
}

const maxParts = 50

func combineRoutes() (list []*route) {
	const base = "/v3/combine-transactions"
	for name, trade := range tradeTypes {
		list = append(list, at("POST "+base+"/"+name, func(s *Server, c *call) answer { return s.combine(c, trade) }))
	}
	return append(list,
		at("GET "+base+"/out-trade-no/{}", (*Server).queryCombined),
		at("POST "+base+"/out-trade-no/{}/close", (*Server).closeCombined),
	)
}

func (s *Server) combine(c *call, trade string) answer {
	var in combineBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	if a, ok := in.check(c, trade); !ok {
		return a
	}
	asked := canonical(c.body)
	whole := c.from.combined[in.OutTradeNo]
	if whole != nil && (whole.trade != trade || !bytes.Equal(whole.asked, asked)) {
		return refuse("INVALID_REQUEST", "订单重入时，要求参数值与原请求一致")
	}
	if whole == nil {
		whole = &combined{from: c.from, no: in.OutTradeNo, trade: trade, appID: in.AppID, notifyURL: in.NotifyURL, asked: asked}
		if a, ok := s.addParts(c, &in, whole); !ok {
			return a
		}
	}
	for _, o := range whole.parts {
		if _, a, ok := s.enter(o); !ok {
			return a
		}
	}
	c.from.combined[in.OutTradeNo] = whole
	first := whole.parts[0]
	v := s.prepay(first, first.prepayFields(), c)
	for _, o := range whole.parts {
		o.prepaidAt, o.linkedAt = first.prepaidAt, first.linkedAt
	}
	return done(v)
}

// check checks the fields that all parts share.
func (in *combineBody) check(c *call, trade string) (a answer, ok bool) {
	switch {
	case in.MchID == "":
		return missing("combine_mchid"), false
	case in.AppID == "":
		return missing("combine_appid"), false
	case !c.from.takes(in.AppID):
		return refuse("APPID_MCHID_NOT_MATCH", ""), false
	case in.OutTradeNo == "":
		return missing("combine_out_trade_no"), false
	case !tradeNo.MatchString(in.OutTradeNo):
		return paramError("/combine_out_trade_no", in.OutTradeNo, "6 to 32 of 0-9A-Za-z_-|*@", "合单商户订单号不符合规则"), false
	case len(in.SubOrders) == 0:
		return missing("sub_orders"), false
	case len(in.SubOrders) > maxParts:
		return paramError("/sub_orders", "", "more than 50", "子单超过50个"), false
	case in.NotifyURL == "":
		return missing("notify_url"), false
	case trade == "JSAPI" && in.Payer.OpenID == "" && in.Payer.SubOpenID == "":
		return missing("openid"), false
	case trade == "MWEB" && (in.SceneInfo == nil || in.SceneInfo.PayerClientIP == "" || in.SceneInfo.H5Info == nil || in.SceneInfo.H5Info.Type == ""):
		return missing("scene_info"), false
	}
	if issue := badNotifyURL(in.NotifyURL); issue != "" {
		return paramError("/notify_url", in.NotifyURL, issue, "通知地址不符合规则"), false
	}
	return a, true
}

// addParts makes the parts of a new combined order. They are known to their payees only when all of them are good.
func (s *Server) addParts(c *call, in *combineBody, whole *combined) (a answer, ok bool) {
	expires := c.now.AddDate(0, 0, 7)
	if in.TimeExpire != "" {
		t, err := time.Parse(time.RFC3339, in.TimeExpire)
		if err != nil {
			return paramError("/time_expire", in.TimeExpire, "want RFC 3339", "交易结束时间格式错误"), false
		}
		expires = clamp(t, c.now.Add(time.Minute), c.now.AddDate(0, 0, 90))
	}
	seen := make(map[*account]map[string]bool)
	for _, sub := range in.SubOrders {
		switch {
		case sub.MchID == "":
			return missing("sub_orders/mchid"), false
		case sub.Attach == "":
			return missing("sub_orders/attach"), false
		case sub.Description == "":
			return missing("sub_orders/description"), false
		case !tradeNo.MatchString(sub.OutTradeNo):
			return paramError("/sub_orders/out_trade_no", sub.OutTradeNo, "6 to 32 of 0-9A-Za-z_-|*@", "子单商户订单号不符合规则"), false
		case sub.Amount == nil || sub.Amount.Total < 1:
			return paramError("/sub_orders/amount/total_amount", "", "less than 1", "订单金额必须大于0"), false
		case sub.Amount.Currency != "CNY":
			return paramError("/sub_orders/amount/currency", sub.Amount.Currency, "Currency code is invalid", "货币类型不支持"), false
		}
		owner := s.accounts[sub.MchID]
		if owner == nil || owner.key == nil {
			return refuse("MCH_NOT_EXISTS", ""), false
		}
		o := &order{
			payee: owner, trade: whole.trade, asked: whole.asked, outTradeNo: sub.OutTradeNo, appID: in.AppID,
			subAppID: sub.SubAppID, openID: in.Payer.OpenID, subOpenID: in.Payer.SubOpenID, total: sub.Amount.Total,
			currency: "CNY", description: sub.Description, attach: sub.Attach, state: notPaid, created: c.now,
			expires: expires, partOf: whole, shares: sub.SettleInfo.ProfitSharing,
		}
		if owner.subs != nil {
			o.provider = owner
			if o.payee = owner.subs[sub.SubMchID]; o.payee == nil {
				return refuse("PARAM_ERROR", "受理机构必须传入sub_mch_id"), false
			}
		}
		if seen[o.payee] == nil {
			seen[o.payee] = make(map[string]bool)
		}
		if o.payee.orders[o.outTradeNo] != nil || seen[o.payee][o.outTradeNo] {
			return refuse("OUT_TRADE_NO_USED", "201 商户订单号重复"), false
		}
		seen[o.payee][o.outTradeNo] = true
		whole.parts = append(whole.parts, o)
	}
	return a, true
}

func (s *Server) queryCombined(c *call) answer {
	whole := c.from.combined[c.vars[0]]
	if whole == nil {
		return refuse("ORDER_NOT_EXIST", "")
	}
	return done(whole.shown())
}

// shown returns the combined order as queries and notifications show it.
func (w *combined) shown() fields {
	list := make([]fields, 0, len(w.parts))
	for _, o := range w.parts {
		v := fields{
			"mchid": o.payee.id, "out_trade_no": o.outTradeNo, "trade_type": o.trade, "trade_state": o.state, "attach": o.attach,
			"amount": fields{"total_amount": o.total, "currency": o.currency, "payer_amount": o.total, "payer_currency": o.currency},
		}
		if o.provider != nil {
			v["mchid"], v["sub_mchid"] = o.provider.id, o.payee.id
		}
		if o.transactionID != "" {
			v["transaction_id"], v["bank_type"], v["success_time"] = o.transactionID, "OTHERS", wireTime(o.paidAt)
		}
		list = append(list, v)
	}
	v := fields{"combine_appid": w.appID, "combine_mchid": w.from.id, "combine_out_trade_no": w.no, "sub_orders": list}
	if openID := w.parts[0].openID; openID != "" {
		v["combine_payer_info"] = fields{"openid": openID}
	}
	return v
}

// closeCombined closes all parts at once. The caller has to name all of them.
func (s *Server) closeCombined(c *call) answer {
	var in combineBody
	if a, ok := c.decode(&in); !ok {
		return a
	}
	whole := c.from.combined[c.vars[0]]
	switch {
	case in.AppID == "":
		return missing("combine_appid")
	case whole == nil:
		return refuse("ORDER_NOT_EXIST", "")
	case in.AppID != whole.appID:
		return refuse("APPID_MCHID_NOT_MATCH", "")
	}
	named := make(map[string]bool)
	for _, sub := range in.SubOrders {
		named[strings.Join([]string{sub.MchID, sub.SubMchID, sub.OutTradeNo}, " ")] = true
	}
	for _, o := range whole.parts {
		key := []string{o.payee.id, "", o.outTradeNo}
		if o.provider != nil {
			key = []string{o.provider.id, o.payee.id, o.outTradeNo}
		}
		if !named[strings.Join(key, " ")] {
			return refuse("PARAM_ERROR", "子单信息与原合单不一致，须传入全部子单")
		}
	}
	if len(named) != len(whole.parts) {
		return refuse("PARAM_ERROR", "子单信息与原合单不一致，须传入全部子单")
	}
	for _, o := range whole.parts {
		if a, ok := o.closable(); !ok {
			return a
		}
	}
	for _, o := range whole.parts {
		o.state = closed
	}
	return noContent()
}

func (s *Server) notifyCombined(w *combined, now time.Time) {
	s.notify(w.from, Notification{URL: w.notifyURL, Event: "TRANSACTION.SUCCESS", OriginalType: "transaction", Summary: "支付成功", Plain: toJSON(w.shown())}, now)
}
