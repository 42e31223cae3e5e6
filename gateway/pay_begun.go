package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const beginTries = 20 // attempts to change what is stored of an order that other requests change

// begunOrder is an order that a browser has asked for, as it is stored from before it is placed. Whatever becomes of the answer, the same
// request finds the order, with its number and its end.
type begunOrder struct {
	Order   pay.Order       `json:"order"`
	Lists   []slotList      `json:"lists,omitempty"` // that count it until it is paid
	Sent    bool            `json:"sent"`            // the lists count it, and it may have been placed
	At      time.Time       `json:"at,omitzero"`     // when WeChat answered last; zero if it has not
	Prepaid pay.Prepaid     `json:"prepaid"`
	Raw     json.RawMessage `json:"raw,omitempty"` // of Prepaid

	stored []byte // the record that was read or written
}

// place returns the order that was begun for the same request, or else begins p.order. Requests that come at once begin one order.
func (p *publicOrder) place(ctx context.Context, now time.Time) (pay.Prepaid, error) {
	for range beginTries {
		b, err := p.find(ctx, now)
		if err != nil {
			return pay.Prepaid{}, err
		}
		if b.Order.OutTradeNo != "" && now.Sub(b.At) < publicRefresh {
			b.Prepaid.Raw = b.Raw
			return b.Prepaid, nil
		}
		if b.Order.OutTradeNo == "" {
			next := begunOrder{Order: p.order, Lists: p.lists}
			ok, err := p.swap(ctx, &b, &next, now)
			if err != nil {
				return pay.Prepaid{}, err
			}
			if !ok {
				continue
			}
			b = next
		}
		if !b.Sent {
			ok, err := p.countBegun(ctx, &b, now)
			if err != nil {
				return pay.Prepaid{}, err
			}
			if !ok {
				continue
			}
		}
		prepaid, err := p.app.placeFlat(ctx, noCaller, b.Order)
		p.note(context.WithoutCancel(ctx), &b, prepaid, err, now)
		return prepaid, err
	}
	return pay.Prepaid{}, &pay.Error{Op: "order", Cause: pay.ErrBusy, Message: "too many requests for the order at once"}
}

// find returns what is stored for the request. It has no order if a new one is to be placed.
func (p *publicOrder) find(ctx context.Context, now time.Time) (b begunOrder, err error) {
	raw, ok, err := p.app.gateway.store.Get(ctx, p.memory)
	if err != nil {
		return b, fmt.Errorf("gateway: find an order: %w", err)
	}
	if ok && json.Unmarshal(raw, &b) != nil {
		b = begunOrder{}
	}
	if ok {
		b.stored = raw
	}
	no := b.Order.OutTradeNo
	if p.numbered { // the store may have lost b
		no = p.order.OutTradeNo
	}
	if no == "" {
		return b, nil
	}
	t, err := p.app.pay.cashier.Recorded(ctx, no)
	placed, ended := err == nil, b.stored != nil && !now.Before(b.Order.ExpiresAt)
	kept := p.link != "" || p.named // a new order would not be what the request asks for
	switch {
	case err != nil && !errors.Is(err, pay.ErrNotFound):
		return b, err
	case placed && t.Paid() && kept:
		return b, &pay.Error{Op: "order", Cause: pay.ErrPaid, Transaction: &t}
	case placed && p.numbered && (ended || t.State != pay.NotPaid):
		return b, &pay.Error{Op: "order", Cause: pay.ErrClosed}
	case ended || placed && t.State != pay.NotPaid:
		return begunOrder{stored: raw}, nil
	}
	return b, nil // it may not be placed yet
}

// countBegun has the lists of an order count it, and reports false if another request has done so, or has dropped the order. If a list is
// full, the order is dropped.
func (p *publicOrder) countBegun(ctx context.Context, b *begunOrder, now time.Time) (ok bool, err error) {
	for i, l := range b.Lists {
		if err = p.app.reserveOrder(ctx, l, b.Order.OutTradeNo, now); err == nil {
			continue
		}
		dropped, failed := p.swap(ctx, b, nil, now)
		if failed == nil && !dropped {
			return false, nil
		}
		for _, l := range b.Lists[:i] {
			failed = errors.Join(failed, p.app.releaseOrder(ctx, l, b.Order.OutTradeNo))
		}
		if failed != nil {
			p.app.logPayError(ctx, failed)
		}
		return false, err
	}
	next := *b
	next.Sent = true
	if ok, err = p.swap(ctx, b, &next, now); ok {
		*b = next
	}
	return ok, err
}

// note stores how the placing of an order ended. One that was refused is dropped, so that it can be corrected. Another request for it may
// have noted another end meanwhile: an answer of WeChat is kept.
func (p *publicOrder) note(ctx context.Context, b *begunOrder, prepaid pay.Prepaid, placed error, now time.Time) {
	var err error
	switch {
	case placed == nil:
		next := *b
		next.At, next.Prepaid, next.Raw = now, prepaid, prepaid.Raw
		var ok bool
		if ok, err = p.swap(ctx, b, &next, now); err == nil && !ok {
			_, err = p.swap(ctx, new(begunOrder), &next, now)
		}
	case isRefusedOrder(placed):
		_, err = p.swap(ctx, b, nil, now)
	}
	if err != nil {
		p.app.logPayError(ctx, err)
	}
}

// isRefusedOrder reports whether an error of placing an order proves that it was not placed, and will not be.
func isRefusedOrder(err error) bool {
	if errors.As(err, new(*pay.FieldError)) {
		return true
	}
	if !errors.As(err, new(*pay.Error)) {
		return false
	}
	for _, open := range []error{pay.ErrUnknown, pay.ErrBusy, pay.ErrPaying, pay.ErrPaid, pay.ErrClosed} {
		if errors.Is(err, open) {
			return false
		}
	}
	return true
}

// swap replaces what is stored for the request; nil drops it. It reports false if that has changed.
func (p *publicOrder) swap(ctx context.Context, old, next *begunOrder, now time.Time) (swapped bool, err error) {
	var raw []byte
	life := time.Second
	if next != nil {
		if raw, err = json.Marshal(next); err != nil {
			return false, fmt.Errorf("gateway: remember an order: %w", err)
		}
		life = max(next.Order.ExpiresAt.Sub(now), life)
		if !next.Sent { // nobody counts it, and it was not placed
			life = min(life, slotGrace)
		}
	}
	if swapped, err = p.app.gateway.store.Swap(ctx, p.memory, old.stored, raw, life); err != nil {
		return false, fmt.Errorf("gateway: remember an order: %w", err)
	}
	if swapped && next != nil {
		next.stored = raw
	}
	return swapped, nil
}
