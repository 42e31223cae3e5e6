package shop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// Difference is a payment or refund on which WeChat's bill and the shop do not agree.
type Difference struct {
	OutTradeNo    string
	TransactionID string
	OutRefundNo   string // empty for a payment
	Reason        string // for people
	BillFen       int64  // 0 if the bill does not have it
	ShopFen       int64  // 0 if the shop does not have it
}

// Bill is the comparison of a day.
type Bill struct {
	Day                time.Time
	Payments, Refunds  int   // in WeChat's bill
	PaidFen, RefundFen int64 // in WeChat's bill
	Differences        []Difference
}

// Bill compares WeChat's trade bill (交易账单) of a day in Beijing with the payments and refunds of the shop. The bill is ready at 10:00 on
// the next day; before that the error is pay.ErrBusy.
func (s *Shop) Bill(ctx context.Context, day time.Time) (Bill, error) {
	day = day.In(Beijing)
	day = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, Beijing)
	if ready := day.Add(34 * time.Hour); now().Before(ready) { // APIv2 says that there is none
		return Bill{}, fmt.Errorf("shop: bill of %s: %w until %s", day.Format(time.DateOnly), pay.ErrBusy, ready.Format(time.DateTime))
	}
	rows, err := s.downloadBill(ctx, day)
	if err != nil {
		return Bill{}, fmt.Errorf("shop: bill of %s: %w", day.Format(time.DateOnly), err)
	}
	b := Bill{Day: day}
	for _, row := range rows {
		if row.outRefundNo != "" {
			b.Refunds, b.RefundFen = b.Refunds+1, b.RefundFen+row.fen
		} else {
			b.Payments, b.PaidFen = b.Payments+1, b.PaidFen+row.fen
		}
	}
	if err := s.comparePayments(ctx, &b, rows); err != nil {
		return Bill{}, err
	}
	if err := s.compareRefunds(ctx, &b, rows); err != nil {
		return Bill{}, err
	}
	slices.SortFunc(b.Differences, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.OutTradeNo, y.OutTradeNo), cmp.Compare(x.TransactionID, y.TransactionID), cmp.Compare(x.OutRefundNo, y.OutRefundNo))
	})
	return b, nil
}

// downloadBill returns the rows of a bill. A day without payments has none.
func (s *Shop) downloadBill(ctx context.Context, day time.Time) ([]billRow, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	downloaded := make(chan error, 1)
	go func() {
		err := s.Cashier.Bill(ctx, "ALL", day, w)
		downloaded <- err
		w.CloseWithError(err)
	}()
	rows, err := readBill(r)
	_ = r.CloseWithError(errors.New("the bill cannot be read")) // ends a download that goes on
	if failed := <-downloaded; err == nil {
		err = failed
	}
	if errors.Is(err, pay.ErrNotFound) {
		return nil, nil
	}
	return rows, err
}

// comparePayments adds the differences between the payments of a bill and of the shop.
func (s *Shop) comparePayments(ctx context.Context, b *Bill, rows []billRow) error {
	stored, err := s.Store.Payments(ctx, b.Day, b.Day.AddDate(0, 0, 1))
	if err != nil {
		return err
	}
	missing := make(map[string]Payment)
	for _, p := range stored {
		missing[p.TransactionID] = p
	}
	for _, row := range rows {
		if row.outRefundNo != "" {
			continue
		}
		p, ok := missing[row.transactionID]
		if !ok {
			p, err = s.Store.Payment(ctx, row.transactionID) // of another day, by seconds
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		delete(missing, row.transactionID)
		d := Difference{OutTradeNo: row.outTradeNo, TransactionID: row.transactionID, BillFen: row.fen, ShopFen: p.Fen}
		switch {
		case p.TransactionID == "":
			d.Reason = "the shop does not have the payment"
		case p.Fen != row.fen:
			d.Reason = "the amounts differ"
		case p.OutTradeNo != row.outTradeNo:
			d.Reason = "the shop has it for order " + p.OutTradeNo
		case p.Problem != "":
			d.Reason = p.Problem
		default:
			continue
		}
		b.Differences = append(b.Differences, d)
	}
	for _, p := range missing {
		b.Differences = append(b.Differences, Difference{
			OutTradeNo: p.OutTradeNo, TransactionID: p.TransactionID, ShopFen: p.Fen, Reason: "the bill does not have the payment",
		})
	}
	return nil
}

// billMargin is the time at the end of a day in which a refund that was started may be in the bill of the next day.
const billMargin = 10 * time.Minute

// compareRefunds adds the differences between the refunds of a bill and of the shop.
func (s *Shop) compareRefunds(ctx context.Context, b *Bill, rows []billRow) error {
	stored, err := s.Store.Refunds(ctx, b.Day, b.Day.AddDate(0, 0, 1).Add(-billMargin))
	if err != nil {
		return err
	}
	missing := make(map[string]Refund)
	for _, f := range stored {
		if f.State == pay.Success {
			missing[f.OutRefundNo] = f
		}
	}
	for _, row := range rows {
		if row.outRefundNo == "" {
			continue
		}
		delete(missing, row.outRefundNo)
		f, err := s.Store.Refund(ctx, row.outRefundNo)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		d := Difference{OutTradeNo: row.outTradeNo, TransactionID: row.transactionID, OutRefundNo: row.outRefundNo, BillFen: row.fen, ShopFen: f.Fen}
		switch {
		case f.OutRefundNo == "":
			d.Reason = "the shop does not have the refund"
		case f.Fen != row.fen:
			d.Reason = "the amounts of the refund differ"
		default:
			continue
		}
		b.Differences = append(b.Differences, d)
	}
	for _, f := range missing {
		b.Differences = append(b.Differences, Difference{
			OutTradeNo: f.OutTradeNo, TransactionID: f.TransactionID, OutRefundNo: f.OutRefundNo, ShopFen: f.Fen, Reason: "the bill does not have the refund",
		})
	}
	return nil
}
