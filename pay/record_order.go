package pay

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// orderState is the progress of an order.
type orderState string

const (
	orderSent     orderState = "sent"     // about to be placed, or placed without a reply
	orderPlaced   orderState = "placed"   // WeChat has it
	orderPaid     orderState = "paid"     // OnPaid was called or must be called
	orderClosed   orderState = "closed"   // not paid; a payment after that is late
	orderReversed orderState = "reversed" // a payment was returned
	orderRefused  orderState = "refused"  // paid, but the payment does not match: a person must decide
	orderSeen     orderState = "seen"     // placed elsewhere; stored for a refund
)

// orderRecord is a stored order.
type orderRecord struct {
	recordHead
	App         string       `json:"app,omitempty"`
	Merchant    string       `json:"merchant"`
	ID          string       `json:"id"` // random, for URLs
	State       orderState   `json:"state"`
	Known       bool         `json:"known"`
	Order       Order        `json:"order"`           // as sent; only its number and amount if Known is false
	AppID       string       `json:"appid,omitempty"` // Cashier.AppID, which the order names if Order.AppID is empty
	Placed      time.Time    `json:"placed"`
	Prepaid     *Prepaid     `json:"prepaid,omitempty"`
	PrepaidAt   time.Time    `json:"prepaid_at,omitzero"`
	Ended       time.Time    `json:"ended,omitzero"`    // when it was closed or reversed
	Missing     bool         `json:"missing,omitempty"` // when it was closed or reversed, WeChat did not have it
	Transaction *Transaction `json:"transaction,omitempty"`
	PaidSeen    time.Time    `json:"paid_seen,omitzero"`   // when we learned of the payment
	HandedOver  time.Time    `json:"handed_over,omitzero"` // when OnPaid had returned nil
	Listed      bool         `json:"listed,omitempty"`     // as refused, because OnPaid is not set

	Refunds    []ledgerEntry `json:"refunds,omitempty"`
	NextRefund time.Time     `json:"next_refund,omitzero"` // when another refund may be sent
}

func (r *orderRecord) check() error {
	if r.Merchant == "" || CheckOutTradeNo(r.Order.OutTradeNo) != nil {
		return errors.New("invalid record of an order")
	}
	if r.hasPayment() && r.Transaction == nil {
		return errors.New("invalid record of a paid order: want a transaction")
	}
	return nil
}

func (r *orderRecord) ttl(now time.Time) time.Duration {
	switch r.State {
	case orderSent, orderPlaced:
		return max(r.expiry().Sub(now), 0) + closedTTL
	case orderClosed, orderReversed:
		return closedTTL
	}
	return paidTTL
}

// isOpen reports whether the order was not paid, closed or reversed.
func (r *orderRecord) isOpen() bool { return r.State == orderSent || r.State == orderPlaced }

// mayArrive reports whether an order of trade code was reversed or closed, but WeChat may still get the call that places it. WeChat
// sends no notification if it is paid then.
func (r *orderRecord) mayArrive() bool {
	return r.Missing && r.Order.Trade == Code && (r.State == orderReversed || r.State == orderClosed)
}

// hasPayment reports whether money was received.
func (r *orderRecord) hasPayment() bool {
	return r.State == orderPaid || r.State == orderRefused || r.State == orderSeen
}

// isDone reports whether OnPaid has returned nil.
func (r *orderRecord) isDone() bool { return r.State == orderPaid && !r.HandedOver.IsZero() }

// expiry returns the time from which WeChat accepts no payment.
func (r *orderRecord) expiry() time.Time {
	switch {
	case !r.Order.ExpiresAt.IsZero():
		return r.Order.ExpiresAt
	case r.Order.Trade == Code:
		return r.Placed.Add(codeExpiry)
	}
	return r.Placed.Add(defaultExpiry)
}

// isOfAnotherApp reports whether a transaction names another appid than the order and its app. A query of APIv2 names that of the app,
// whatever the order has. One of a provider's shop names the provider's appid, and need not have that of the shop.
func (r *orderRecord) isOfAnotherApp(t Transaction) bool {
	isShop := strings.Contains(merchantKey(r.Merchant), "/") || t.SubMchID != ""
	if !r.Known || t.AppID == "" || isShop && t.SubAppID == "" || r.Order.AppID == "" && r.AppID == "" {
		return false
	}
	for _, own := range []string{r.Order.AppID, r.AppID} {
		if own != "" && (t.AppID == own || t.SubAppID == own) {
			return false
		}
	}
	return true
}

// lateness returns the value of Transaction.Late for a transaction.
func (r *orderRecord) lateness(t Transaction) string {
	switch {
	case r.Transaction != nil && r.Transaction.TransactionID == t.TransactionID:
		return r.Transaction.Late
	case r.State == orderClosed || r.State == orderReversed:
		return lateClosed
	case !r.Order.ExpiresAt.IsZero() && t.PaidAt.After(r.Order.ExpiresAt):
		return lateExpired
	}
	return ""
}

const (
	lateClosed  = "closed"
	lateExpired = "expired"
)

// setPaid sets the state and the transaction of a paid order.
func (r *orderRecord) setPaid(t Transaction, now time.Time) {
	t.Late, t.Known = r.lateness(t), r.Known
	r.State, r.Transaction, r.PaidSeen = orderPaid, boundRaw(t), now
}

// boundRaw returns a copy of t, without Raw if that is too long or invalid for a record.
func boundRaw(t Transaction) *Transaction {
	if len(t.Raw) > maxRaw || !json.Valid(t.Raw) {
		t.Raw = nil
	}
	return &t
}

// difference returns the first field in which an order differs from the stored one, or "".
func (r *orderRecord) difference(o Order) string {
	was := r.Order
	switch {
	case !r.Known:
		return ""
	case was.Trade != o.Trade:
		return "Order.Trade"
	case was.Fen != o.Fen:
		return "Order.Fen"
	case was.Description != o.Description:
		return "Order.Description"
	case was.OpenID != o.OpenID:
		return "Order.OpenID"
	case was.AuthCode != o.AuthCode:
		return "Order.AuthCode"
	case was.ClientIP != o.ClientIP:
		return "Order.ClientIP"
	case was.AppID != o.AppID:
		return "Order.AppID"
	case was.Attach != o.Attach:
		return "Order.Attach"
	case !was.ExpiresAt.Equal(o.ExpiresAt):
		return "Order.ExpiresAt"
	case o.NotifyURL != "" && was.NotifyURL != o.NotifyURL:
		return "Order.NotifyURL"
	case was.NotifyTo != o.NotifyTo:
		return "Order.NotifyTo"
	case !equalExtra(was.Extra, o.Extra):
		return "Order.Extra"
	}
	return ""
}

func equalExtra(a, b map[string]any) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	x, errX := sortedJSON(a)
	y, errY := sortedJSON(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// sortedJSON returns the JSON of extra fields with the keys of all objects sorted, as those of a record are. The keys of a struct are
// not.
func sortedJSON(extra map[string]any) ([]byte, error) {
	raw, err := json.Marshal(extra)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var plain map[string]any
	if err := d.Decode(&plain); err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}
