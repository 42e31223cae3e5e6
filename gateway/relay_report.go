package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/wetoken/wetoken/pay"
)

// report is the body of a report, with its headers.
type report struct {
	body    []byte
	headers map[string]string
}

// newReport returns a report: WeChat's object raw, or else otherwise. One of APIv3 gets event_type, app and known. One of APIv2 stays
// WeChat's flat strings, and headers have the three.
func (a *app) newReport(event string, known bool, raw json.RawMessage, otherwise map[string]any) (report, error) {
	object := make(map[string]any)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&object) != nil || len(object) == 0 {
		object = otherwise
	}
	if _, isV2 := object["total_fee"]; isV2 { // which no object of APIv3 has
		body, err := json.Marshal(asNotified(object))
		return report{body, map[string]string{"Wetoken-App": url.PathEscape(a.name), "Wetoken-Event": event, "Wetoken-Known": strconv.FormatBool(known)}}, err
	}
	if status, ok := object["status"]; ok && object["refund_status"] == nil && object["out_refund_no"] != nil { // raw is the reply to a query
		object["refund_status"] = status
	}
	object["event_type"], object["app"], object["known"] = event, a.name, known
	body, err := json.Marshal(object)
	return report{body: body}, err
}

// asNotified returns the reply to a query of APIv2 with the fields of a notification. It has no signature, which is no longer true of
// the rest. A payment that was refunded before it was found keeps its trade_state.
func asNotified(object map[string]any) map[string]any {
	if state := object["trade_state"]; state != nil {
		for _, name := range []string{"sign", "nonce_str", "trade_state_desc"} {
			delete(object, name)
		}
		if state == string(pay.Success) {
			delete(object, "trade_state")
		}
	}
	return object
}

// notifiedRefund are the fields of a refund in its notification, by those in the reply to a query, which have a number.
var notifiedRefund = map[string]string{
	"refund_id": "refund_id", "out_refund_no": "out_refund_no", "refund_fee": "refund_fee", "settlement_refund_fee": "settlement_refund_fee", "refund_status": "refund_status",
	"refund_success_time": "success_time", "refund_recv_accout": "refund_recv_accout", "refund_account": "refund_account",
}

// refundAsNotified returns the reply to a query of APIv2 with the fields of the notification of a refund, or else raw.
func refundAsNotified(raw json.RawMessage, outRefundNo string) json.RawMessage {
	var reply map[string]string
	if json.Unmarshal(raw, &reply) != nil || reply["refund_count"] == "" {
		return raw
	}
	refund := make(map[string]string)
	for _, name := range []string{"transaction_id", "out_trade_no", "total_fee", "settlement_total_fee"} {
		if value, ok := reply[name]; ok {
			refund[name] = value
		}
	}
	for i := range maxRefundsInReply {
		suffix := "_" + strconv.Itoa(i)
		if reply["out_refund_no"+suffix] != outRefundNo {
			continue
		}
		for from, to := range notifiedRefund {
			if value, ok := reply[from+suffix]; ok {
				refund[to] = value
			}
		}
		if changed, err := json.Marshal(refund); err == nil {
			return changed
		}
	}
	return raw
}

const maxRefundsInReply = 64 // an order has at most 50

// relayPayment reports a payment. A payment after the order had ended has its own event, so that a backend that ignores unknown
// events delivers nothing.
func (a *app) relayPayment(ctx context.Context, t pay.Transaction) error {
	event := "TRANSACTION.SUCCESS"
	if t.Late != "" {
		event = "TRANSACTION.LATE"
	}
	raw := t.Raw
	if strings.HasPrefix(t.NotifyTo, flatPrefix) {
		raw = flatPayment(t)
	}
	body, err := a.newReport(event, t.Known, raw, map[string]any{
		"out_trade_no": t.OutTradeNo, "transaction_id": t.TransactionID, "appid": t.AppID, "mchid": t.MchID, "trade_state": t.State,
		"attach": t.Attach, "success_time": t.PaidAt, "payer": map[string]any{"openid": t.OpenID},
		"amount": map[string]any{"total": t.Fen, "payer_total": t.PayerFen, "currency": "CNY"},
	})
	if err != nil {
		return err
	}
	return a.relay(ctx, "TRANSACTION/"+t.TransactionID, t.NotifyTo, body)
}

func (a *app) relayRefund(ctx context.Context, f pay.Refund) error {
	body, err := a.newReport("REFUND."+string(f.State), true, refundAsNotified(f.Raw, f.OutRefundNo), map[string]any{
		"out_trade_no": f.OutTradeNo, "transaction_id": f.TransactionID, "out_refund_no": f.OutRefundNo, "refund_id": f.RefundID,
		"refund_status": f.State, "success_time": f.RefundedAt, "amount": map[string]any{"refund": f.Fen, "total": f.TotalFen},
	})
	if err != nil {
		return err
	}
	return a.relay(ctx, "REFUND/"+f.OutRefundNo+"/"+string(f.State), f.NotifyTo, body)
}

func (a *app) relayTransfer(ctx context.Context, t pay.Transfer) error {
	body, err := a.newReport("MCHTRANSFER.BILL.FINISHED", true, t.Raw, map[string]any{
		"out_bill_no": t.OutBillNo, "transfer_bill_no": t.TransferBillNo, "state": t.State, "transfer_amount": t.Fen, "openid": t.OpenID, "fail_reason": t.FailReason,
	})
	if err != nil {
		return err
	}
	return a.relay(ctx, "TRANSFER/"+t.OutBillNo+"/"+string(t.State), "", body)
}

func (a *app) relayOther(ctx context.Context, n pay.Notification) error {
	body, err := a.newReport(n.Type, false, n.Raw, map[string]any{})
	if err != nil {
		return err
	}
	id := n.ID
	if id == "" { // APIv2 has none; a repeated notification is the same
		sum := sha256.Sum256(n.Raw)
		id = hex.EncodeToString(sum[:16])
	}
	return a.relay(ctx, "OTHER/"+id, "", body)
}
