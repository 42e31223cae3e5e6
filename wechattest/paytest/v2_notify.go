package paytest

import (
	"maps"
	"net/http"
	"strconv"
	"time"
)

// notified returns the account that is notified of an order: the payee, or its provider.
func (o *order) notified() *account {
	if o.provider != nil {
		return o.provider
	}
	return o.payee
}

// v2Parties returns the fields that name the merchants and appids of an order.
func (o *order) v2Parties() values {
	v := values{"appid": o.appID, "mch_id": o.notified().id}
	if o.provider != nil {
		v["sub_mch_id"] = o.payee.id
		if o.subAppID != "" {
			v["sub_appid"] = o.subAppID
		}
	}
	return v
}

// v2NotifyPaid notifies the merchant of a payment in the form of v2.
func (s *Server) v2NotifyPaid(o *order, now time.Time) {
	v := values{"return_code": "SUCCESS", "result_code": "SUCCESS", "nonce_str": randomText(32)}
	maps.Copy(v, o.v2Parties())
	maps.Copy(v, o.v2Paid())
	if o.signType == signHMAC {
		v["sign_type"] = signHMAC
	}
	kind, key := o.signType, o.notified().apiKey
	s.v2Send(o.notified(), o.notifyURL, "TRANSACTION.SUCCESS", now, func(how Signing) []byte { return v.signed(kind, key, how) })
}

// v2NotifyRefund notifies the merchant of the end of a refund in the form of v2. It has no signature: req_info is encrypted.
func (s *Server) v2NotifyRefund(r *refund, now time.Time) {
	o := r.order
	inner := values{
		"transaction_id": o.transactionID, "out_trade_no": o.outTradeNo, "refund_id": r.refundID, "out_refund_no": r.outRefundNo,
		"total_fee": strconv.FormatInt(r.total, 10), "refund_fee": strconv.FormatInt(r.fen, 10),
		"settlement_total_fee": strconv.FormatInt(r.total, 10), "settlement_refund_fee": strconv.FormatInt(r.fen, 10),
		"refund_status": v2RefundStates[r.state], "refund_recv_accout": receivedBy, "refund_account": v2Accounts[r.account],
		"refund_request_source": "API",
	}
	if r.console {
		inner["refund_request_source"] = "VENDOR_PLATFORM"
	}
	if r.state == success {
		inner["success_time"] = now.In(beijing).Format(billTime)
	}
	plain := toXML("root", inner)
	v := values{"return_code": "SUCCESS", "nonce_str": randomText(32)}
	maps.Copy(v, o.v2Parties())
	key := o.notified().apiKey
	v["req_info"] = sealRefund(key, plain)
	s.v2Send(o.notified(), r.notifyURL, "REFUND."+r.state, now, func(how Signing) []byte {
		sent := v
		if how == Forged || how == Probe || how == Unknown {
			sent = maps.Clone(v)
			sent["req_info"] = sealRefund(randomText(32), plain)
		}
		return spoil(toXML("xml", sent), how)
	})
}

// v2Send sends a notification of v2, whose bytes are the same in all attempts that no fault changes.
func (s *Server) v2Send(to *account, url, event string, now time.Time, write func(how Signing) []byte) {
	whole := write("")
	s.sendMessage(&message{
		Notification: Notification{MchID: to.id, URL: url, Event: event, CreateTime: wireTime(now)}, id: newUUID(),
		form: func(header http.Header, how Signing, _ time.Time) []byte {
			header.Set("Content-Type", "text/xml")
			if how == "" {
				return whole
			}
			return write(how)
		},
		taken: v2Taken,
	})
}

// v2Taken reports whether an answer acknowledges a notification of v2: its XML has return_code SUCCESS.
func v2Taken(status int, body []byte) bool {
	v, err := readXML("xml", body)
	return status == http.StatusOK && err == nil && v["return_code"] == "SUCCESS"
}
