package payv3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// orders returns the path of orders.
func (m *Merchant) orders() string {
	if m.sub.mchID != "" {
		return "/v3/pay/partner/transactions"
	}
	return "/v3/pay/transactions"
}

// orderPath returns the path of one order.
func (m *Merchant) orderPath(outTradeNo string) string {
	return m.orders() + "/out-trade-no/" + escape(outTradeNo)
}

// escape escapes a segment of a path, except for the star, as WeChat's pages do.
func escape(segment string) string { return strings.ReplaceAll(url.PathEscape(segment), "%2A", "*") }

// Prepay places an order (下单). See https://pay.weixin.qq.com/doc/v3/merchant/4012525167.
//
// An order with a payment code is queried every 5 s until it is paid, for 45 s at most. pay.ErrPaying means that the payer has
// not confirmed by then: call Reverse.
func (m *Merchant) Prepay(ctx context.Context, o pay.Order) (pay.Prepaid, error) {
	appID, fields, err := m.orderFields(o)
	if err != nil {
		return pay.Prepaid{}, err
	}
	if o.Trade == pay.Code {
		return m.payByCode(ctx, o, fields)
	}
	var answer struct {
		PrepayID string `json:"prepay_id"`
		CodeURL  string `json:"code_url"`
		H5URL    string `json:"h5_url"`
	}
	if err := m.Do(ctx, http.MethodPost, m.orders()+"/"+string(o.Trade), fields, &answer); err != nil {
		return pay.Prepaid{OutTradeNo: o.OutTradeNo}, err
	}
	p := pay.Prepaid{OutTradeNo: o.OutTradeNo, PrepayID: answer.PrepayID, CodeURL: answer.CodeURL, H5URL: answer.H5URL}
	if p.PrepayID == "" && o.Trade != pay.Native && o.Trade != pay.H5 || p.CodeURL == "" && o.Trade == pay.Native || p.H5URL == "" && o.Trade == pay.H5 {
		return pay.Prepaid{OutTradeNo: o.OutTradeNo}, &pay.Error{Op: "POST " + m.orders() + "/" + string(o.Trade), Cause: pay.ErrUnknown, Number: "out_trade_no " + o.OutTradeNo,
			Err: errors.New("the answer has nothing to pay with")}
	}
	if o.Trade == pay.JSAPI || o.Trade == pay.APP {
		p.Params, err = m.Params(o.Trade, appID, answer.PrepayID)
	}
	return p, err
}

// orderFields returns the body of an order, and the appid that the payer's program has.
func (m *Merchant) orderFields(o pay.Order) (appID string, fields map[string]any, err error) {
	if err := o.Check(); err != nil {
		return "", nil, err
	}
	appID, fields, err = m.parties(o.AppID)
	if err != nil {
		return "", nil, err
	}
	fields["description"], fields["out_trade_no"] = o.Description, o.OutTradeNo
	fields["amount"] = map[string]any{"total": o.Fen, "currency": "CNY"}
	if o.Attach != "" {
		fields["attach"] = o.Attach
	}
	if !o.ExpiresAt.IsZero() {
		fields["time_expire"] = o.ExpiresAt.In(beijing).Format(time.RFC3339)
	}
	switch {
	case o.Trade == pay.Code:
		fields["payer"] = map[string]any{"auth_code": o.AuthCode}
	case o.OpenID != "":
		fields["payer"] = map[string]any{m.openIDField(fields): o.OpenID}
	}
	if o.Trade != pay.Code {
		if fields["notify_url"] = firstOf(o.NotifyURL, m.notifyURL); fields["notify_url"] == "" {
			return "", nil, &pay.FieldError{Field: "Order.NotifyURL", Reason: "is empty, and so is Config.NotifyURL"}
		}
		if o.ClientIP != "" {
			fields["scene_info"] = map[string]any{"payer_client_ip": o.ClientIP}
		}
	}
	if err := merge(fields, copyObject(o.Extra), "Order.Extra"); err != nil {
		return "", nil, err
	}
	if scene, ok := fields["scene_info"].(map[string]any); ok && o.Trade == pay.H5 && scene["h5_info"] == nil {
		scene["h5_info"] = map[string]any{"type": "Wap"}
	}
	return appID, fields, nil
}

// parties returns the fields that name the merchant and the apps, and the appid of the payer's program: ordered, or the default
// one where that is empty.
func (m *Merchant) parties(ordered string) (appID string, fields map[string]any, err error) {
	appID = firstOf(ordered, m.sub.appID, m.appID)
	if m.sub.mchID == "" {
		if !m.ours(appID) {
			return "", nil, &pay.FieldError{Field: "Order.AppID", Reason: fmt.Sprintf("is %q, which is neither Config.AppID nor one of Config.AppIDs", appID)}
		}
		return appID, map[string]any{"appid": appID, "mchid": m.wire.mchID}, nil
	}
	fields = map[string]any{"sp_appid": m.appID, "sp_mchid": m.wire.mchID, "sub_mchid": m.sub.mchID}
	if m.ours(appID) {
		fields["sp_appid"] = appID
	} else {
		fields["sub_appid"] = appID
	}
	return appID, fields, nil
}

