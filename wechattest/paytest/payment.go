package paytest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Pay pays an order of a merchant or sub-merchant, as a payer does, and notifies the merchant. A part
// of a combined order pays all of it. openID is the payer, where the order does not name one; default a made one.
func (s *Server) Pay(mchID, outTradeNo, openID string) (transactionID string, err error) {
	return s.pay(mchID, outTradeNo, openID, false)
}

// PayLate pays an order even if it was closed or has expired, as happens to one that was being paid at that moment.
func (s *Server) PayLate(mchID, outTradeNo, openID string) (transactionID string, err error) {
	return s.pay(mchID, outTradeNo, openID, true)
}

func (s *Server) pay(mchID, outTradeNo, openID string, late bool) (string, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.order(mchID, outTradeNo, now)
	if err != nil {
		return "", err
	}
	if err := s.payOrder(o, openID, now, late); err != nil {
		return "", err
	}
	return o.transactionID, nil
}

// payOrder pays an order and all that was placed together with it.
func (s *Server) payOrder(o *order, openID string, now time.Time, late bool) error {
	orders := o.together()
	for _, part := range orders {
		if err := part.payable(openID, now, late); err != nil {
			return err
		}
	}
	for _, part := range orders {
		s.settlePaid(part, openID, now)
	}
	if o.partOf != nil {
		s.notifyCombined(o.partOf, now)
	} else if o.notifyURL != "" {
		s.notifyPaid(o, now)
	}
	return nil
}

// together returns the orders that are paid at once: the parts of a combined order, or the order alone.
func (o *order) together() []*order {
	if o.partOf != nil {
		return o.partOf.parts
	}
	return []*order{o}
}

// payable returns an error if the order cannot be paid.
func (o *order) payable(openID string, now time.Time, late bool) error {
	switch {
	case o.state == success || o.state == refunded:
		return errors.New("paytest: the order is paid already")
	case o.openID != "" && openID != "" && o.openID != openID && o.subOpenID != openID:
		return errors.New("paytest: the order is for another openid")
	case late:
		return nil
	case o.state != notPaid && o.state != paying:
		return fmt.Errorf("paytest: the order is %s", o.state)
	case !now.Before(o.expires):
		return errors.New("paytest: the order has expired")
	case o.trade != "MICROPAY" && now.Sub(o.prepaidAt) >= prepaidFor:
		return errors.New("paytest: the prepay_id has expired")
	}
	return nil
}

// settlePaid turns an order into a paid one.
func (s *Server) settlePaid(o *order, openID string, now time.Time) {
	if o.openID == "" && o.subOpenID == "" {
		o.openID = openID
		if openID == "" {
			o.openID = "o" + randomText(27)
		}
	}
	s.serial++
	o.transactionID = fmt.Sprintf("4200%06d%s%010d", s.serial%1e6, now.In(beijing).Format("20060102"), s.serial)
	o.state, o.paying, o.paidAt = success, false, now
	o.payee.transactions[o.transactionID] = o
	o.payee.balance += o.total
	o.payee.record(&billRow{at: now, order: o, state: success})
}

// StartPaying makes a payer begin to pay an order. Until it is paid or cancelled a close answers 202 USER_PAYING.
func (s *Server) StartPaying(mchID, outTradeNo string) error {
	return s.setPaying(mchID, outTradeNo, true)
}

// CancelPaying makes a payer cancel the payment. An order stays NOTPAY; one by payment code becomes
// PAYERROR.
func (s *Server) CancelPaying(mchID, outTradeNo string) error {
	return s.setPaying(mchID, outTradeNo, false)
}

func (s *Server) setPaying(mchID, outTradeNo string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.order(mchID, outTradeNo, time.Now())
	if err != nil {
		return err
	}
	return o.setPaying(on)
}

func (o *order) setPaying(on bool) error {
	if o.state != notPaid && o.state != paying {
		return fmt.Errorf("paytest: the order is %s", o.state)
	}
	for _, part := range o.together() {
		part.paying = on
	}
	if !on && o.state == paying {
		o.state = payError
	}
	return nil
}

func (s *Server) order(mchID, outTradeNo string, now time.Time) (*order, error) {
	a := s.accounts[mchID]
	if a == nil {
		return nil, fmt.Errorf("paytest: no merchant %q", mchID)
	}
	o := a.orders[outTradeNo]
	if o == nil {
		return nil, fmt.Errorf("paytest: no order %q of merchant %q", outTradeNo, mchID)
	}
	o.settle(now)
	return o, nil
}

// Order is an order as it is now.
type Order struct {
	MchID         string    `json:"mchid"` // of the payee
	OutTradeNo    string    `json:"out_trade_no"`
	TransactionID string    `json:"transaction_id"`
	TradeType     string    `json:"trade_type"`
	State         string    `json:"state"`
	Total         int64     `json:"total"`    // fen
	Refunded      int64     `json:"refunded"` // fen, of refunds that are not closed
	Description   string    `json:"description"`
	OpenID        string    `json:"openid"`
	NotifyURL     string    `json:"notify_url"`
	PrepayID      string    `json:"prepay_id"`
	CodeURL       string    `json:"code_url"`
	Created       time.Time `json:"created"`
	Expires       time.Time `json:"expires"`
	PaidAt        time.Time `json:"paid_at"`
}

// Order returns an order of a merchant or sub-merchant.
func (s *Server) Order(mchID, outTradeNo string) (Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.order(mchID, outTradeNo, time.Now())
	if err != nil {
		return Order{}, err
	}
	return o.shown(), nil
}

// Paid returns the order of a transaction_id.
func (s *Server) Paid(transactionID string) (Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if o := a.transactions[transactionID]; o != nil {
			return o.shown(), nil
		}
	}
	return Order{}, fmt.Errorf("paytest: no transaction %q", transactionID)
}

// Orders returns the orders of a merchant or sub-merchant, the oldest first.
func (s *Server) Orders(mchID string) (list []Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[mchID]; a != nil {
		now := time.Now()
		for _, o := range a.orders {
			o.settle(now)
			list = append(list, o.shown())
		}
	}
	slices.SortFunc(list, func(x, y Order) int {
		return cmp.Or(x.Created.Compare(y.Created), cmp.Compare(x.OutTradeNo, y.OutTradeNo))
	})
	return list
}

// Prepaid returns the order that a prepay_id or a code_url pays.
func (s *Server) Prepaid(idOrCodeURL string) (Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.prepaid[idOrCodeURL]
	if o == nil || time.Since(o.prepaidAt) >= prepaidFor {
		return Order{}, errors.New("paytest: no such prepay_id or code_url, or it has expired")
	}
	return o.shown(), nil
}

func (o *order) shown() Order {
	return Order{
		MchID: o.payee.id, OutTradeNo: o.outTradeNo, TransactionID: o.transactionID, TradeType: o.trade, State: o.state,
		Total: o.total, Refunded: o.refunded, Description: o.description, OpenID: o.openID, NotifyURL: o.notifyURL,
		PrepayID: o.prepayID, CodeURL: o.codeURL, Created: o.created, Expires: o.expires, PaidAt: o.paidAt,
	}
}
