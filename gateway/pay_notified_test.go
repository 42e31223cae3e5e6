package gateway_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/pay"
)

func TestARegisteredAppIsFoundByItsMerchant(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		other := laterApp("m2")
		other.AppID = "wx2222222222222222"
		_, err := d.first.Apps().Put(t.Context(), "another", other, "")
		require.NoError(t, err)
		advance(2 * time.Second)
		for name, n := range map[string]pay.Transaction{
			"later":   {MchID: mchID, AppID: laterID},
			"another": {MchID: mchID, AppID: other.AppID},
		} {
			a, err := d.second.PaidApp(t.Context(), n)
			require.NoError(t, err, name)
			require.Equal(t, name, a.Name())
		}
		a, err := d.second.PaidApp(t.Context(), pay.Transaction{MchID: mchID, AppID: "wx3333333333333333"})
		require.NoError(t, err, "it may be one of app_ids of the merchant: the app verifies it")
		require.Equal(t, "another", a.Name())
		for _, n := range []pay.Transaction{
			{MchID: "1", AppID: laterID}, {AppID: laterID}, {MchID: mchID, SubMchID: "1", AppID: laterID}, {MchID: "a/b"}, {MchID: mchID + "\n", AppID: laterID},
		} {
			_, err := d.second.PaidApp(t.Context(), n)
			require.ErrorIs(t, err, gateway.ErrNoApp, "%+v", n)
		}
	})
}
