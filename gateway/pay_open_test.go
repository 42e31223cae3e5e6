package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestARegisteredAppHasOpenPay(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 50 })
		advance(2 * time.Second)
		var shown map[string]any
		require.Equal(t, 200, askAdmin(t, d.second, adminKey, "GET", "/apps/later", "", &shown).Code)
		require.Equal(t, map[string]any{"max_fen": 50.0}, shown["open_pay"])
		for fen, allowed := range map[int64]bool{1: true, 50: true, 51: false} {
			_, _, err := visit(t, d.second, "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: fen})
			require.Equal(t, allowed, err == nil, "%d: %v", fen, err)
		}
		_, _, err := visit(t, d.second, "shop", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: 1})
		require.ErrorIs(t, err, pay.ErrDenied, "off by default")
		_, err = d.first.Apps().PutJSON(t.Context(), "later", []byte(`{"app_id":"`+laterID+`","secret":"`+laterSecret+`","sign_key":"`+signKey+`","open_pay":{"max_fen":50}}`), "")
		require.ErrorContains(t, err, "open_pay.max_fen: needs pay")
	})
}

func TestOpenPayIsChecked(t *testing.T) {
	d := openTill(t, nil)
	for want, change := range map[string]func(*gateway.App){
		"":                                 func(a *gateway.App) { a.OpenPay.MaxFen = 100 },
		"open_pay.max_fen: want 0 or more": func(a *gateway.App) { a.OpenPay.MaxFen = -1 },
		"open_pay.max_fen: needs pay":      func(a *gateway.App) { a.OpenPay.MaxFen, a.Pay = 1, nil },
		"open_pay.max_fen: needs sign_key, which signs what browsers keep": func(a *gateway.App) { a.OpenPay.MaxFen, a.SignKey = 1, "" },
	} {
		c := d.config
		c.Apps = map[string]gateway.App{"shop": d.config.Apps["shop"]}
		c.Keys = c.Keys[:1]
		set(&c, "shop", change)
		err := c.Check()
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, "gateway: config: apps.shop."+want)
	}
	var a gateway.App
	require.NoError(t, gateway.Decode([]byte(`{"open_pay":{"max_fen":7}}`), &a))
	require.EqualValues(t, 7, a.OpenPay.MaxFen)
	require.ErrorContains(t, gateway.Decode([]byte(`{"open_pay":{"max":7}}`), &a), `open_pay: unknown key "max"`)
}

// The counts are in the shared store, so that they end by themselves.
func TestOrdersOfABrowserCountForTwoHours(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t, func(a *gateway.App) { a.OpenPay.MaxFen = 1000 })
		advance(2 * time.Second)
		_, cookies, err := visit(t, d.second, "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: 1000})
		require.NoError(t, err)
		place := func(fen int) error {
			_, _, err := visit(t, []*gateway.Gateway{d.first, d.second}[fen%2], "later", "", pay.Order{Trade: pay.Native, Description: "socks", Fen: int64(fen)}, cookies...)
			return err
		}
		for fen := range 4 {
			require.NoError(t, place(1+fen))
		}
		require.ErrorIs(t, place(5), pay.ErrBusy)
		advance(2*time.Hour + time.Minute)
		require.NoError(t, place(5))

		// An order that WeChat has refused counts for a minute.
		d.wx.AddFault(paytest.Fault{Path: "/v3/pay/transactions/native", Code: "PARAM_ERROR", Times: 4})
		for fen := range 4 {
			require.Error(t, place(10+fen))
		}
		require.ErrorIs(t, place(20), pay.ErrBusy)
		advance(2 * time.Minute)
		require.NoError(t, place(20))
	})
}
