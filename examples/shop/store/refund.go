package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
)

// StartRefund implements shop.RefundStore.
func (s *Store) StartRefund(ctx context.Context, f shop.Refund) (shop.Refund, error) {
	whole := f.Fen
	for {
		started, err := s.refundsOf(ctx, f.TransactionID)
		if err != nil {
			return f, err
		}
		rest := whole
		for _, old := range started {
			switch old.State {
			case pay.Closed:
			case pay.Success: // a part, if it was made in WeChat Pay's console
				if rest -= old.Fen; rest <= 0 {
					return old, nil
				}
			default:
				return old, nil
			}
		}
		f.Fen = rest
		f.OutRefundNo = fmt.Sprintf("%s-%d", f.TransactionID, len(started)+1)
		err = s.addRefund(ctx, f)
		if err == nil || !isDuplicate(err) {
			return f, err
		}
		// Another call was faster: the next turn returns its refund.
	}
}

const insertRefund = "INSERT INTO refund (out_refund_no, out_trade_no, transaction_id, fen, reason, state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)"

func (s *Store) addRefund(ctx context.Context, f shop.Refund) error {
	return s.exec(ctx, "add refund", insertRefund,
		f.OutRefundNo, f.OutTradeNo, f.TransactionID, f.Fen, f.Reason, f.State, millis(f.CreatedAt))
}

// DropRefund implements shop.RefundStore.
func (s *Store) DropRefund(ctx context.Context, outRefundNo string) error {
	return s.exec(ctx, "drop refund", "DELETE FROM refund WHERE out_refund_no = ? AND state = ?", outRefundNo, pay.Processing)
}

// EndRefund implements shop.RefundStore.
func (s *Store) EndRefund(ctx context.Context, f shop.Refund) error {
	return s.within(ctx, "end refund", func(tx *sql.Tx) error {
		known, err := change(ctx, tx, "UPDATE refund SET state = ? WHERE out_refund_no = ?", f.State, f.OutRefundNo)
		if err == nil && !known { // made in WeChat Pay's console
			_, err = tx.ExecContext(ctx, insertRefund, f.OutRefundNo, f.OutTradeNo, f.TransactionID, f.Fen, f.Reason, f.State, millis(f.CreatedAt))
		}
		if err != nil {
			return err
		}
		// Refunds of one payment are added up one after the other. MariaDB reads what is committed now only after the lock.
		if _, err := tx.ExecContext(ctx, `UPDATE payment SET problem = problem
			WHERE transaction_id = (SELECT transaction_id FROM refund WHERE out_refund_no = ?)`, f.OutRefundNo); err != nil {
			return err
		}
		var transactionID string
		if err := tx.QueryRowContext(ctx, "SELECT transaction_id FROM refund WHERE out_refund_no = ?", f.OutRefundNo).Scan(&transactionID); err != nil {
			return err
		}
		problem := ""
		if f.State != pay.Success {
			problem = fmt.Sprintf("its refund %s is %s", f.OutRefundNo, f.State)
		}
		var refunded int64
		err = tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(fen), 0) FROM refund WHERE transaction_id = ? AND state = ?", transactionID, pay.Success).Scan(&refunded)
		if err != nil {
			return err
		}
		if _, err := change(ctx, tx, "UPDATE payment SET problem = ? WHERE transaction_id = ? AND (? > '' OR fen <= ?)", problem, transactionID, problem, refunded); err != nil {
			return err
		}
		_, err = change(ctx, tx, "UPDATE payorder SET trade_state = ? WHERE transaction_id = ? AND trade_state IN (?, ?) AND total_fee <= ?",
			shop.Refunded, transactionID, shop.Paid, shop.Shipped, refunded)
		return err
	})
}

// Refund implements shop.RefundStore.
func (s *Store) Refund(ctx context.Context, outRefundNo string) (shop.Refund, error) {
	list, err := s.readRefunds(ctx, "out_refund_no = ?", outRefundNo)
	if err == nil && len(list) == 0 {
		return shop.Refund{}, fmt.Errorf("store: read refund: %w", shop.ErrNotFound)
	}
	if err != nil {
		return shop.Refund{}, err
	}
	return list[0], nil
}

// Refunds implements shop.RefundStore.
func (s *Store) Refunds(ctx context.Context, from, to time.Time) ([]shop.Refund, error) {
	return s.readRefunds(ctx, "created_at >= ? AND created_at < ?", millis(from), millis(to))
}

// refundsOf returns the refunds of a payment, the oldest first.
func (s *Store) refundsOf(ctx context.Context, transactionID string) ([]shop.Refund, error) {
	return s.readRefunds(ctx, "transaction_id = ?", transactionID)
}

func (s *Store) readRefunds(ctx context.Context, condition string, args ...any) (list []shop.Refund, err error) {
	rows, err := s.DB.QueryContext(ctx, "SELECT out_refund_no, out_trade_no, transaction_id, fen, reason, state, created_at FROM refund WHERE "+
		condition+" ORDER BY created_at, out_refund_no", args...)
	if err != nil {
		return nil, fmt.Errorf("store: read refunds: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f shop.Refund
		var createdAt int64
		if err := rows.Scan(&f.OutRefundNo, &f.OutTradeNo, &f.TransactionID, &f.Fen, &f.Reason, &f.State, &createdAt); err != nil {
			return nil, fmt.Errorf("store: read refunds: %w", err)
		}
		f.CreatedAt = instant(createdAt)
		list = append(list, f)
	}
	return list, rows.Err()
}
