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

// reserveOrder adds an order to the list under key, unless that has limit orders that are not paid. The store is shared, so the limit
// holds for all servers.
func (a *app) reserveOrder(ctx context.Context, key, no string, limit int, now time.Time) error {
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
		list = slices.DeleteFunc(list, func(s slot) bool { return s.Until <= now.Unix() })
		if len(list) >= limit {
			if list, err = a.withoutEnded(ctx, list, now); err != nil {
				return err
			}
		}
		if len(list) >= limit {
			return &pay.Error{Op: "order", Cause: pay.ErrBusy, Message: fmt.Sprintf("there are %d orders already that are not paid: pay one, or wait until they end", limit)}
		}
		next, _ := json.Marshal(append(list, slot{no, now.Add(publicLife).Unix()})) // texts and numbers always encode
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
