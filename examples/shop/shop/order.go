package shop

import (
	"context"
	"errors"
	"iter"
	"time"
)

// State is the state of an order, with the words of the old program's column trade_state.
type State string

// The states of an order.
const (
	NotPaid  State = "NOTPAY"
	Paid     State = "SUCCESS"
	Shipped  State = "SHIPPED"
	Refunded State = "REFUND"
	Closed   State = "CLOSED" // it was not paid in time
)

// Item is a product in an order, with the price at which it was ordered.
type Item struct {
	ProductID int64  `json:"product_id"`
	Name      string `json:"name"`
	Fen       int64  `json:"fen"`
	Count     int64  `json:"count"`
}

// Order is an order of a user. Its fields have the names of the columns of the old program.
type Order struct {
	ID         int64
	OutTradeNo string // lower-case letters and digits
	UserID     int64
	Items      []Item
	Body       string // what the payer sees
	TotalFee   int64  // fen
	TradeType  string // NATIVE
	State      State

	CodeURL     string // text of the QR code; empty until the order was placed at WeChat
	CodeExpires time.Time
	CreatedAt   time.Time
	ExpiresAt   time.Time // it cannot be paid later

	AppID, MchID, NonceStr, NotifyURL, SpbillCreateIP string // as sent to WeChat

	TransactionID, OpenID, BankType, FeeType, IsSubscribe string // as paid
	CashFee                                               int64
	PaidAt                                                time.Time

	TrackingNo, ExpressCompany string // as shipped
	ShippedAt                  time.Time
}

// OrderStore stores orders and payments.
type OrderStore interface {
	AddOrder(ctx context.Context, o Order) error
	// Order returns ErrNotFound if there is none, as LatestOrder does.
	Order(ctx context.Context, outTradeNo string) (Order, error)
	LatestOrder(ctx context.Context, userID int64) (Order, error)
	// Orders returns at most limit orders, the newest first, with ids below before; of all users if userID is 0.
	Orders(ctx context.Context, userID, before int64, limit int) ([]Order, error)
}

// PlaceOrder places an order for products, at the prices of the shop. A product that is named twice is ordered twice.
func (s *Shop) PlaceOrder(ctx context.Context, userID int64, ip string, productIDs ...int64) (Order, error) {
	return Order{}, errors.ErrUnsupported
}

// Pay returns the order with a QR code that can be paid for at least a few minutes. A code that is about to expire is renewed under the
// same number. An order that is not NotPaid is returned as it is.
func (s *Shop) Pay(ctx context.Context, outTradeNo string) (Order, error) {
	return Order{}, errors.ErrUnsupported
}

// Order returns an order of a user; an admin may read every order. Others get ErrNotFound.
func (s *Shop) Order(ctx context.Context, u User, outTradeNo string) (Order, error) {
	o, err := s.Store.Order(ctx, outTradeNo)
	if err == nil && o.UserID != u.ID && !u.Admin {
		return Order{}, ErrNotFound
	}
	return o, err
}

// Query asks WeChat about an unpaid order, and returns the order as it is afterwards.
func (s *Shop) Query(ctx context.Context, outTradeNo string) (Order, error) {
	return s.Store.Order(ctx, outTradeNo)
}

// Orders returns a page of at most 20 orders of a user, the newest first, and the cursor of the next page, or 0 at the end. The first
// page has the cursor 0. The userID 0 is that of all users, for admins.
func (s *Shop) Orders(ctx context.Context, userID, cursor int64) (orders []Order, next int64, err error) {
	return nil, 0, errors.ErrUnsupported
}

// Refund returns the money of a paid order. The state becomes Refunded when WeChat has done it.
func (s *Shop) Refund(ctx context.Context, outTradeNo, reason string) (Order, error) {
	return Order{}, errors.ErrUnsupported
}

// Ship marks a paid order as shipped. The arguments may be empty for goods without a parcel.
func (s *Shop) Ship(ctx context.Context, outTradeNo, expressCompany, trackingNo string) (Order, error) {
	return Order{}, errors.ErrUnsupported
}

// Changes yields the order now, and again each time when its state or its QR code has changed, until the order cannot be paid any more
// or ctx ends. Several processes may share the database: it sees what any of them does.
func (s *Shop) Changes(ctx context.Context, outTradeNo string) iter.Seq2[Order, error] {
	return func(yield func(Order, error) bool) { yield(s.Store.Order(ctx, outTradeNo)) }
}
