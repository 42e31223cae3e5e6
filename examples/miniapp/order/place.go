package order

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	orderLife     = 2 * time.Hour // as long as a prepay_id
	maxOpenOrders = 20            // of one account
)

// Buyer is who places an order.
type Buyer struct {
	AccountID string
	AppID     string // of the app that the buyer uses
	OpenID    string // in that app
}

// Place places an order of a product (统一下单), and returns it with the arguments of wx.requestPayment.
func (s *Service) Place(ctx context.Context, b Buyer, productID string) (Order, map[string]string, error) {
	at := slices.IndexFunc(s.Products, func(p Product) bool { return p.ID == productID })
	if at < 0 {
		return Order{}, nil, ErrProduct
	}
	p := s.Products[at]
	n, err := s.Store.OpenOrders(ctx, b.AccountID, now())
	switch {
	case err != nil:
		return Order{}, nil, err
	case n >= maxOpenOrders:
		return Order{}, nil, ErrTooMany
	}
	o := Order{
		OutTradeNo: "mp" + strings.ToLower(rand.Text()[:20]), AccountID: b.AccountID, AppID: b.AppID, OpenID: b.OpenID,
		ProductID: p.ID, Name: p.Name, Fen: p.Fen, Points: p.Points, State: Open, CreatedAt: now(), ExpiresAt: now().Add(orderLife),
	}
	if err := s.Store.AddOrder(ctx, o); err != nil { // first, so that no payment lacks its order
		return Order{}, nil, err
	}
	prepaid, err := s.Cashier.Prepay(ctx, pay.Order{
		Trade: pay.JSAPI, OutTradeNo: o.OutTradeNo, Fen: o.Fen, Description: o.Name, AppID: o.AppID, OpenID: o.OpenID, ExpiresAt: o.ExpiresAt,
	})
	if err != nil && !errors.Is(err, pay.ErrUnknown) { // WeChat does not have the order
		err = errors.Join(err, s.Store.CloseOrder(ctx, o.OutTradeNo))
	}
	return o, prepaid.Params, err
}

// Find returns an order of an account, or ErrNotFound.
func (s *Service) Find(ctx context.Context, accountID, outTradeNo string) (Order, error) {
	if pay.CheckOutTradeNo(outTradeNo) != nil {
		return Order{}, ErrNotFound
	}
	o, err := s.Store.Order(ctx, outTradeNo)
	if err == nil && o.AccountID != accountID {
		err = ErrNotFound
	}
	return o, err
}

// Wait returns an order when it is not open any more, or when ctx ends. It reads the database, since the notification may reach
// another process.
func (s *Service) Wait(ctx context.Context, accountID, outTradeNo string) (Order, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		o, err := s.Find(context.WithoutCancel(ctx), accountID, outTradeNo)
		if err != nil || o.State != Open {
			return o, err
		}
		select {
		case <-ctx.Done():
			return o, nil
		case <-tick.C:
		}
	}
}

// Cancel closes an order at WeChat, so that it cannot be paid any more. The error is ErrPaid if it was paid first.
func (s *Service) Cancel(ctx context.Context, accountID, outTradeNo string) (Order, error) {
	o, err := s.Find(ctx, accountID, outTradeNo)
	switch {
	case err != nil, o.State == Closed:
		return o, err
	case o.State == Paid:
		return o, ErrPaid
	}
	err = s.Cashier.Close(ctx, outTradeNo)
	switch {
	case errors.Is(err, pay.ErrPaid):
		return o, ErrPaid
	case err != nil && !errors.Is(err, pay.ErrClosed) && !errors.Is(err, pay.ErrNotFound):
		return o, err
	}
	if err := s.Store.CloseOrder(ctx, outTradeNo); err != nil {
		return o, err
	}
	return s.Find(ctx, accountID, outTradeNo)
}
