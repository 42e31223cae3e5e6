package shop

import (
	"context"
	"errors"
	"time"
)

// Difference is a payment or refund on which WeChat's bill and the shop do not agree.
type Difference struct {
	OutTradeNo    string
	TransactionID string
	OutRefundNo   string // empty for a payment
	Reason        string // a sentence for people
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

// Bill compares WeChat's trade bill (交易账单) of a day in Beijing with the payments and refunds of the shop.
func (s *Shop) Bill(ctx context.Context, day time.Time) (Bill, error) {
	return Bill{}, errors.ErrUnsupported
}
