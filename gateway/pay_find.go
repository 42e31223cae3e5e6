package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

// foundOrder is the part of an order that names it.
type foundOrder struct {
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
}

// findOutTradeNo asks WeChat for the number of the order of a payment. It may be an order of another app.
func (a *app) findOutTradeNo(ctx context.Context, transactionID string) (string, error) {
	if !isTransactionID(transactionID) {
		return "", &pay.FieldError{Field: "Refund.TransactionID", Reason: "is invalid: want 1 to 32 letters and digits"}
	}
	var found foundOrder
	err := error(&pay.Error{Op: "query order", Cause: pay.ErrNotFound, Number: "transaction_id " + transactionID})
	for _, m := range a.pay.cashier.Merchants {
		switch m := m.(type) {
		case *appMerchantV3:
			found, err = m.find(ctx, transactionID)
		case *appMerchant[*payv2.Merchant]:
			found, err = findV2(ctx, m.current(), transactionID)
		}
		if !errors.Is(err, pay.ErrNotFound) {
			break
		}
	}
	if err == nil && (found.TransactionID != transactionID || found.OutTradeNo == "") {
		err = &pay.Error{Op: "query order", Cause: pay.ErrUnknown, Number: "transaction_id " + transactionID, Err: errors.New("the answer is on another payment")}
	}
	return found.OutTradeNo, err
}

func isTransactionID(text string) bool {
	for _, c := range []byte(text) {
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') {
			return false
		}
	}
	return text != "" && len(text) <= 32
}

func (a *appMerchantV3) find(ctx context.Context, transactionID string) (found foundOrder, err error) {
	mchID, shop := a.merchant.config.MchID, a.merchant.config.SubMchID
	path, party := "/v3/pay/transactions/id/", url.Values{"mchid": {mchID}}
	if shop != "" {
		path, party = "/v3/pay/partner/transactions/id/", url.Values{"sp_mchid": {mchID}, "sub_mchid": {shop}}
	}
	err = a.current().Do(ctx, http.MethodGet, path+transactionID+"?"+party.Encode(), nil, &found)
	return found, err
}

func findV2(ctx context.Context, m *payv2.Merchant, transactionID string) (foundOrder, error) {
	fields, err := m.Do(ctx, "/pay/orderquery", map[string]string{"transaction_id": transactionID})
	return foundOrder{fields["out_trade_no"], fields["transaction_id"]}, err
}
