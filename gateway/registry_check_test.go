package gateway_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestACheckFindsWhatPutWouldAndRegistersNothing(t *testing.T) {
	raw := new(store.Memory)
	g := openGateway(t, newSealed(t, raw), newWeChat(), func(o *gateway.Options) { o.Config.PublicURL = "https://wx.example.com" })
	apps, ctx := g.Apps(), t.Context()
	app := gateway.App{AppID: laterID, Secret: laterSecret}
	require.NoError(t, apps.Check(ctx, "later", app, nil))
	_, err := apps.Get(ctx, "later")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)

	_, err = apps.Put(ctx, "later", app, "")
	require.NoError(t, err)
	require.NoError(t, apps.Check(ctx, "later", app, nil), "it would be replaced")
	_, err = apps.Rename(ctx, "later", "latest", "")
	require.NoError(t, err)
	require.ErrorIs(t, apps.Check(ctx, "later", app, nil), gateway.ErrTaken, "its old name still serves WeChat")
	other := app
	other.ID = "later"
	require.ErrorIs(t, apps.Check(ctx, "other", other, nil), gateway.ErrTaken, "its id is that of the renamed one")
	require.ErrorIs(t, apps.Check(ctx, "shop", app, nil), gateway.ErrInFile)
	require.ErrorContains(t, apps.Check(ctx, "a/b", app, nil), "invalid name")
	require.ErrorContains(t, apps.Check(ctx, "new", gateway.App{AppID: laterID}, nil), "secret: must be set")

	merchant := gateway.Merchant{MchID: "1900000001", V2: &gateway.APIv2{APIKey: "0123456789abcdef0123456789abcdef"}}
	app.Pay = &gateway.Pay{Merchant: "m"}
	require.ErrorContains(t, apps.Check(ctx, "new", app, nil), "pay.merchant")
	require.NoError(t, g.Merchants().Check(ctx, "m", merchant))
	require.NoError(t, apps.Check(ctx, "new", app, map[string]gateway.Merchant{"m": merchant}))
	app.Pay.NotifyTo = "crm"
	require.ErrorContains(t, apps.Check(ctx, "new", app, map[string]gateway.Merchant{"m": merchant}), "notify_to")
	_, err = g.Merchants().Get(ctx, "m")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
	_, err = g.Merchants().Put(ctx, "m", merchant, "")
	require.NoError(t, err)
	require.NoError(t, g.Merchants().Check(ctx, "m", merchant))
	require.ErrorIs(t, g.Merchants().Check(ctx, "n", merchant), gateway.ErrTaken)

	unsealed := openGateway(t, raw, newWeChat())
	require.ErrorIs(t, unsealed.Apps().Check(ctx, "new", gateway.App{AppID: laterID, Secret: laterSecret}, nil), gateway.ErrUnsealed)
}

func TestAMerchantIsVerifiedAtWeChat(t *testing.T) {
	payments := new(paytest.Server)
	t.Cleanup(payments.Close)
	account := payments.AddMerchant(paytest.Merchant{MchID: "1900000001", AppIDs: []string{laterID}})
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), func(o *gateway.Options) {
		o.HTTP = payments.Client()
	})
	right := gateway.Merchant{MchID: "1900000001", V2: &gateway.APIv2{APIKey: account.APIKey, SignType: "MD5"}}
	require.NoError(t, g.Merchants().Verify(t.Context(), right, laterID))
	right.V3 = &gateway.APIv3{APIv3Key: account.APIv3Key, Cert: account.Certificate, PrivateKey: account.PrivateKey, PublicKeyID: account.PublicKeyID, PublicKey: account.PublicKey}
	require.NoError(t, g.Merchants().Verify(t.Context(), right, laterID))
	wrong := gateway.Merchant{MchID: "1900000001", V2: &gateway.APIv2{APIKey: "0123456789abcdef0123456789abcdef", SignType: "MD5"}}
	require.Error(t, g.Merchants().Verify(t.Context(), wrong, laterID))
}
