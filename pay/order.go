package pay

import (
	"encoding/json"
	"time"
)

// Trade is the way an order is paid.
type Trade string

const (
	JSAPI  Trade = "jsapi"  // in a page in WeChat or in a mini program
	Native Trade = "native" // by scanning a QR code
	APP    Trade = "app"    // in the merchant's own app
	H5     Trade = "h5"     // in another browser on a phone
	Code   Trade = "code"   // by showing a payment code (付款码) to the merchant
)

// State is the state of an order, refund or transfer, with the names of APIv3 for both API versions. WeChat may send other states.
type State string

const (
	Success    State = "SUCCESS"    // paid, or refunded
	Refunded   State = "REFUND"     // paid, and refunded in part or in whole
	NotPaid    State = "NOTPAY"     // order is not paid
	Closed     State = "CLOSED"     // order or refund is closed
	Reversed   State = "REVOKED"    // order of trade code was reversed
	UserPaying State = "USERPAYING" // payer of an order of trade code is entering the password
	PayError   State = "PAYERROR"   // payment of an order of trade code failed
	Processing State = "PROCESSING" // refund is in progress
	Abnormal   State = "ABNORMAL"   // payer's bank refused the refund, which needs another account
)

// Order is an order to be placed with [Merchant.Prepay].
type Order struct {
	Trade       Trade  `json:"trade"`
	OutTradeNo  string `json:"out_trade_no"` // the merchant's own number: 6 to 32 letters, digits and _-|*@
	Fen         int64  `json:"fen"`          // at least 1, of at most 15 digits
	Description string `json:"description"`

	OpenID   string `json:"openid,omitempty"`    // of the payer; JSAPI needs it
	AuthCode string `json:"auth_code,omitempty"` // scanned payment code; Code needs it
	ClientIP string `json:"client_ip,omitempty"` // of the payer; H5 needs it

	AppID     string    `json:"app_id,omitempty"`     // default the Merchant's own
	Attach    string    `json:"attach,omitempty"`     // returned with the transaction
	ExpiresAt time.Time `json:"expires_at,omitzero"`  // default WeChat's, 7 days
	NotifyURL string    `json:"notify_url,omitempty"` // default the Merchant's own

	// NotifyTo is the URL to report the payment to. A [Cashier] stores it and passes it to its hooks.
	NotifyTo string `json:"notify_to,omitempty"`

	// Extra has other fields by WeChat's names, such as scene_info or settle_info. An object is merged with the object that the
	// fields above produce; a value that they already set is refused.
	Extra map[string]any `json:"extra,omitempty"`
}

// Prepaid is an order that WeChat accepted, with the data that the payer needs.
type Prepaid struct {
	OutTradeNo  string            `json:"out_trade_no"`
	PrepayID    string            `json:"prepay_id,omitempty"`   // for JSAPI and APP; valid for 2 hours
	CodeURL     string            `json:"code_url,omitempty"`    // for Native, shown as a QR code; valid for 2 hours
	H5URL       string            `json:"h5_url,omitempty"`      // for H5; valid for 5 minutes
	Params      map[string]string `json:"params,omitempty"`      // for JSAPI and APP: arguments of wx.requestPayment or of the app's SDK
	Transaction *Transaction      `json:"transaction,omitempty"` // for Code

	// Raw is WeChat's whole reply, as a JSON object of strings, in APIv2. It is not stored.
	Raw json.RawMessage `json:"-"`

	// The public URLs of the order, from a [Cashier] with a URL. Everyone with a URL can pay.
	QRURL   string `json:"qr_url,omitempty"`   // for Native: an image of CodeURL
	JSURL   string `json:"js_url,omitempty"`   // for JSAPI and APP: Params, newly signed at each request
	PageURL string `json:"page_url,omitempty"` // for H5: a page that opens H5URL
}

// Transaction is an order in the state that WeChat returns.
type Transaction struct {
	OutTradeNo    string    `json:"out_trade_no"`
	TransactionID string    `json:"transaction_id,omitempty"` // WeChat's own number; empty until it is paid
	AppID         string    `json:"app_id"`                   // of the provider, if the order has one
	MchID         string    `json:"mch_id"`                   // likewise
	SubAppID      string    `json:"sub_app_id,omitempty"`
	SubMchID      string    `json:"sub_mch_id,omitempty"`
	Trade         Trade     `json:"trade,omitempty"`
	State         State     `json:"state"`
	Fen           int64     `json:"fen"`       // of the order
	PayerFen      int64     `json:"payer_fen"` // paid by the payer, after coupons
	OpenID        string    `json:"openid,omitempty"`
	Attach        string    `json:"attach,omitempty"`
	PaidAt        time.Time `json:"paid_at,omitzero"`

	Late  string `json:"late,omitempty"` // "closed" or "expired" if the order had ended before it was paid; set by a Cashier
	Known bool   `json:"known"`          // a Cashier placed the order

	// Refused is why a Cashier did not take the payment for that of the order, such as another amount: see [Refused].
	Refused string `json:"refused,omitempty"`

	Currency string `json:"currency,omitempty"` // of Fen, such as HKD; empty for CNY

	NotifyTo string `json:"-"` // Order.NotifyTo, for OnPaid of a Cashier

	Raw json.RawMessage `json:"raw,omitempty"` // WeChat's whole reply, as JSON
}

// Paid reports whether money was received, even if it was refunded later.
func (t Transaction) Paid() bool { return t.State == Success || t.State == Refunded }

// Refund is an argument and a result of [Merchant.Refund].
type Refund struct {
	OutTradeNo    string `json:"out_trade_no,omitempty"` // this or TransactionID must be set
	TransactionID string `json:"transaction_id,omitempty"`
	OutRefundNo   string `json:"out_refund_no"` // the merchant's own number: 1 to 64 letters, digits and _-|*@
	Fen           int64  `json:"fen"`
	TotalFen      int64  `json:"total_fen"` // of the order
	Reason        string `json:"reason,omitempty"`

	NotifyURL string         `json:"notify_url,omitempty"` // default the Merchant's own
	Extra     map[string]any `json:"extra,omitempty"`      // other fields, as in Order

	// Repeat makes a [Cashier] send the refund although another of the same order and amount has an unknown outcome.
	Repeat bool `json:"repeat,omitempty"`

	NotifyTo string `json:"-"` // Order.NotifyTo of its order, for OnRefund of a Cashier

	// The fields below are results.
	MchID      string          `json:"mch_id,omitempty"` // set in notifications
	SubMchID   string          `json:"sub_mch_id,omitempty"`
	RefundID   string          `json:"refund_id,omitempty"` // WeChat's own number
	State      State           `json:"state,omitempty"`
	RefundedAt time.Time       `json:"refunded_at,omitzero"`
	Account    string          `json:"account,omitempty"` // description of the receiving account, for people
	Raw        json.RawMessage `json:"raw,omitempty"`     // WeChat's whole reply, as JSON
}
