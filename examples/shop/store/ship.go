package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
)

// Ship implements shop.ShipStore.
func (s *Store) Ship(ctx context.Context, o shop.Order, upload bool) (shipped bool, err error) {
	var due int64
	if upload {
		due = millis(o.ShippedAt)
	}
	err = s.within(ctx, "ship order", func(tx *sql.Tx) error {
		shipped, err = change(ctx, tx, `UPDATE payorder SET trade_state = ?, express_company = ?, tracking_no = ?, shipped_at = ?, upload_due = ?
			WHERE out_trade_no = ? AND trade_state = ?
			AND NOT EXISTS (SELECT 1 FROM refund WHERE refund.transaction_id = ? AND refund.state NOT IN (?, ?))`,
			shop.Shipped, o.ExpressCompany, o.TrackingNo, millis(o.ShippedAt), due, o.OutTradeNo, shop.Paid,
			o.TransactionID, pay.Closed, pay.Success)
		return err
	})
	return shipped, err
}

// ClaimUploads implements shop.ShipStore.
func (s *Store) ClaimUploads(ctx context.Context, due, again time.Time, limit int) (claimed []shop.Order, err error) {
	err = s.within(ctx, "claim uploads", func(tx *sql.Tx) error {
		claimed = nil
		query := "SELECT " + orderColumns + " FROM payorder WHERE upload_due > 0 AND upload_due <= ? ORDER BY upload_due LIMIT ?"
		list, err := readOrders(ctx, tx, query, millis(due), limit)
		if err != nil {
			return err
		}
		for _, o := range list {
			mine, err := change(ctx, tx, "UPDATE payorder SET upload_due = ? WHERE out_trade_no = ? AND upload_due > 0 AND upload_due <= ?",
				millis(again), o.OutTradeNo, millis(due))
			if err != nil {
				return err
			}
			if mine {
				claimed = append(claimed, o)
			}
		}
		return nil
	})
	return claimed, err
}

// EndUpload implements shop.ShipStore.
func (s *Store) EndUpload(ctx context.Context, outTradeNo, failed string, again time.Time) error {
	var due int64
	if failed != "" {
		due = millis(again)
		failed = fmt.Sprintf("%.200s", failed)
	}
	return s.exec(ctx, "end upload", "UPDATE payorder SET upload_due = ?, upload_error = ? WHERE out_trade_no = ?", due, failed, outTradeNo)
}
