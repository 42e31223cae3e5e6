package gateway

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/pay/payv3"
)

// appMerchant is a Merchant of an app, over one version of the API. Each call uses the current keys of the merchant.
type appMerchant[M signer] struct {
	merchant *merchant
	build    func(*merchantKeys) (M, error)
	built    atomic.Pointer[builtMerchant[M]]
}

// signer is a Merchant that signs the arguments of a payment.
type signer interface {
	pay.Merchant
	Params(trade pay.Trade, appID, prepayID string) (map[string]string, error)
}

type builtMerchant[M signer] struct {
	keys     *merchantKeys
	merchant M
}

// appMerchantV3 is the Merchant of an app over APIv3, which also makes transfers.
type appMerchantV3 struct{ appMerchant[*payv3.Merchant] }

var (
	_ pay.Merchant   = (*appMerchantV3)(nil)
	_ pay.Transferer = (*appMerchantV3)(nil)
	_ pay.Merchant   = (*appMerchant[*payv2.Merchant])(nil)
)

// newAppMerchants returns the Merchants of an app. The first one places new orders. v3 is nil for a merchant without APIv3.
func (g *Gateway) newAppMerchants(m *merchant, appID string) (all []pay.Merchant, v3 *appMerchantV3) {
	if m.config.V3 != nil {
		v3 = &appMerchantV3{appMerchant[*payv3.Merchant]{merchant: m, build: func(keys *merchantKeys) (*payv3.Merchant, error) {
			return m.buildV3(keys, appID, g)
		}}}
		all = append(all, v3)
	}
	if m.config.V2 != nil {
		var queryRefund func(context.Context, string) (pay.Refund, error)
		if v3 != nil {
			queryRefund = v3.QueryRefund
		}
		all = append(all, &appMerchant[*payv2.Merchant]{merchant: m, build: func(keys *merchantKeys) (*payv2.Merchant, error) {
			return m.buildV2(keys, appID, queryRefund, g)
		}})
	}
	if m.config.Version == "v2" {
		slices.Reverse(all)
	}
	return all, v3
}

// current returns the Merchant with the current keys.
func (a *appMerchant[M]) current() M {
	keys := a.merchant.keys.Load()
	if b := a.built.Load(); b != nil && b.keys == keys {
		return b.merchant
	}
	m, err := a.build(keys)
	if err != nil { // impossible: reread has checked the keys, and Config.Check the ids
		if b := a.built.Load(); b != nil {
			return b.merchant
		}
		panic(err)
	}
	a.built.Store(&builtMerchant[M]{keys, m})
	return m
}

func (a *appMerchant[M]) Name() string { return a.current().Name() }

func (a *appMerchant[M]) Prepay(ctx context.Context, o pay.Order) (pay.Prepaid, error) {
	return a.current().Prepay(ctx, o)
}

func (a *appMerchant[M]) Query(ctx context.Context, no string) (pay.Transaction, error) {
	return a.current().Query(ctx, no)
}

func (a *appMerchant[M]) Close(ctx context.Context, no string) error {
	return a.current().Close(ctx, no)
}

func (a *appMerchant[M]) Reverse(ctx context.Context, no string) error {
	return a.current().Reverse(ctx, no)
}

func (a *appMerchant[M]) Refund(ctx context.Context, f pay.Refund) (pay.Refund, error) {
	return a.current().Refund(ctx, f)
}

func (a *appMerchant[M]) QueryRefund(ctx context.Context, no string) (pay.Refund, error) {
	return a.current().QueryRefund(ctx, no)
}

func (a *appMerchant[M]) Bill(ctx context.Context, kind string, day time.Time, w io.Writer) error {
	return a.current().Bill(ctx, kind, day, w)
}

func (a *appMerchant[M]) Parse(ctx context.Context, header http.Header, body []byte) (pay.Notification, error) {
	return a.current().Parse(ctx, header, body)
}

func (a *appMerchant[M]) Answer(w http.ResponseWriter, err error) { a.current().Answer(w, err) }

func (a *appMerchantV3) Transfer(ctx context.Context, t pay.Transfer) (pay.Transfer, error) {
	return a.current().Transfer(ctx, t)
}

func (a *appMerchantV3) QueryTransfer(ctx context.Context, no string) (pay.Transfer, error) {
	return a.current().QueryTransfer(ctx, no)
}

func (a *appMerchantV3) CancelTransfer(ctx context.Context, no string) (pay.Transfer, error) {
	return a.current().CancelTransfer(ctx, no)
}

// Params signs the arguments of a payment. Cashier calls it by an interface.
func (a *appMerchant[M]) Params(trade pay.Trade, appID, prepayID string) (map[string]string, error) {
	return a.current().Params(trade, appID, prepayID)
}
