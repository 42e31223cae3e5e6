package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
)

// Settle implements shop.PaymentStore.
func (s *Store) Settle(ctx context.Context, p shop.Payment) error {
	details, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("store: settle payment: %w", err)
	}
	err = s.within(ctx, "settle payment", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO payment (transaction_id, out_trade_no, fen, paid_at, problem, details) VALUES (?, ?, ?, ?, ?, ?)",
			p.TransactionID, p.OutTradeNo, p.Fen, millis(p.PaidAt), p.Problem, string(details))
		if err != nil || p.Problem != "" {
			return err
		}
		settled, err := setPaid(ctx, tx, p, shop.NotPaid)
		if err != nil || settled {
			return err
		}
		why, err := whyNotPaid(ctx, tx, p)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE payment SET problem = ? WHERE transaction_id = ?", why, p.TransactionID)
		return err
	})
	if !isDuplicate(err) {
		return err
	}
	known, err := s.Payment(ctx, p.TransactionID)
	if err == nil && (known.OutTradeNo != p.OutTradeNo || known.Fen != p.Fen) {
		err = fmt.Errorf("store: settle payment %s of order %s: it is stored with order %s and %d fen", p.TransactionID, p.OutTradeNo, known.OutTradeNo, known.Fen)
	}
	return err
}

// setPaid marks an order that has one of the states, or is paid without a payment, as paid by a payment of its amount.
func setPaid(ctx context.Context, tx *sql.Tx, p shop.Payment, states ...shop.State) (bool, error) {
	for _, state := range states {
		done, err := change(ctx, tx, `UPDATE payorder SET trade_state = ?, appid = ?, mch_id = ?, bank_type = ?, cash_fee = ?, fee_type = ?,
			is_subscribe = ?, openid = ?, sign = ?, time_end = ?, transaction_id = ?, paid_at = ?
			WHERE out_trade_no = ? AND (trade_state = ? OR trade_state = ? AND COALESCE(transaction_id, '') = '') AND total_fee = ?`,
			shop.Paid, p.AppID, p.MchID, p.BankType, p.CashFee, p.FeeType,
			p.IsSubscribe, p.OpenID, p.Sign, p.TimeEnd, p.TransactionID, millis(p.PaidAt),
			p.OutTradeNo, state, shop.Paid, p.Fen)
		if err != nil || done {
			return done, err
		}
	}
	return false, nil
}

// whyNotPaid returns why a payment does not settle its order.
func whyNotPaid(ctx context.Context, tx *sql.Tx, p shop.Payment) (string, error) {
	var state shop.State
	var fen int64
	err := tx.QueryRowContext(ctx, "SELECT trade_state, total_fee FROM payorder WHERE out_trade_no = ?", p.OutTradeNo).Scan(&state, &fen)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "this shop has no such order", nil
	case err != nil:
		return "", err
	case state != shop.NotPaid:
		return "the order was " + string(state) + " before this payment", nil
	}
	return fmt.Sprintf("the order costs %d fen", fen), nil
}

// AcceptPayment implements shop.PaymentStore.
func (s *Store) AcceptPayment(ctx context.Context, transactionID string) error {
	p, err := s.Payment(ctx, transactionID)
	if err != nil {
		return err
	}
	return s.within(ctx, "accept payment", func(tx *sql.Tx) error {
		open, err := change(ctx, tx, `UPDATE payment SET problem = '' WHERE transaction_id = ? AND problem <> ''
			AND NOT EXISTS (SELECT 1 FROM refund WHERE refund.transaction_id = ? AND refund.state <> ?)`, transactionID, transactionID, pay.Closed)
		if err != nil {
			return err
		}
		if !open {
			return fmt.Errorf("%w: the payment is accepted or refunded already", shop.ErrState)
		}
		settled, err := setPaid(ctx, tx, p, shop.NotPaid, shop.Closed)
		if err == nil && !settled { // its refund was closed
			settled, err = change(ctx, tx, "UPDATE payorder SET transaction_id = transaction_id WHERE transaction_id = ? AND trade_state IN (?, ?)",
				transactionID, shop.Paid, shop.Shipped)
		}
		if err == nil && !settled {
			var why string
			if why, err = whyNotPaid(ctx, tx, p); err == nil {
				err = fmt.Errorf("%w: %s", shop.ErrState, why)
			}
		}
		return err
	})
}

const paymentColumns = "transaction_id, out_trade_no, fen, paid_at, problem, details"

func scanPayment(scan func(...any) error) (p shop.Payment, err error) {
	var row shop.Payment
	var paidAt int64
	var details string
	if err := scan(&row.TransactionID, &row.OutTradeNo, &row.Fen, &paidAt, &row.Problem, &details); err != nil {
		return p, err
	}
	err = json.Unmarshal([]byte(details), &p)
	p.TransactionID, p.OutTradeNo, p.Fen, p.PaidAt, p.Problem = row.TransactionID, row.OutTradeNo, row.Fen, instant(paidAt), row.Problem
	return p, err
}

// Payment implements shop.PaymentStore.
func (s *Store) Payment(ctx context.Context, transactionID string) (shop.Payment, error) {
	p, err := scanPayment(s.DB.QueryRowContext(ctx, "SELECT "+paymentColumns+" FROM payment WHERE transaction_id = ?", transactionID).Scan)
	if err != nil {
		return shop.Payment{}, fmt.Errorf("store: read payment: %w", notFound(err))
	}
	return p, nil
}

// Payments implements shop.PaymentStore.
func (s *Store) Payments(ctx context.Context, from, to time.Time) ([]shop.Payment, error) {
	return s.readPayments(ctx, "paid_at >= ? AND paid_at < ?", millis(from), millis(to))
}

// Problems implements shop.PaymentStore.
func (s *Store) Problems(ctx context.Context) ([]shop.Payment, error) {
	return s.readPayments(ctx, "problem > ''")
}

func (s *Store) readPayments(ctx context.Context, condition string, args ...any) (list []shop.Payment, err error) {
	rows, err := s.DB.QueryContext(ctx, "SELECT "+paymentColumns+" FROM payment WHERE "+condition+" ORDER BY paid_at, transaction_id", args...)
	if err != nil {
		return nil, fmt.Errorf("store: read payments: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		p, err := scanPayment(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("store: read payments: %w", err)
		}
		list = append(list, p)
	}
	return list, rows.Err()
}
