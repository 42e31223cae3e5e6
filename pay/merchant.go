package pay

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Merchant is one merchant number (商户号) at WeChat Pay, or one shop (特约商户) of a service provider. It is safe for
// concurrent use.
//
// A call that WeChat Pay failed or refused returns an *[Error]. An invalid argument returns a *[FieldError], without a request.
// A write without a trusted reply returns [ErrUnknown].
type Merchant interface {
	// Name returns the name that is stored with each order: v3/1900000001, or v3/1900000001/1900000109 for a shop.
	Name() string

	// Prepay places an order (下单). An order with a payment code waits for the payer, and returns the transaction.
	Prepay(ctx context.Context, order Order) (Prepaid, error)
	// Query returns an order from WeChat (查询订单).
	Query(ctx context.Context, outTradeNo string) (Transaction, error)
	// Close closes an unpaid order (关闭订单). It returns ErrPaid if the order was paid first.
	Close(ctx context.Context, outTradeNo string) error
	// Reverse cancels an order of trade code, and returns the money if it was paid (撤销订单).
	Reverse(ctx context.Context, outTradeNo string) error

	// Refund requests a refund (申请退款) and returns it as accepted. The refund is done when its State is Success.
	Refund(ctx context.Context, refund Refund) (Refund, error)
	// QueryRefund returns a refund from WeChat (查询退款).
	QueryRefund(ctx context.Context, outRefundNo string) (Refund, error)

	// Bill writes the bill of a day in Beijing to w. The kinds ALL, SUCCESS and REFUND select the trade bill (交易账单); BASIC,
	// OPERATION and FEES select the fund flow bill (资金账单) of that account. Default ALL. The bill is ready at 10:00 Beijing time
	// on the next day. The caller must discard the written bytes after an error.
	Bill(ctx context.Context, kind string, day time.Time, w io.Writer) error

	// Parse verifies, decrypts and decodes a notification (通知). Its error has one of the causes ErrProbe to ErrOther. If several
	// Merchants share a URL, the caller may pass the same bytes to each until one accepts them.
	Parse(ctx context.Context, header http.Header, body []byte) (Notification, error)
	// Answer acknowledges a notification if err is nil. Otherwise it replies with the status of the cause of err, and WeChat
	// repeats the notification.
	Answer(w http.ResponseWriter, err error)
}

// Notification is a verified message from WeChat.
type Notification struct {
	ID        string    `json:"id"`         // of this message, not of the event; empty in v2
	Type      string    `json:"event_type"` // TRANSACTION.SUCCESS, REFUND.SUCCESS …
	CreatedAt time.Time `json:"created_at"` // zero if WeChat's time cannot be parsed

	Transaction *Transaction  `json:"transaction,omitempty"` // set for TRANSACTION.* of one order
	Parts       []Transaction `json:"parts,omitempty"`       // set for TRANSACTION.* of a combined order (合单)
	Refund      *Refund       `json:"refund,omitempty"`      // set for REFUND.*

	Raw json.RawMessage `json:"raw"` // the decrypted resource, for every type
}
