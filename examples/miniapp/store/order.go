package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/order"
)

var _ order.Store = (*DB)(nil)

const orderColumns = "out_trade_no, account_id, app_id, open_id, product_id, name, fen, points, state, transaction_id, created_at, expires_at, paid_at"

// querier is a *sql.DB or *sql.Tx.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readOrder returns an order, or order.ErrNotFound.
func readOrder(ctx context.Context, q querier, outTradeNo, lock string) (o order.Order, err error) {
	var transaction sql.NullString
	var created, expires, paid int64
	err = q.QueryRowContext(ctx, "SELECT "+orderColumns+" FROM miniapp_order WHERE out_trade_no = ?"+lock, outTradeNo).Scan(
		&o.OutTradeNo, &o.AccountID, &o.AppID, &o.OpenID, &o.ProductID, &o.Name, &o.Fen, &o.Points, &o.State, &transaction, &created, &expires, &paid)
	if errors.Is(err, sql.ErrNoRows) {
		return order.Order{}, order.ErrNotFound
	}
	if err != nil {
		return order.Order{}, fmt.Errorf("store: read order: %w", err)
	}
	o.TransactionID, o.CreatedAt, o.ExpiresAt, o.PaidAt = transaction.String, instant(created), instant(expires), instant(paid)
	return o, nil
}

// AddOrder adds an order.
func (db *DB) AddOrder(ctx context.Context, o order.Order) error {
	_, err := db.ExecContext(ctx, "INSERT INTO miniapp_order ("+orderColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		o.OutTradeNo, o.AccountID, o.AppID, o.OpenID, o.ProductID, o.Name, o.Fen, o.Points, o.State, orNull(o.TransactionID), millis(o.CreatedAt), millis(o.ExpiresAt), millis(o.PaidAt))
	if err != nil {
		return fmt.Errorf("store: add order: %w", err)
	}
	return nil
}

// Order returns an order, or order.ErrNotFound.
func (db *DB) Order(ctx context.Context, outTradeNo string) (order.Order, error) {
	return readOrder(ctx, db, outTradeNo, "")
}

// OpenOrders returns the number of orders of an account that may still be paid.
func (db *DB) OpenOrders(ctx context.Context, accountID string, now time.Time) (n int, err error) {
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM miniapp_order WHERE account_id = ? AND state = ? AND expires_at > ?", accountID, order.Open, millis(now)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store: count orders: %w", err)
	}
	return n, nil
}

// CloseOrder closes an open order.
func (db *DB) CloseOrder(ctx context.Context, outTradeNo string) error {
	if _, err := db.ExecContext(ctx, "UPDATE miniapp_order SET state = ? WHERE out_trade_no = ? AND state = ?", order.Closed, outTradeNo, order.Open); err != nil {
		return fmt.Errorf("store: close order: %w", err)
	}
	return nil
}

// Settle records a payment and calls then in the same transaction.
func (db *DB) Settle(ctx context.Context, p order.Payment, then func(*sql.Tx, order.Order) (order.Payment, error)) (fresh bool, err error) {
	err = db.inTx(ctx, func(tx *sql.Tx) error {
		o, err := readOrder(ctx, tx, p.OutTradeNo, forUpdate)
		if err != nil && !errors.Is(err, order.ErrNotFound) {
			return err
		}
		var before int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM miniapp_payment WHERE transaction_id = ?", p.TransactionID).Scan(&before); err != nil {
			return fmt.Errorf("store: read payment: %w", err)
		}
		if fresh = before == 0; !fresh {
			return nil
		}
		if p, err = then(tx, o); err != nil {
			return err
		}
		// A process that settles the same payment at the same time fails here, and starts again.
		if _, err := tx.ExecContext(ctx, "INSERT INTO miniapp_payment (transaction_id, out_trade_no, fen, paid_at, odd) VALUES (?, ?, ?, ?, ?)",
			p.TransactionID, p.OutTradeNo, p.Fen, millis(p.PaidAt), p.Odd); err != nil {
			return fmt.Errorf("store: add payment: %w", err)
		}
		if p.Odd != "" {
			return nil
		}
		if _, err := tx.ExecContext(ctx, "UPDATE miniapp_order SET state = ?, transaction_id = ?, paid_at = ? WHERE out_trade_no = ?",
			order.Paid, p.TransactionID, millis(p.PaidAt), p.OutTradeNo); err != nil {
			return fmt.Errorf("store: mark order as paid: %w", err)
		}
		return nil
	})
	return fresh && err == nil, err
}

// GivePoints gives the buyer the points of an order. It is an order.Hook.
func GivePoints(ctx context.Context, tx *sql.Tx, o order.Order) error {
	result, err := tx.ExecContext(ctx, "UPDATE miniapp_account SET points = points + ? WHERE id = ?", o.Points, o.AccountID)
	if err != nil {
		return fmt.Errorf("store: give points: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("store: give points: account %s is missing", o.AccountID)
	}
	return nil
}
