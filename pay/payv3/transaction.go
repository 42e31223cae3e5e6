package payv3

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/internal/wirejson"
	"github.com/wetoken/wetoken/pay"
)

// transaction is an order on the wire, in answers and notifications, of a merchant or of a provider.
type transaction struct {
	AppID         string `json:"appid"`
	MchID         string `json:"mchid"`
	SpAppID       string `json:"sp_appid"`
	SpMchID       string `json:"sp_mchid"`
	SubAppID      string `json:"sub_appid"`
	SubMchID      string `json:"sub_mchid"`
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	TradeType     word   `json:"trade_type"`
	TradeState    word   `json:"trade_state"`
	Attach        string `json:"attach"`
	SuccessTime   moment `json:"success_time"`
	Payer         struct {
		OpenID    string `json:"openid"`
		SpOpenID  string `json:"sp_openid"`
		SubOpenID string `json:"sub_openid"`
	} `json:"payer"`
	Amount amount `json:"amount"`

	// Of combined orders.
	CombineOutTradeNo string            `json:"combine_out_trade_no"`
	CombineAppID      string            `json:"combine_appid"`
	CombineMchID      string            `json:"combine_mchid"`
	CombinePayer      payer             `json:"combine_payer_info"`
	SubOrders         []json.RawMessage `json:"sub_orders"`
}

type payer struct {
	OpenID string `json:"openid"`
}

// amount is in fen. The parts of a combined order have other names for it.
type amount struct {
	Total       int64 `json:"total"`
	PayerTotal  int64 `json:"payer_total"`
	TotalAmount int64 `json:"total_amount"`
	PayerAmount int64 `json:"payer_amount"`
	Refund      int64 `json:"refund"`

	Currency string `json:"currency"`
}

// foreign returns the currency unless it is CNY.
func (a amount) foreign() string {
	if a.Currency == "CNY" {
		return ""
	}
	return a.Currency
}

func (a amount) fen() int64 { return cmp.Or(a.Total, a.TotalAmount) }

// check returns an error for an order without the values that every order has.
func (t transaction) check() error {
	switch {
	case t.OutTradeNo == "":
		return errors.New("it has no out_trade_no")
	case t.TradeState == "":
		return errors.New("it has no trade_state")
	case t.Amount.fen() < 0, t.Amount.fen() == 0 && (pay.Transaction{State: pay.State(t.TradeState)}).Paid():
		return errors.New("it has no amount")
	}
	return nil
}

// plain returns t as a pay.Transaction.
func (t transaction) plain(raw []byte) pay.Transaction {
	return pay.Transaction{
		OutTradeNo: t.OutTradeNo, TransactionID: t.TransactionID,
		AppID: firstOf(t.AppID, t.SpAppID), MchID: firstOf(t.MchID, t.SpMchID), SubAppID: t.SubAppID, SubMchID: t.SubMchID,
		Trade: tradeOf(string(t.TradeType)), State: pay.State(t.TradeState),
		Currency: t.Amount.foreign(), Fen: t.Amount.fen(), PayerFen: cmp.Or(t.Amount.PayerTotal, t.Amount.PayerAmount),
		OpenID: firstOf(t.Payer.SubOpenID, t.Payer.OpenID, t.Payer.SpOpenID), Attach: t.Attach, PaidAt: t.SuccessTime.Time,
		Raw: wirejson.Clean(raw),
	}
}

// parts returns the orders within a combined order.
func (t transaction) parts() (list []pay.Transaction, err error) {
	for _, raw := range t.SubOrders {
		var part transaction
		if err := decode(raw, &part); err != nil {
			return nil, err
		}
		if err := part.check(); err != nil {
			return nil, fmt.Errorf("sub_orders: %w", err)
		}
		p := part.plain(raw)
		p.AppID, p.OpenID = firstOf(p.AppID, t.CombineAppID), firstOf(p.OpenID, t.CombinePayer.OpenID)
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, errors.New("it has no sub_orders")
	}
	return list, nil
}

// tradeOf returns the trade for WeChat's trade_type.
func tradeOf(word string) pay.Trade {
	switch word {
	case "MWEB":
		return pay.H5
	case "MICROPAY":
		return pay.Code
	}
	return pay.Trade(strings.ToLower(word))
}
