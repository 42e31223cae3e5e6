package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/wetoken/wetoken/pay"
)

const (
	dayTTL   = 48 * time.Hour // of the records of a day
	dayTries = 100            // attempts to change a sum that others change

	callPending = "pending" // mark of a call that is in progress
	callCounted = "counted" // mark of a call whose amount is part of the sum
	pendingTTL  = 2 * time.Minute
)

var beijing = time.FixedZone("+08:00", 8*60*60)

// withinDay makes a call and counts its amount against day_fen of its caller. A repeated number counts once a day, and is
// refused as busy while the first call is in progress, whose amount may not be part of the sum. A call that was certainly
// refused does not count.
func (a *app) withinDay(ctx context.Context, c *caller, call pay.Call, do func(context.Context) error) error {
	if c.dayFen <= 0 || call.Fen <= 0 || !movesOut(call) {
		return do(ctx)
	}
	day := "pay/day/" + c.account + "/" + time.Now().In(beijing).Format(time.DateOnly)
	number := sha256.Sum256([]byte(a.id + "\n" + call.Action + "\n" + call.Number + "\n" + strconv.FormatInt(call.Fen, 10)))
	mark := day + "/" + hex.EncodeToString(number[:16])
	fresh, err := a.gateway.records.Swap(ctx, mark, nil, []byte(callPending), pendingTTL)
	if err != nil {
		return fmt.Errorf("gateway: count the paid amount: %w", err)
	}
	if !fresh {
		state, _, err := a.gateway.records.Get(ctx, mark)
		if err != nil {
			return fmt.Errorf("gateway: count the paid amount: %w", err)
		}
		if string(state) != callCounted {
			return &pay.Error{Op: "count the paid amount", Cause: pay.ErrBusy, Message: "the same call is in progress"}
		}
		return do(ctx)
	}
	undo := func() {
		ctx := context.WithoutCancel(ctx)
		if err := a.gateway.records.Delete(ctx, mark); err != nil {
			a.logPayError(ctx, err)
		}
	}
	if stored, err := a.isStored(ctx, call); err != nil || stored { // it was counted on an earlier day
		undo()
		if err != nil {
			return fmt.Errorf("gateway: count the paid amount: %w", err)
		}
		return do(ctx)
	}
	sum, err := a.addToDay(ctx, day, call.Fen, c.dayFen)
	if err != nil {
		undo()
		if errors.Is(err, errBeyond) {
			return denied(call, fmt.Sprintf("invalid amount %d fen after %d fen today: want at most day_fen of this key in total, %d", call.Fen, sum, c.dayFen))
		}
		return err
	}
	if err = do(ctx); !a.counts(ctx, call, err) {
		if _, failed := a.addToDay(context.WithoutCancel(ctx), day, -call.Fen, c.dayFen); failed != nil {
			a.logPayError(ctx, failed)
		}
		undo()
	} else if failed := a.gateway.records.Set(context.WithoutCancel(ctx), mark, []byte(callCounted), dayTTL); failed != nil {
		a.logPayError(ctx, failed) // a repeated number then counts again
	}
	return err
}

var errBeyond = errors.New("gateway: beyond the limit of the day")

// addToDay adds fen to the sum of a day, unless it would exceed limit. It returns the earlier sum.
func (a *app) addToDay(ctx context.Context, key string, fen, limit int64) (before int64, err error) {
	for range dayTries {
		old, ok, err := a.gateway.records.Get(ctx, key)
		if err != nil {
			return 0, fmt.Errorf("gateway: count the paid amount: %w", err)
		}
		if !ok {
			old, before = nil, 0
		} else if before, err = strconv.ParseInt(string(old), 10, 64); err != nil || before < 0 {
			return 0, fmt.Errorf("gateway: invalid record %s: want a number", key)
		}
		if fen > 0 && (before > limit || fen > limit-before) {
			return before, errBeyond
		}
		swapped, err := a.gateway.records.Swap(ctx, key, old, strconv.AppendInt(nil, max(before+fen, 0), 10), dayTTL)
		if err != nil {
			return 0, fmt.Errorf("gateway: count the paid amount: %w", err)
		}
		if swapped {
			return before, nil
		}
	}
	return 0, &pay.Error{Op: "count the paid amount", Cause: pay.ErrBusy, Message: "too many calls at once"}
}

// movesOut reports whether a call may move money out.
func movesOut(call pay.Call) bool {
	return call.Action == "refund" || call.Action == "transfer" || call.Action == "reverse"
}

// counts reports whether a call that returned err counts for the day: it moved money, or may have, or pay.Watch may do it later. A
// refund or a transfer has a record before it is sent, which is removed only if it certainly was not done: without one, it was refused
// here. After an error of the store the record may still appear.
func (a *app) counts(ctx context.Context, call pay.Call, err error) bool {
	refused := wasNotDone(err)
	switch {
	case call.Action == "transfer": // pay.Watch repeats one that was refused, too
	case refused:
		return false
	case call.Action != "refund":
		return true
	}
	if !refused && !errors.As(err, new(*pay.Error)) {
		return true
	}
	stored, failed := a.isStored(context.WithoutCancel(ctx), call)
	return stored || failed != nil
}

// isStored reports whether the refund or the transfer of a call has a record.
func (a *app) isStored(ctx context.Context, call pay.Call) (bool, error) {
	switch call.Action {
	case "refund":
		return a.pay.cashier.HasRefund(ctx, call.Number)
	case "transfer":
		return a.pay.cashier.HasTransfer(ctx, call.Number)
	}
	return false, nil
}

// wasNotDone reports whether err proves that the call moved no money: it is about an invalid value, or a refusal by WeChat or by
// this server. Any other error, such as that of a store, may hide a success.
func wasNotDone(err error) bool {
	if errors.As(err, new(*pay.FieldError)) {
		return true
	}
	var refused *pay.Error
	if !errors.As(err, &refused) || errors.Is(err, pay.ErrUnknown) || errors.Is(err, pay.ErrPaying) {
		return false
	}
	return refused.Cause != "" || refused.Status >= http.StatusBadRequest && refused.Status < http.StatusInternalServerError
}