// openIDField returns the name of the payer's openid.
func (m *Merchant) openIDField(fields map[string]any) string {
	switch {
	case m.sub.mchID == "":
		return "openid"
	case fields["sub_appid"] != nil:
		return "sub_openid"
	}
	return "sp_openid"
}

// copyObject copies a map and the maps within it.
func copyObject(object map[string]any) map[string]any {
	object = maps.Clone(object)
	for name, value := range object {
		if inner, ok := value.(map[string]any); ok {
			object[name] = copyObject(inner)
		}
	}
	return object
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// Params returns the arguments with which the payer's program starts a payment (调起支付): of trade pay.JSAPI those of
// wx.requestPayment, of pay.APP those of the app's SDK. Prepay returns them already; for a combined order (合单)
// the caller calls Params. appID is empty for the default one.
func (m *Merchant) Params(trade pay.Trade, appID, prepayID string) (map[string]string, error) {
	appID = firstOf(appID, m.sub.appID, m.appID)
	random, err := m.wire.appendNonce(nil)
	if err != nil {
		return nil, err
	}
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), string(random)
	switch trade {
	case pay.JSAPI:
		p := map[string]string{"appId": appID, "timeStamp": timestamp, "nonceStr": nonce, "package": "prepay_id=" + prepayID, "signType": "RSA"}
		signature, err := m.wire.signLines(appID, timestamp, nonce, p["package"])
		p["paySign"] = signature
		return p, err
	case pay.APP:
		partner := m.wire.mchID
		if m.sub.mchID != "" && !m.ours(appID) { // the app is the shop's own
			partner = m.sub.mchID
		}
		p := map[string]string{"appid": appID, "partnerid": partner, "prepayid": prepayID, "package": "Sign=WXPay", "noncestr": nonce, "timestamp": timestamp}
		signature, err := m.wire.signLines(appID, timestamp, nonce, prepayID)
		p["sign"] = signature
		return p, err
	}
	return nil, &pay.FieldError{Field: "trade", Reason: fmt.Sprintf("is %q: want jsapi or app", string(trade))}
}

// Query returns an order as WeChat knows it (查询订单).
func (m *Merchant) Query(ctx context.Context, outTradeNo string) (pay.Transaction, error) {
	if err := pay.CheckOutTradeNo(outTradeNo); err != nil {
		return pay.Transaction{}, err
	}
	query := url.Values{"mchid": {m.wire.mchID}}
	if m.sub.mchID != "" {
		query = url.Values{"sp_mchid": {m.wire.mchID}, "sub_mchid": {m.sub.mchID}}
	}
	r := &request{method: http.MethodGet, path: m.orderPath(outTradeNo) + "?" + query.Encode(), number: "out_trade_no " + outTradeNo}
	r.op = "GET " + m.orderPath(outTradeNo)
	body, err := m.do(ctx, r)
	if err != nil {
		return pay.Transaction{}, err
	}
	return m.readTransaction(r, body, outTradeNo)
}

// readTransaction reads an answer on an order, which must be the one that was asked about.
func (m *Merchant) readTransaction(r *request, body []byte, outTradeNo string) (pay.Transaction, error) {
	var t transaction
	err := decode(body, &t)
	if err == nil && t.OutTradeNo != outTradeNo {
		err = fmt.Errorf("the answer is on order %.40q", t.OutTradeNo)
	}
	if err == nil {
		err = m.checkAnswer(t.MchID, t.SpMchID, t.SubMchID)
	}
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return pay.Transaction{}, &pay.Error{Op: r.op, Cause: pay.ErrUnknown, Number: r.number, Err: err}
	}
	return t.plain(body), nil
}

// checkAnswer returns an error for an answer that names another merchant or shop.
func (m *Merchant) checkAnswer(mchID, spMchID, subMchID string) error {
	if no := firstOf(mchID, spMchID); no != "" && no != m.wire.mchID {
		return fmt.Errorf("the answer is on mchid %.32q", no)
	}
	if m.sub.mchID != "" && subMchID != "" && subMchID != m.sub.mchID {
		return fmt.Errorf("the answer is on sub_mchid %.32q", subMchID)
	}
	return nil
}

// Close ends an order that is not paid (关闭订单). It returns pay.ErrPaying while the payer is paying.
func (m *Merchant) Close(ctx context.Context, outTradeNo string) error {
	if err := pay.CheckOutTradeNo(outTradeNo); err != nil {
		return err
	}
	fields := map[string]any{"mchid": m.wire.mchID}
	if m.sub.mchID != "" {
		fields = map[string]any{"sp_mchid": m.wire.mchID, "sub_mchid": m.sub.mchID}
	}
	return m.Do(ctx, http.MethodPost, m.orderPath(outTradeNo)+"/close", fields, nil)
}
