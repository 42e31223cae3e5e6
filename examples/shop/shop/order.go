package shop

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is the state of an order, in the words of the old program's column trade_state.
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

	CodeURL     string // text of the QR code; empty until WeChat has the order
	CodeExpires time.Time
	CreatedAt   time.Time
	ExpiresAt   time.Time // it cannot be paid later

	AppID, MchID, NonceStr, NotifyURL, SpbillCreateIP string

	TransactionID, OpenID, BankType, FeeType, IsSubscribe string // as paid
	CashFee                                               int64
	PaidAt                                                time.Time

	ExpressCompany, TrackingNo string // as shipped
	ShippedAt                  time.Time
	UploadError                string // why WeChat does not have the shipping information yet
}

// OrderStore stores orders.
type OrderStore interface {
	// AddOrder returns ErrExists if the number is in use.
	AddOrder(ctx context.Context, o Order) error
	// Order returns ErrNotFound if there is none, as LatestOrder does.
	Order(ctx context.Context, outTradeNo string) (Order, error)
	LatestOrder(ctx context.Context, userID int64) (Order, error)
	// Orders returns at most limit orders, the newest first, with ids below before unless that is 0; of all users if userID is 0.
	Orders(ctx context.Context, userID, before int64, limit int) ([]Order, error)
	// SetCode stores the QR code of an order.
	SetCode(ctx context.Context, outTradeNo, codeURL string, expires time.Time) error
	// CloseOrder sets the state of an order that is NotPaid to Closed.
	CloseOrder(ctx context.Context, outTradeNo string) error
	// ExpiredOrders returns the numbers of at most limit orders that are NotPaid and expired before a time.
	ExpiredOrders(ctx context.Context, before time.Time, limit int) ([]string, error)
}

const (
	orderLife     = 24 * time.Hour
	maxItems      = 100
	maxBody       = 120 // characters; payments take 127, shipping information 120
	pageOfOrders  = 20
	maxTotalPrice = 1_000_000_00 // fen; no sum of prices overflows
)

// Cart is what a customer orders.
type Cart struct {
	// ProductIDs are the products. One that is named twice is ordered twice.
	ProductIDs []int64

	// Body is the name of the product if ProductIDs is empty, as old clients send it.
	Body string

	// TotalFee is the amount that the customer was shown, in fen. Another price is refused with ErrPrice. It may be 0 if ProductIDs is set.
	TotalFee int64
}

// PlaceOrder places an order for products, at the prices of the shop. One that is named twice is ordered twice.
func (s *Shop) PlaceOrder(ctx context.Context, userID int64, ip string, productIDs ...int64) (Order, error) {
	return s.PlaceCart(ctx, userID, ip, Cart{ProductIDs: productIDs})
}

// PlaceCart places an order at the prices of the shop. It returns ErrNoGoods or ErrPrice if the shop does not sell that. The order
// has no QR code until Pay.
func (s *Shop) PlaceCart(ctx context.Context, userID int64, ip string, c Cart) (Order, error) {
	items, err := s.items(ctx, c)
	if err != nil {
		return Order{}, err
	}
	created := now()
	o := Order{
		AppID: s.AppID, MchID: s.mchID(), OutTradeNo: "letao" + strings.ToLower(rand.Text()[:20]), NonceStr: strings.ToLower(rand.Text()), UserID: userID, SpbillCreateIP: ip,
		Items: items, Body: describe(items), TradeType: "NATIVE", State: NotPaid, CreatedAt: created, ExpiresAt: created.Add(orderLife),
		NotifyURL: strings.TrimSuffix(s.Cashier.URL, "/") + "/pay/notify",
	}
	for _, item := range items {
		o.TotalFee += item.Fen * item.Count
	}
	switch {
	case o.TotalFee < 1 || o.TotalFee > maxTotalPrice:
		return Order{}, fmt.Errorf("%w: the total is %d fen, want 1 to %d", ErrPrice, o.TotalFee, maxTotalPrice)
	case c.TotalFee != o.TotalFee && (c.TotalFee != 0 || len(c.ProductIDs) == 0):
		return Order{}, fmt.Errorf("%w: got %d fen", ErrPrice, c.TotalFee)
	}
	if err := s.Store.AddOrder(ctx, o); err != nil {
		return Order{}, err
	}
	return s.Store.Order(ctx, o.OutTradeNo)
}

// mchID returns the merchant number of new orders.
func (s *Shop) mchID() string {
	_, rest, _ := strings.Cut(s.Cashier.Name(), "/") // v3/1900000001
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// items returns the products of a cart, each once, at their prices.
func (s *Shop) items(ctx context.Context, c Cart) ([]Item, error) {
	if len(c.ProductIDs) > maxItems {
		return nil, fmt.Errorf("%w: more than %d products", ErrNoGoods, maxItems)
	}
	counts := make(map[int64]int64)
	for _, id := range c.ProductIDs {
		counts[id]++
	}
	products, err := s.Store.Products(ctx, slices.Compact(slices.Sorted(slices.Values(c.ProductIDs)))...)
	if err != nil {
		return nil, err
	}
	if len(c.ProductIDs) == 0 { // an old client
		products = slices.DeleteFunc(products, func(p Product) bool { return p.Name != c.Body })
		if len(products) != 1 {
			return nil, fmt.Errorf("%w: %.40q", ErrNoGoods, c.Body)
		}
		counts[products[0].ID] = 1
	}
	if len(products) != len(counts) {
		return nil, ErrNoGoods
	}
	items := make([]Item, 0, len(products))
	for _, p := range products {
		items = append(items, Item{ProductID: p.ID, Name: p.Name, Fen: p.Fen, Count: counts[p.ID]})
	}
	return items, nil
}

// describe returns the text that the payer sees.
func describe(items []Item) string {
	var count int64
	for _, item := range items {
		count += item.Count
	}
	name := []rune(items[0].Name)
	if len(name) > maxBody-10 {
		name = name[:maxBody-10]
	}
	if count == 1 {
		return string(name)
	}
	return fmt.Sprintf("%s 等%d件", string(name), count)
}

// Order returns an order of a user. An admin may read every order; others get ErrNotFound.
func (s *Shop) Order(ctx context.Context, u User, outTradeNo string) (Order, error) {
	o, err := s.Store.Order(ctx, outTradeNo)
	if err == nil && o.UserID != u.ID && !u.Admin {
		return Order{}, ErrNotFound
	}
	return o, err
}

// Orders returns a page of at most 20 orders of a user, the newest first, and the cursor of the next page, or 0 at the end. The first
// page has the cursor 0. The userID 0 selects the orders of all users, for admins.
func (s *Shop) Orders(ctx context.Context, userID, cursor int64) (orders []Order, next int64, err error) {
	if cursor < 0 {
		return nil, 0, ErrNotFound
	}
	orders, err = s.Store.Orders(ctx, userID, cursor, pageOfOrders+1)
	if err == nil && len(orders) > pageOfOrders {
		orders = orders[:pageOfOrders]
		next = orders[pageOfOrders-1].ID
	}
	return orders, next, err
}

// closeExpired closes the orders that the Cashier has closed at WeChat, and those that WeChat never got.
func (s *Shop) closeExpired(ctx context.Context) error {
	numbers, err := s.Store.ExpiredOrders(ctx, now(), 100)
	for _, no := range numbers {
		_, failed := s.refresh(ctx, no)
		err = errors.Join(err, failed)
	}
	return err
}
