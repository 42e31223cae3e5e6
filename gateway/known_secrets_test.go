package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// A caller that sends an appid and a secret is known by the present secret, the next one and the previous one.
func TestAnAppKnowsItsSecrets(t *testing.T) {
	app := gateway.App{AppID: laterID, Secret: laterSecret, NextSecret: "the-next-secret", PreviousSecret: "the-previous-secret"}
	inFile := openGateway(t, new(store.Memory), newWeChat(), func(o *gateway.Options) { o.Config.Apps["later"] = app })
	inRecords := openGateway(t, newSealed(t, new(store.Memory)), newWeChat())
	_, err := inRecords.Apps().Put(t.Context(), "later", app, "")
	require.NoError(t, err)
	for _, g := range []*gateway.Gateway{inFile, inRecords} {
		for text, known := range map[string]bool{
			laterSecret: true, "the-next-secret": true, "the-previous-secret": true,
			"": false, "********": false, secret: false, laterSecret + "x": false, laterSecret[1:]: false,
		} {
			a, ok, err := g.AppWithSecret(t.Context(), laterID, text, "/token")
			require.NoError(t, err)
			require.Equal(t, known, ok, text)
			if known {
				require.Equal(t, "later", a.Name())
				require.True(t, a.HasSecret(text))
			}
		}
		for _, other := range []string{"", "the-next-secret"} { // of an app without a next and a previous one
			_, ok, err := g.AppWithSecret(t.Context(), shopID, other, "/token")
			require.NoError(t, err)
			require.False(t, ok)
		}
	}
}
