package compat_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestRegisterKeepsNotifyTo(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, body := w.register("key", "a", "appid", freeID, "secret", secret, "mch_id", "1900000001", "mch_key", mchKey)
	require.Equal(t, success, body)
	r, err := w.gateway.Apps().Get(t.Context(), "a")
	require.NoError(t, err)
	r.App.SignKey, r.App.Pay.NotifyTo = "a-sign-key-of-this-test", "http://10.0.0.1/paid"
	_, err = w.gateway.Apps().Put(t.Context(), "a", r.App, r.Revision)
	require.NoError(t, err)
	_, body = w.register("key", "a", "appid", freeID, "mch_id", "1900000009", "mch_key", mchKey)
	require.Equal(t, success, body)
	require.Equal(t, &gateway.Pay{Merchant: "1900000009", NotifyTo: "http://10.0.0.1/paid"}, w.registered("a").Pay)
}

// docs: KEY is the name of the app; its appid works there too.
func TestAnAppIsShownByItsAppID(t *testing.T) {
	w := newProxyWorld(t, nil)
	_, byName := w.get(input{path: "/app/shop", key: adminKey})
	require.Contains(t, byName, shopID)
	_, body := w.get(input{path: "/app/" + shopID, key: adminKey})
	require.Equal(t, byName, body)
}

func TestHeadRenewsNothing(t *testing.T) {
	w := newProxyWorld(t, nil)
	q := "?secret=" + url.QueryEscape(secret)
	_, first := w.get(input{path: "/app/shop/api" + q})
	w.get(input{method: "HEAD", path: "/app/shop/api/new" + q})
	_, second := w.get(input{path: "/app/shop/api" + q})
	require.Equal(t, strings.Split(first, ",")[0], strings.Split(second, ",")[0])
}
