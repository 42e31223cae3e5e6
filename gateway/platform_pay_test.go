package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
)

func TestAnAccountOfAPlatformTakesPayments(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		_, err := d.second.Apps().PutJSON(t.Context(), "alice", []byte(`{"kind":"authorized","platform":"saas","app_id":"`+aliceID+`","pay":{"merchant":"m1"}}`), "")
		require.NoError(t, err)
		status, got := call(t, d.second, platformKey, "POST /app/alice/pay/orders", `{"trade":"native","out_trade_no":"order-p1","fen":100,"description":"tea"}`)
		require.Equal(t, http.StatusOK, status, "%v", got)
		require.NotEmpty(t, got["code_url"])
		status, got = call(t, d.second, platformKey, "GET /app/alice/pay/orders/order-p1", "")
		require.Equal(t, http.StatusOK, status, "%v", got)
		require.Equal(t, aliceID, got["app_id"])
		status, _ = call(t, d.second, platformKey, "GET /app/shop/pay/orders/order-p1", "")
		require.Equal(t, http.StatusForbidden, status, "the key is for the accounts of the platform")
	}, func(o *gateway.Options) {
		o.Config.Keys = append(o.Config.Keys, gateway.Key{Name: "saas", Key: platformKey, Apps: []string{"platform:saas"}, Scopes: []string{"pay"}})
		o.Config.Apps["saas"] = gateway.App{AppID: platformID, Secret: secret, Kind: wechat.Platform, Message: &gateway.Message{Token: "token", AESKey: pushKey}}
	})
}
