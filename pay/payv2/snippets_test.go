package payv2_test

// The functions of this file are shown by docs/pay.md word by word.

import (
	"context"
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/store"
)

func moving(v3 pay.Merchant, apiKey string, certificate tls.Certificate, records store.Store, settle func(context.Context, pay.Transaction) error) (*pay.Cashier, error) {
	v2, err := payv2.New(payv2.Config{
		AppID: "wxd678efh567hg6787", MchID: "1900007291", APIKey: apiKey, Certificate: certificate,
		SignType:    payv2.MD5,      // as the orders that are still open were placed
		QueryRefund: v3.QueryRefund, // refunds in the console are notified in v2's form
	})
	if err != nil {
		return nil, err
	}
	return &pay.Cashier{
		Merchants: []pay.Merchant{v3, v2}, // new orders are placed by the first, old ones stay with the version that placed them
		URL:       "https://shop.example.com/wx", Store: records, OnPaid: settle,
	}, nil
}

func TestTheProgramOfThePage(t *testing.T) {
	c, err := moving(&later{orders: map[string]bool{}}, apiKey, certificate(), new(store.Memory), nil)
	require.NoError(t, err)
	require.Equal(t, "v3/"+mchID, c.Name())
	n, err := c.Parse(t.Context(), nil, signed(paid("order-1"), payv2.MD5, apiKey))
	require.NoError(t, err)
	require.Equal(t, "order-1", n.Transaction.OutTradeNo)
}
