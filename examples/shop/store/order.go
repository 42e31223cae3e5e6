package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

const orderColumns = `id, COALESCE(appid, ''), COALESCE(mch_id, ''), COALESCE(body, ''), COALESCE(nonce_str, ''), COALESCE(notify_url, ''),
	out_trade_no, COALESCE(spbill_create_ip, ''), COALESCE(total_fee, 0), COALESCE(trade_type, ''), COALESCE(trade_state, ''),
	COALESCE(bank_type, ''), COALESCE(cash_fee, 0), COALESCE(fee_type, ''), COALESCE(is_subscribe, ''), COALESCE(openid, ''),
	COALESCE(transaction_id, ''), user_id, COALESCE(items, ''), code_url, code_expires, created_at, expires_at, paid_at,
	express_company, tracking_no, shipped_at, upload_error`

// scanOrder reads the orderColumns of a row.
func scanOrder(scan func(...any) error) (o shop.Order, err error) {
	var items string
	var codeExpires, createdAt, expiresAt, paidAt, shippedAt int64
	err = scan(&o.ID, &o.AppID, &o.MchID, &o.Body, &o.NonceStr, &o.NotifyURL,
		&o.OutTradeNo, &o.SpbillCreateIP, &o.TotalFee, &o.TradeType, &o.State,
		&o.BankType, &o.CashFee, &o.FeeType, &o.IsSubscribe, &o.OpenID,
		&o.TransactionID, &o.UserID, &items, &o.CodeURL, &codeExpires, &createdAt, &expiresAt, &paidAt,
		&o.ExpressCompany, &o.TrackingNo, &shippedAt, &o.UploadError)
	if err == nil && items != "" {
		err = json.Unmarshal([]byte(items), &o.Items)
	}
	o.CodeExpires, o.CreatedAt, o.ExpiresAt = instant(codeExpires), instant(createdAt), instant(expiresAt)
	o.PaidAt, o.ShippedAt = instant(paidAt), instant(shippedAt)
	return o, err
}

// AddOrder implements shop.OrderStore.
func (s *Store) AddOrder(ctx context.Context, o shop.Order) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("store: add order: %w", err)
	}
	_, err = s.DB.ExecContext(ctx, `INSERT INTO payorder (appid, mch_id, body, nonce_str, notify_url, out_trade_no, spbill_create_ip,
		total_fee, trade_type, trade_state, user_id, items, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		o.AppID, o.MchID, o.Body, o.NonceStr, o.NotifyURL, o.OutTradeNo, o.SpbillCreateIP,
		o.TotalFee, o.TradeType, o.State, o.UserID, string(items), millis(o.CreatedAt), millis(o.ExpiresAt))
	if isDuplicate(err) {
		return shop.ErrExists
	}
	if err != nil {
		return fmt.Errorf("store: add order: %w", err)
	}
	return nil
}

// Order implements shop.OrderStore.
func (s *Store) Order(ctx context.Context, outTradeNo string) (shop.Order, error) {
	return orderOf(s.DB.QueryRowContext(ctx, "SELECT "+orderColumns+" FROM payorder WHERE out_trade_no = ?", outTradeNo))
}

// LatestOrder implements shop.OrderStore.
func (s *Store) LatestOrder(ctx context.Context, userID int64) (shop.Order, error) {
	return orderOf(s.DB.QueryRowContext(ctx, "SELECT "+orderColumns+" FROM payorder WHERE user_id = ? ORDER BY id DESC LIMIT 1", userID))
}

func orderOf(row *sql.Row) (shop.Order, error) {
	o, err := scanOrder(row.Scan)
	if err != nil {
		return shop.Order{}, fmt.Errorf("store: read order: %w", notFound(err))
	}
	return o, nil
}

// Orders implements shop.OrderStore.
func (s *Store) Orders(ctx context.Context, userID, before int64, limit int) ([]shop.Order, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	query, args := "SELECT "+orderColumns+" FROM payorder WHERE id < ?", []any{before}
	if userID != 0 {
		query, args = query+" AND user_id = ?", append(args, userID)
	}
	return readOrders(ctx, s.DB, query+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
}

// querier is an *sql.DB or *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func readOrders(ctx context.Context, q querier, query string, args ...any) ([]shop.Order, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("store: read orders: %w", err)
	}
	defer rows.Close()
	var list []shop.Order
	for rows.Next() {
		o, err := scanOrder(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("store: read orders: %w", err)
		}
		list = append(list, o)
	}
	return list, rows.Err()
}

// SetCode implements shop.OrderStore.
func (s *Store) SetCode(ctx context.Context, outTradeNo, codeURL string, expires time.Time) error {
	return s.exec(ctx, "set QR code", "UPDATE payorder SET code_url = ?, code_expires = ? WHERE out_trade_no = ?", codeURL, millis(expires), outTradeNo)
}

// CloseOrder implements shop.OrderStore.
func (s *Store) CloseOrder(ctx context.Context, outTradeNo string) error {
	return s.exec(ctx, "close order", "UPDATE payorder SET trade_state = ? WHERE out_trade_no = ? AND trade_state = ?", shop.Closed, outTradeNo, shop.NotPaid)
}

// ExpiredOrders implements shop.OrderStore. It leaves out the orders of the old program, which have no expiry.
func (s *Store) ExpiredOrders(ctx context.Context, before time.Time, limit int) (numbers []string, err error) {
	rows, err := s.DB.QueryContext(ctx, "SELECT out_trade_no FROM payorder WHERE trade_state = ? AND expires_at > 0 AND expires_at < ? ORDER BY expires_at LIMIT ?",
		shop.NotPaid, millis(before), limit)
	if err != nil {
		return nil, fmt.Errorf("store: read expired orders: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var no string
		if err := rows.Scan(&no); err != nil {
			return nil, fmt.Errorf("store: read expired orders: %w", err)
		}
		numbers = append(numbers, no)
	}
	return numbers, rows.Err()
}
