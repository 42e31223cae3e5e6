package payv3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/pay"
)

const maxNotification = 256 << 10

// envelope is a notification as it comes.
type envelope struct {
	ID         string   `json:"id"`
	CreateTime moment   `json:"create_time"`
	EventType  word     `json:"event_type"`
	Resource   resource `json:"resource"`
}

// Parse verifies a notification, decrypts it, and decodes two kinds: TRANSACTION.* and REFUND.*. For all
// others only Notification.Raw is set. Pass the bytes of the body as they came: the signature does not
// fit a body that a framework has decoded and encoded again.
//
// Its error has a cause from pay.ErrProbe on. Certificates are downloaded for an unknown serial once a minute and 20 times
// an hour at most. See https://pay.weixin.qq.com/doc/v3/merchant/4013059030 (签名探测).
func (m *Merchant) Parse(ctx context.Context, header http.Header, body []byte) (pay.Notification, error) {
	n, refusal := m.parse(ctx, header, body)
	if refusal != nil {
		refusal.Op = "parse notification"
		return pay.Notification{}, refusal
	}
	return n, nil
}

func (m *Merchant) parse(ctx context.Context, header http.Header, body []byte) (n pay.Notification, refusal *pay.Error) {
	if len(body) > maxNotification {
		return n, refuse(pay.ErrTooLarge, "it has %d bytes", len(body))
	}
	if m.invalid != nil {
		return n, refuse(pay.ErrMerchant, "%s %s", m.invalid.Field, m.invalid.Reason)
	}
	s, refusal := readStamp(header)
	if refusal != nil {
		if isXML(body) {
			refusal = refuse(pay.ErrOther, "it is XML, as APIv2 sends")
		}
		return n, refusal
	}
	var e envelope
	wellFormed := func() bool { return json.Unmarshal(body, &e) == nil && len(e.Resource.Ciphertext) > 0 }
	if refusal := m.wire.verify(ctx, s, body, &m.wire.certificates.others, wellFormed); refusal != nil {
		return n, refusal
	}
	e = envelope{}
	if err := decode(body, &e); err != nil {
		return n, unreadable(err)
	}
	plain, err := m.wire.unseal(e.Resource)
	if err != nil {
		return n, unreadable(err)
	}
	n = pay.Notification{ID: e.ID, Type: string(e.EventType), CreatedAt: e.CreateTime.Time, Raw: wirejson.Clean(plain)}
	return n, m.read(&n)
}

func unreadable(err error) *pay.Error {
	e := refuse(pay.ErrUnreadable, "")
	e.Err = err
	return e
}

func isXML(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, "\ufeff \t\r\n"), []byte("<"))
}

// read decodes the kinds that are known, and checks that they are for this merchant.
func (m *Merchant) read(n *pay.Notification) *pay.Error {
	switch {
	case strings.HasPrefix(n.Type, "TRANSACTION."):
		return m.readPayment(n)
	case strings.HasPrefix(n.Type, "REFUND."):
		var f refund
		if err := decode(n.Raw, &f); err != nil {
			return unreadable(err)
		}
		if refusal := m.checkMerchant(firstOf(f.MchID, f.SpMchID), f.SubMchID); refusal != nil {
			return refusal
		}
		if err := f.check(); err != nil {
			return unreadable(err)
		}
		plain := f.plain(n.Raw)
		n.Refund = &plain
	case !json.Valid(n.Raw):
		return unreadable(errors.New("what was encrypted is not JSON"))
	}
	return nil
}

// readPayment decodes a transaction, or a combined order, which has the same event type.
func (m *Merchant) readPayment(n *pay.Notification) *pay.Error {
	var t transaction
	if err := decode(n.Raw, &t); err != nil {
		return unreadable(err)
	}
	switch {
	case t.OutTradeNo != "":
		if refusal := m.checkMerchant(firstOf(t.MchID, t.SpMchID), t.SubMchID); refusal != nil {
			return refusal
		}
		if refusal := m.checkApp(firstOf(t.AppID, t.SpAppID)); refusal != nil {
			return refusal
		}
		if err := t.check(); err != nil {
			return unreadable(err)
		}
		plain := t.plain(n.Raw)
		n.Transaction = &plain
	case t.CombineOutTradeNo != "":
		if refusal := m.checkMerchant(t.CombineMchID, m.sub.mchID); refusal != nil {
			return refusal
		}
		if refusal := m.checkApp(t.CombineAppID); refusal != nil {
			return refusal
		}
		parts, err := t.parts()
		if err != nil {
			return unreadable(err)
		}
		if m.sub.mchID != "" && !slices.ContainsFunc(parts, func(p pay.Transaction) bool { return p.SubMchID == m.sub.mchID }) {
			return refuse(pay.ErrMerchant, "none of its parts is for sub_mchid %s", m.sub.mchID)
		}
		n.Parts = parts
	default:
		return checkOther(n.Raw)
	}
	return nil
}

// checkOther refuses a payment whose number is not a text. One without a number is of another product: its caller reads Raw.
func checkOther(raw []byte) *pay.Error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return unreadable(errors.New("what was encrypted is not an object"))
	}
	for _, name := range []string{"out_trade_no", "combine_out_trade_no"} {
		if fields[name] != nil {
			return unreadable(fmt.Errorf("its %s is not a text", name))
		}
	}
	return nil
}

// checkMerchant refuses a message for another merchant or shop. A provider takes messages for all of its shops.
func (m *Merchant) checkMerchant(mchID, subMchID string) *pay.Error {
	if mchID != m.wire.mchID {
		return refuse(pay.ErrMerchant, "it is for mchid %.32q", mchID)
	}
	if m.sub.mchID != "" && subMchID != m.sub.mchID {
		return refuse(pay.ErrMerchant, "it is for sub_mchid %.32q", subMchID)
	}
	return nil
}

func (m *Merchant) checkApp(appID string) *pay.Error {
	if !m.ours(appID) {
		return refuse(pay.ErrMerchant, "it is for appid %.32q, which is neither Config.AppID nor one of Config.AppIDs", appID)
	}
	return nil
}

// Answer acknowledges a notification with status 204, or, where err is not nil, refuses it with the status of its cause, so
// that WeChat sends it again. An error without a cause is answered 503.
func (m *Merchant) Answer(w http.ResponseWriter, err error) {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	status, message := http.StatusServiceUnavailable, "failed"
	if cause := pay.Cause(""); errors.As(err, &cause) {
		status, message = cause.Status(), strings.TrimPrefix(cause.Error(), "pay: ")
	}
	body, _ := encode(map[string]string{"code": "FAIL", "message": message})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // WeChat reads the status alone
}
