package payv2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const unifiedOrderPath = "/pay/unifiedorder"

// defaultServerIP is sent as spbill_create_ip where there is no other address, since WeChat wants a value.
const defaultServerIP = "127.0.0.1"

// Prepay places an order (统一下单). See https://pay.weixin.qq.com/doc/v2/merchant/4011936530.
//
// An order with a payment code (付款码支付, micropay) is queried every 5 s until it is paid, for 45 s at most. pay.ErrPaying means
// that the payer has not confirmed by then: call Reverse.
func (m *Merchant) Prepay(ctx context.Context, o pay.Order) (pay.Prepaid, error) {
	appID, fields, err := m.orderFields(o)
	if err != nil {
		return pay.Prepaid{}, err
	}
	if o.Trade == pay.Code {
		return m.payByCode(ctx, o, fields)
	}
	p := pay.Prepaid{OutTradeNo: o.OutTradeNo}
	r := newRequest(unifiedOrderPath, fields)
	answer, err := m.do(ctx, r)
	if err != nil {
		return p, err
	}
	prepayID, codeURL, h5URL := answer.get("prepay_id"), answer.get("code_url"), answer.get("mweb_url")
	if prepayID == "" && o.Trade != pay.Native && o.Trade != pay.H5 || codeURL == "" && o.Trade == pay.Native || h5URL == "" && o.Trade == pay.H5 {
		return p, &pay.Error{Op: r.op(), Cause: pay.ErrUnknown, Number: r.number(), Err: errors.New("the answer has nothing to pay with")}
	}
	p.PrepayID, p.CodeURL, p.H5URL, p.Raw = prepayID, codeURL, h5URL, answer.json()
	if o.Trade == pay.JSAPI || o.Trade == pay.APP {
		p.Params, err = m.Params(o.Trade, appID, prepayID)
	}
	return p, err
}

// orderFields returns the fields of an order, and the appid that the payer's program has.
func (m *Merchant) orderFields(o pay.Order) (appID string, fields message, err error) {
	if err := o.Check(); err != nil {
		return "", nil, err
	}
	appID, fields, err = m.parties(o.AppID)
	if err != nil {
		return "", nil, err
	}
	fields.add("body", o.Description)
	fields.add("out_trade_no", o.OutTradeNo)
	fields.add("total_fee", strconv.FormatInt(o.Fen, 10))
	fields.add("spbill_create_ip", firstOf(o.ClientIP, m.serverIP, defaultServerIP))
	fields.add("attach", o.Attach)
	if !o.ExpiresAt.IsZero() {
		fields.add("time_expire", o.ExpiresAt.In(beijing).Format(compactTime))
	}
	if o.Trade == pay.Code {
		fields.add("auth_code", o.AuthCode)
	} else if fields, err = m.addTrade(fields, o); err != nil {
		return "", nil, err
	}
	if fields, err = addExtra(fields, o.Extra, "Order.Extra"); err != nil {
		return "", nil, err
	}
	if o.Trade == pay.H5 && !fields.has("scene_info") {
		fields.add("scene_info", `{"h5_info":{"type":"Wap"}}`)
	}
	if o.Trade == pay.Native && !fields.has("product_id") {
		fields.add("product_id", o.OutTradeNo)
	}
	return appID, fields, nil
}

// addTrade adds the fields of an order that the payer opens.
func (m *Merchant) addTrade(fields message, o pay.Order) (message, error) {
	notifyURL := firstOf(o.NotifyURL, m.notifyURL)
	if notifyURL == "" {
		return nil, &pay.FieldError{Field: "Order.NotifyURL", Reason: "is empty, and so is Config.NotifyURL"}
	}
	if err := checkNotifyURL("Order.NotifyURL", o.NotifyURL); err != nil {
		return nil, err
	}
	fields.add("notify_url", notifyURL)
	fields.add("trade_type", tradeTypes[o.Trade])
	if fields.has("sub_appid") {
		fields.add("sub_openid", o.OpenID)
	} else {
		fields.add("openid", o.OpenID)
	}
	return fields, nil
}

// party returns the fields that name the merchant and its shop.
func (m *Merchant) party(appID string) message {
	fields := make(message, 0, usualFields)
	fields.add("appid", appID)
	fields.add("mch_id", m.wire.mchID)
	fields.add("sub_mch_id", m.sub.mchID)
	return fields
}

// parties returns party and the shop's appid, and the appid of the payer's program: ordered, or the default one where that is
// empty.
func (m *Merchant) parties(ordered string) (appID string, fields message, err error) {
	appID = firstOf(ordered, m.sub.appID, m.appID)
	switch {
	case m.ours(appID):
		return appID, m.party(appID), nil
	case m.sub.mchID == "":
		return "", nil, &pay.FieldError{Field: "Order.AppID", Reason: fmt.Sprintf("is %q, which is neither Config.AppID nor one of Config.AppIDs", appID)}
	}
	fields = m.party(m.appID)
	fields.add("sub_appid", appID)
	return appID, fields, nil
}

// reserved are the fields that no caller sets.
var reserved = []string{"sign", "sign_type", "nonce_str", "key"}

