package pay

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	maxUnfinishedReads   = 500 // records that one call of Unfinished reads
	maxUnfinishedNumbers = 10
	recordDelay          = writeTimeout - firstCheckDelay // after the time of a new entry its record was written, or never will be
)

// Unfinished is the work of a [Cashier] that is not finished.
type Unfinished struct {
	Orders    int // neither paid, closed nor reversed; or OnPaid has not returned nil yet
	Refunds   int // not final; or OnRefund has not returned nil yet
	Transfers int // not final; or OnTransfer has not returned nil yet
	Refused   int // payments that a person has to accept or refund: see [Cashier.Refused]

	Numbers []string // at most 10, such as "out_trade_no order-1"
}

// Any reports whether there is any such work.
func (u Unfinished) Any() bool {
	return u.Orders > 0 || u.Refunds > 0 || u.Transfers > 0 || u.Refused > 0
}

// Unfinished returns the work of this App that [Cashier.Run], a notification or, of the refused payments, a person has to finish. It
// reads the lists of what Run checks, which are a fixed number of records for all Apps together, and the records that they name for
// this App, at most 500: it counts more without reading them. Then it lists the refused payments of the Merchants, by their Name.
func (c *Cashier) Unfinished(ctx context.Context) (u Unfinished, err error) {
	var mine []dueChange
	for i := range dueLists {
		l, _, err := readRecord[dueList](ctx, c.records(), dueListKey(i))
		if err != nil {
			return Unfinished{}, err
		}
		if l == nil {
			continue
		}
		for key, entry := range l.Due {
			if entry.App == c.App {
				mine = append(mine, dueChange{name: key, was: entry})
			}
		}
	}
	slices.SortFunc(mine, func(a, b dueChange) int { return cmp.Compare(a.name, b.name) })
	now := time.Now()
	for i, entry := range mine {
		_, kind, no, ok := splitKey(entry.name)
		if !ok {
			continue
		}
		if i < maxUnfinishedReads {
			finished, err := c.isFinished(ctx, entry, kind, now)
			if err != nil {
				return Unfinished{}, err
			}
			if finished {
				continue
			}
		}
		u.add(kind, no)
	}
	refused, err := c.Refused(ctx)
	if err != nil {
		return Unfinished{}, err
	}
	for _, r := range refused {
		u.add(kindRefused, r.ID)
	}
	return u, nil
}

func (u *Unfinished) add(kind, no string) {
	name := "out_trade_no "
	switch kind {
	case kindRefund:
		u.Refunds++
		name = "out_refund_no "
	case kindTransfer:
		u.Transfers++
		name = "out_bill_no "
	case kindRefused:
		u.Refused++
		name = "refused payment "
	default:
		u.Orders++
	}
	if len(u.Numbers) < maxUnfinishedNumbers {
		u.Numbers = append(u.Numbers, name+no)
	}
}

// isFinished reports whether nothing is left to do for the record of an entry.
func (c *Cashier) isFinished(ctx context.Context, entry dueChange, kind string, now time.Time) (bool, error) {
	key := "pay/" + entry.name
	switch kind {
	case kindOrder:
		return recordFinished(ctx, c, key, entry, now, func(r *orderRecord) bool {
			return !r.isOpen() && (r.State != orderPaid || r.isDone())
		})
	case kindRefund:
		return recordFinished(ctx, c, key, entry, now, (*refundRecord).isDone)
	case kindTransfer:
		return recordFinished(ctx, c, key, entry, now, func(r *transferRecord) bool { return r.isDone() || r.State == transferLost })
	}
	return false, nil // of a later release
}

func recordFinished[T any, P interface {
	*T
	record
}](ctx context.Context, c *Cashier, key string, entry dueChange, now time.Time, finished func(P) bool) (bool, error) {
	r, _, err := readRecord[T, P](ctx, c.records(), key)
	if err != nil {
		return false, err
	}
	if r == nil { // another process may be about to write it
		return now.Sub(time.Unix(entry.was.At, 0)) > recordDelay, nil
	}
	return finished(r), nil
}
