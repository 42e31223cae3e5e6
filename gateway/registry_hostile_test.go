package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// A key for a name without an app must be good for the app that is registered with it later, and for no other.
func TestAKeyForAFreeNameIsNotForAnAppWithThatID(t *testing.T) {
	wx := newWeChat()
	wx.AddApp(laterID, laterSecret)
	g := openGateway(t, newSealed(t, new(store.Memory)), wx)
	_, err := g.Apps().Put(t.Context(), "news", gateway.App{AppID: laterID, Secret: laterSecret}, "")
	require.NoError(t, err)
	_, err = g.Apps().Rename(t.Context(), "news", "private", "")
	require.NoError(t, err)
	key := createKey(t, g, shopKey(func(k *gateway.Key) { k.Apps = []string{"news"} }))
	require.Equal(t, http.StatusForbidden, readToken(t, g, "private", key))
}

func TestAKeyForAFreeNameIsNotForAnAppOfTheConfigurationWithThatID(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), func(o *gateway.Options) {
		shop := o.Config.Apps["shop"]
		shop.ID = "old-name"
		o.Config.Apps["shop"] = shop
	})
	key := createKey(t, g, shopKey(func(k *gateway.Key) { k.Apps = []string{"old-name"} }))
	require.Equal(t, http.StatusForbidden, readToken(t, g, "shop", key))
}

// A registered key whose name comes into the configuration, too, must stay revocable, or be good for nothing.
func TestARegisteredKeyWithANameOfTheConfigurationCanBeRevoked(t *testing.T) {
	records := newSealed(t, new(store.Memory))
	wx := newWeChat()
	key := createKey(t, openGateway(t, records, wx), shopKey())
	later := openGateway(t, records, wx, withAdmins, func(o *gateway.Options) {
		o.Config.Keys = append(o.Config.Keys, gateway.Key{Name: "backend", Key: "a-key-of-the-configuration", Apps: []string{"shop"}, Scopes: []string{"token"}})
	})
	w := askAdmin(t, later, adminKey, "DELETE", "/keys/backend", "", nil)
	if w.Code != http.StatusNoContent {
		require.Equal(t, http.StatusUnauthorized, readToken(t, later, "shop", key), "DELETE was answered %d %s", w.Code, w.Body)
	}
}

func TestAKeyThatIsTooLargeIsABadRequest(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	body := `{"name":"x","apps":["shop"],"scopes":["token"],"addresses":["10.0.0.1"` + strings.Repeat(`,"10.0.0.1"`, 95315) + `]}`
	require.LessOrEqual(t, len(body), 1<<20)
	w := askAdmin(t, g, adminKey, "POST", "/keys", body, nil)
	require.Equal(t, 400, w.Code, "%s (Retry-After: %s)", w.Body, w.Header().Get("Retry-After"))
}
