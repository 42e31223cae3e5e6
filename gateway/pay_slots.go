package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	slotGrace  = time.Minute // in which an order may have no record yet, and one that WeChat has refused still counts
	slotChecks = 10          // orders that are looked up when a list is full
	slotTries  = 100         // attempts to change a list that others change
)

// slot is an order that counts as not paid until a time.
type slot struct {
	No    string `json:"no"`
	Until int64  `json:"until"` // Unix seconds
}

// slotList is a list of orders that are not paid, in the shared store, so that its limit holds for all servers.
type slotList struct {
	Name  string `json:"name"` // its key in the store
	Limit int    `json:"limit"`
}

// reserveOrder adds an order to a list that lacks it, unless that is full.
func (a *app) reserveOrder(ctx context.Context, l slotList, no string, now time.Time) error {
	return a.changeSlots(ctx, l.Name, func(list []slot) ([]slot, error) {
		if slices.ContainsFunc(list, func(s slot) bool { return s.No == no }) {
			return nil, nil
		}
		list = slices.DeleteFunc(list, func(s slot) bool { return s.Until <= now.Unix() })
		if len(list) >= l.Limit {
			var err error
			if list, err = a.withoutEnded(ctx, list, now); err != nil {
				return nil, err
			}
		}
		if len(list) >= l.Limit {
			return nil, &pay.Error{Op: "order", Cause: pay.ErrBusy, Message: fmt.Sprintf("there are %d orders already that are not paid: pay one, or wait until they end", l.Limit)}
		}
		return append(list, slot{no, now.Add(publicLife).Unix()}), nil
	})
}

// releaseOrder removes an order from a list.
func (a *app) releaseOrder(ctx context.Context, l slotList, no string) error {
	return a.changeSlots(ctx, l.Name, func(list []slot) ([]slot, error) {
		rest := slices.DeleteFunc(slices.Clone(list), func(s slot) bool { return s.No == no })
		if len(rest) == len(list) {
			return nil, nil
		}
		return rest, nil
	})
}

// changeSlots replaces the list under a key by what change returns; nil changes nothing.
func (a *app) changeSlots(ctx context.Context, key string, change func([]slot) ([]slot, error)) error {
	s := a.gateway.store
	for range slotTries {
		old, ok, err := s.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("gateway: count open orders: %w", err)
		}
		var list []slot
		if !ok {
			old = nil
		} else if err := json.Unmarshal(old, &list); err != nil {
			return fmt.Errorf("gateway: invalid record %s: want a list of orders", key)
		}
		if list, err = change(list); err != nil || list == nil {
			return err
		}
		var next []byte // none for an empty list
		if len(list) > 0 {
			next, _ = json.Marshal(list) // texts and numbers always encode
		}
		swapped, err := s.Swap(ctx, key, old, next, publicLife)
		if err != nil {
			return fmt.Errorf("gateway: count open orders: %w", err)
		}
		if swapped {
			return nil
		}
	}
	return &pay.Error{Op: "order", Cause: pay.ErrBusy, Message: "too many orders at once"}
}

// withoutEnded returns a list without those of its orders that are paid, closed or were never placed. It looks up some at random, so that
// the cost is bounded and each gets its turn.
func (a *app) withoutEnded(ctx context.Context, list []slot, now time.Time) ([]slot, error) {
	ended := make(map[slot]bool)
	for i, at := range rand.Perm(len(list)) {
		if i == slotChecks {
			break
		}
		t, err := a.pay.cashier.Recorded(ctx, list[at].No)
		switch {
		case errors.Is(err, pay.ErrNotFound):
			ended[list[at]] = now.Sub(time.Unix(list[at].Until, 0).Add(-publicLife)) > slotGrace
		case err != nil:
			return nil, err
		default:
			ended[list[at]] = t.State != pay.NotPaid
		}
	}
	return slices.DeleteFunc(list, func(s slot) bool { return ended[s] }), nil
}