// addExtra adds other fields to a message, and replaces none. Its error names field.
func addExtra(fields message, extra map[string]any, name string) (message, error) {
	for key, value := range extra {
		if slices.Contains(reserved, key) || fields.has(key) {
			return nil, &pay.FieldError{Field: name, Reason: fmt.Sprintf("sets %q, which another field sets already", key)}
		}
		text, err := textOf(value)
		if err != nil {
			return nil, &pay.FieldError{Field: name, Reason: fmt.Sprintf("has a value of %q that cannot be encoded as JSON", key)}
		}
		if strings.HasSuffix(key, "fee_type") && text != "CNY" {
			return nil, &pay.FieldError{Field: name, Reason: fmt.Sprintf("sets %q to %.10q: want CNY, since amounts are in fen", key, text)}
		}
		fields.add(key, text)
	}
	return fields, nil
}

// textOf returns a value as APIv2 wants it: a string as it is, anything else as JSON.
func textOf(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), err
}

// Params returns the arguments with which the payer's program starts a payment (调起支付): of trade pay.JSAPI those of
// wx.requestPayment, of pay.APP those of the app's SDK. Prepay returns them already. appID is empty for the default one.
func (m *Merchant) Params(trade pay.Trade, appID, prepayID string) (map[string]string, error) {
	s, err := m.wire.heldSigning()
	if err != nil {
		return nil, err
	}
	nonce, err := m.wire.nonce()
	if err != nil {
		return nil, err
	}
	return m.params(trade, firstOf(appID, m.sub.appID, m.appID), prepayID, strconv.FormatInt(time.Now().Unix(), 10), nonce, s)
}

func (m *Merchant) params(trade pay.Trade, appID, prepayID, timestamp, nonce string, s signing) (map[string]string, error) {
	var p map[string]string
	sign := "paySign"
	switch trade {
	case pay.JSAPI:
		p = map[string]string{"appId": appID, "timeStamp": timestamp, "nonceStr": nonce, "package": "prepay_id=" + prepayID, "signType": string(s.by)}
	case pay.APP:
		partner := m.wire.mchID
		if m.sub.mchID != "" && !m.ours(appID) { // the app is the shop's own
			partner = m.sub.mchID
		}
		p = map[string]string{"appid": appID, "partnerid": partner, "prepayid": prepayID, "package": "Sign=WXPay", "noncestr": nonce, "timestamp": timestamp}
		sign = "sign"
	default:
		return nil, &pay.FieldError{Field: "trade", Reason: fmt.Sprintf("is %q: want jsapi or app", string(trade))}
	}
	var signed message
	for name, value := range p {
		signed.add(name, value)
	}
	signed.sort()
	p[sign] = string(signed.appendSign(nil, s.by, s.keys[0]))
	return p, nil
}

// Query returns an order as WeChat knows it (查询订单).
func (m *Merchant) Query(ctx context.Context, outTradeNo string) (pay.Transaction, error) {
	if err := pay.CheckOutTradeNo(outTradeNo); err != nil {
		return pay.Transaction{}, err
	}
	r := m.orderRequest(orderQueryPath, outTradeNo)
	answer, err := m.do(ctx, r)
	if err != nil {
		return pay.Transaction{}, err
	}
	return m.readTransaction(r, answer, "", outTradeNo)
}

// orderRequest returns a call on one order.
func (m *Merchant) orderRequest(path, outTradeNo string) *request {
	fields := m.party(m.appID)
	fields.add("out_trade_no", outTradeNo)
	return newRequest(path, fields)
}

// readTransaction reads an answer on an order, which must be the one that was asked about.
func (m *Merchant) readTransaction(r *request, answer message, state pay.State, outTradeNo string) (pay.Transaction, error) {
	t, err := transactionIn(answer, state)
	if err == nil && t.OutTradeNo != outTradeNo {
		err = fmt.Errorf("the answer is on order %.40q", t.OutTradeNo)
	}
	if err == nil {
		err = m.checkAnswer(answer)
	}
	if err != nil {
		return pay.Transaction{}, &pay.Error{Op: r.op(), Cause: pay.ErrUnknown, Number: r.number(), Err: err}
	}
	return t, nil
}

// checkAnswer returns an error for an answer that names another merchant or shop.
func (m *Merchant) checkAnswer(answer message) error {
	if no := answer.get("mch_id"); no != "" && no != m.wire.mchID {
		return fmt.Errorf("the answer is on mch_id %.32q", no)
	}
	if no := answer.get("sub_mch_id"); m.sub.mchID != "" && no != "" && no != m.sub.mchID {
		return fmt.Errorf("the answer is on sub_mch_id %.32q", no)
	}
	return nil
}

// Close ends an order that is not paid (关闭订单).
func (m *Merchant) Close(ctx context.Context, outTradeNo string) error {
	if err := pay.CheckOutTradeNo(outTradeNo); err != nil {
		return err
	}
	_, err := m.do(ctx, m.orderRequest("/pay/closeorder", outTradeNo))
	return err
}
