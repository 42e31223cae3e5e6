// Package order sells products for WeChat Pay: orders of the mini program and the official account, their payments, the report of
// their shipping to WeChat, and bills.
package order

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechat"
)

// Product is what is sold. Its price never comes from a client.
type Product struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Fen    int64  `json:"fen"`
	Points int64  `json:"points"` // that the buyer earns
}

// Order is an order of one product.
type Order struct {
	OutTradeNo string `json:"out_trade_no"`
	AccountID  string `json:"-"`
	AppID      string `json:"-"`
	OpenID     string `json:"-"` // of the payer
	ProductID  string `json:"product_id"`
	Name       string `json:"name"` // of the product
	Fen        int64  `json:"fen"`
	Points     int64  `json:"points"`
	State      State  `json:"state"`

	TransactionID string    `json:"transaction_id,omitempty"`
	CreatedAt     time.Time `json:"created_at"`
	ExpiresAt     time.Time `json:"expires_at"`
	PaidAt        time.Time `json:"paid_at,omitzero"`
}

// State is the state of an order.
type State string

const (
	Open   State = "open"
	Paid   State = "paid"
	Closed State = "closed" // cancelled
)

// Payment is money that WeChat received. Each is recorded once, by its transaction id.
type Payment struct {
	TransactionID string
	OutTradeNo    string
	Fen           int64
	PaidAt        time.Time

	// Odd is why the payment is not that of an open order: it was paid late, or the order is unknown. A person has to look at it.
	Odd string
}

// Hook is the business that a payment causes, such as a membership. It runs once for each paid order, in the transaction that
// records the payment: it must have no effect outside of tx. After an error it runs again later.
type Hook func(ctx context.Context, tx *sql.Tx, o Order) error

// The refusals that the person can act on.
var (
	ErrNotFound = errors.New("order: not found")
	ErrProduct  = errors.New("order: unknown product")
	ErrTooMany  = errors.New("order: too many open orders: pay or cancel one first")
	ErrPaid     = errors.New("order: the order is paid")
	ErrUnpaid   = errors.New("order: the order is not paid")
	ErrShipping = errors.New("order: invalid shipping")
)

// Service has the rules of orders. It is safe for concurrent use, and several processes may use one database.
type Service struct {
	Store    Store
	Cashier  pay.Merchant // places and closes orders
	Products []Product

	// Hook is called for each paid order. Without it no payment is acknowledged.
	Hook Hook

	API       *wechat.Client // the mini program's, for reports of shipping and messages
	MchID     string
	MiniAppID string
	Message   Message      // sent to payers; default none
	Log       *slog.Logger // default slog.Default()
}

// Store is the database.
type Store interface {
	AddOrder(ctx context.Context, o Order) error
	// Order returns an order, or ErrNotFound.
	Order(ctx context.Context, outTradeNo string) (Order, error)
	// OpenOrders returns the number of orders of an account that may still be paid.
	OpenOrders(ctx context.Context, accountID string, now time.Time) (int, error)
	// CloseOrder closes an open order.
	CloseOrder(ctx context.Context, outTradeNo string) error

	// Settle records a payment and calls then in the same transaction, with the order or an empty one. fresh is false if
	// the payment was recorded before; then is not called. then returns the payment to record.
	Settle(ctx context.Context, p Payment, then func(tx *sql.Tx, o Order) (Payment, error)) (fresh bool, err error)

	ShipmentStore
}

func (s *Service) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.Default()
}

func now() time.Time { return time.Now().Truncate(time.Millisecond) }
