package shop

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	codeURLLife  = 2 * time.Hour    // of a code_url
	renewBefore  = 5 * time.Minute  // a code with less than this is renewed
	renewEvery   = 15 * time.Second // of an open page
	watchEvery   = time.Second      // of an open page
	queryAtEvery = 3 * time.Second  // of one order, by all processes
)

// Pay returns the order with a QR code to pay it with. A code that is about to expire is renewed under the same number. An order that is
// not NotPaid is returned as it is, one that has expired with ErrState until it is closed. After pay.ErrUnknown and pay.ErrBusy the caller
// may try again.
func (s *Shop) Pay(ctx context.Context, outTradeNo string) (Order, error) {
	o, err := s.Store.Order(ctx, outTradeNo)
	if err == nil && o.State == NotPaid && !now().Before(o.ExpiresAt) {
		if o, err = s.refresh(ctx, outTradeNo); err == nil && o.State == NotPaid {
			err = fmt.Errorf("%w: it has expired", ErrState)
		}
	}
	if err != nil || o.State != NotPaid || o.CodeURL != "" && time.Until(o.CodeExpires) > renewBefore {
		return o, err
	}
	expires := now().Add(codeURLLife)
	prepaid, err := s.Cashier.Prepay(ctx, pay.Order{
		Trade: pay.Native, OutTradeNo: o.OutTradeNo, Fen: o.TotalFee, Description: o.Body, ExpiresAt: o.ExpiresAt,
	})
	switch {
	case errors.Is(err, pay.ErrPaid), errors.Is(err, pay.ErrClosed):
		return s.refresh(ctx, outTradeNo)
	case err != nil:
		return o, err
	case prepaid.CodeURL == o.CodeURL: // WeChat repeats a code while it is valid
		return o, nil
	}
	o.CodeURL, o.CodeExpires = prepaid.CodeURL, expires
	return o, s.Store.SetCode(ctx, outTradeNo, o.CodeURL, o.CodeExpires)
}

// Query returns an order. It asks WeChat about an unpaid one, at most every 3 s.
func (s *Shop) Query(ctx context.Context, outTradeNo string) (Order, error) {
	o, err := s.Store.Order(ctx, outTradeNo)
	if err != nil || o.State != NotPaid {
		return o, err
	}
	first, err := s.Shared.Swap(ctx, "shop/query/"+o.OutTradeNo, nil, []byte("asked"), queryAtEvery)
	if err != nil || !first {
		return o, err
	}
	// A payment that Query finds is settled before it returns.
	if _, err := s.Cashier.Query(ctx, o.OutTradeNo); err != nil && !errors.Is(err, pay.ErrNotFound) {
		return o, err
	}
	return s.refresh(ctx, outTradeNo)
}

// refresh closes an unpaid order that the Cashier has closed, or that expired before WeChat got it. It returns the order.
func (s *Shop) refresh(ctx context.Context, outTradeNo string) (Order, error) {
	o, err := s.Store.Order(ctx, outTradeNo)
	if err != nil || o.State != NotPaid {
		return o, err
	}
	t, err := s.Cashier.Recorded(ctx, o.OutTradeNo) // a database may take numbers in another case for the same
	switch {
	case err == nil && t.State != pay.Closed, errors.Is(err, pay.ErrNotFound) && now().Before(o.ExpiresAt):
		return o, nil
	case err != nil && !errors.Is(err, pay.ErrNotFound):
		return o, err
	}
	if err := s.Store.CloseOrder(ctx, outTradeNo); err != nil {
		return o, err
	}
	return s.Store.Order(ctx, outTradeNo)
}

// Changes yields the order now, and again each time when its QR code or its state has changed. It ends when the order is not NotPaid any
// more, or when ctx ends. It renews the QR code before it expires.
//
// It reads the order from the database each second, so that it sees what other processes do.
func (s *Shop) Changes(ctx context.Context, outTradeNo string) iter.Seq2[Order, error] {
	return func(yield func(Order, error) bool) {
		var last Order
		renewed := now()
		ticks := time.NewTicker(watchEvery)
		defer ticks.Stop()
		for {
			o, err := s.Store.Order(ctx, outTradeNo)
			if err == nil && o.State == NotPaid && o.CodeURL != "" && time.Until(o.CodeExpires) <= renewBefore && time.Since(renewed) >= renewEvery {
				renewed = now()
				if fresh, failed := s.Pay(ctx, outTradeNo); failed == nil { // else it is tried again
					o = fresh
				}
			}
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(Order{}, err)
				return
			}
			if last.ID == 0 || o.State != last.State || o.CodeURL != last.CodeURL {
				if !yield(o, nil) {
					return
				}
				last = o
			}
			if o.State != NotPaid {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
		}
	}
}
