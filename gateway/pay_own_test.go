package gateway_test

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// openOwnTill serves an app with a merchant of its own.
func openOwnTill(t *testing.T) *till {
	return openTill(t, func(d *till) {
		shop, own := d.config.Apps["shop"], d.config.Merchants["m1"]
		shop.Pay = &gateway.Pay{Own: &own, NotifyTo: shop.Pay.NotifyTo}
		d.config.Merchants, d.config.Keys = nil, d.config.Keys[:4]
		d.config.Apps = map[string]gateway.App{"shop": shop}
	})
}

func TestAnAppHasTheKeysOfItsMerchant(t *testing.T) {
	d := openOwnTill(t)
	d.place(t, payKey, "shop", "order-1")
	id, err := d.pay.Pay(mchID, "order-1", "o1")
	require.NoError(t, err)
	reports, _ := d.waitReports(t, 1)
	require.Equal(t, id, reports[0]["transaction_id"])
	status, got := d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30}`)
	require.Equal(t, http.StatusOK, status, got)
	require.NotNil(t, d.config.Apps["shop"].Pay.Own, "the configuration of the caller is not changed")
	require.Nil(t, d.config.Merchants)
}

func TestTheKeysOfAnAppsMerchantAreReadStrictlyAndPrintedMasked(t *testing.T) {
	const secret = "a-secret-of-this-test-0123456789"
	parse := func(merchant string) (gateway.Config, error) {
		return gateway.ParseConfig([]byte(`{"apps":{"shop":{"app_id":"wx1","pay":{"merchant":` + merchant + `,"notify_to":"http://shop:8000/paid","notify_sync":true}}}}`))
	}
	c, err := parse(`{"mch_id":"1900000001","v2":{"api_key":"` + secret + `"},"app_ids":["wx2"]}`)
	require.NoError(t, err)
	own := c.Apps["shop"].Pay.Own
	require.Equal(t, "1900000001", own.MchID)
	require.Equal(t, secret, own.V2.APIKey)
	require.Equal(t, gateway.Pay{Own: own, NotifyTo: "http://shop:8000/paid", NotifySync: true}, *c.Apps["shop"].Pay)
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	require.Contains(t, string(encoded), `"merchant":{"mch_id":"1900000001"`)
	for _, text := range []string{string(encoded), fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%v %+v %#v", *c.Apps["shop"].Pay, c.Apps["shop"].Pay, own)} {
		require.NotContains(t, text, secret)
	}
	again := new(gateway.Pay)
	data, err := json.Marshal(c.Apps["shop"].Pay)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, again))
	require.Equal(t, "1900000001", again.Own.MchID)

	c, err = parse(`"m1"`)
	require.NoError(t, err)
	require.Equal(t, gateway.Pay{Merchant: "m1", NotifyTo: "http://shop:8000/paid", NotifySync: true}, *c.Apps["shop"].Pay)
	for merchant, want := range map[string]string{
		`1900000001`:                               "apps.shop.pay.merchant: want text, not a number (text of digits needs quotes)",
		`["m1"]`:                                   "apps.shop.pay.merchant: want text, not a list",
		`null`:                                     "apps.shop.pay.merchant: is empty",
		`""`:                                       "apps.shop.pay.merchant: is empty",
		`{"mch_id":1900000001}`:                    "apps.shop.pay.merchant.mch_id: want text, not a number",
		`{"MchID":"1"}`:                            `apps.shop.pay.merchant: unknown key "MchID"`,
		`{"v3":{"API_V3_key":"` + secret + `"}}`:   `apps.shop.pay.merchant.v3: unknown key "API_V3_key": want api_v3_key`,
		`{"v2":{"api_key":null}}`:                  "apps.shop.pay.merchant.v2.api_key: is empty",
		`{"mch_id":"1","mch_id":"2"}`:              `apps.shop.pay.merchant: key "mch_id" is given twice`,
		`"m1","merchant":{"mch_id":"1"}`:           "apps.shop.pay.merchant: want a mapping, not text", // the last one decides
		`{"mch_id":"1"},"merchant":"m1"`:           "apps.shop.pay.merchant: want text, not a mapping",
		`{"mch_id":"1"},"Merchant":"m1"`:           "apps.shop.pay.merchant: want text, not a mapping",
		`{"v2":{"api_key":["` + secret + `"]}}`:    "apps.shop.pay.merchant.v2.api_key: want text, not a list",
		`{"mch_id":"1","notify_to":"http://x/y"}`:  `apps.shop.pay.merchant: unknown key "notify_to"`,
		`{"mch_id":"1"},"notify_url":"http://x/y"`: `apps.shop.pay: unknown key "notify_url"`,
	} {
		_, err := parse(merchant)
		require.ErrorContains(t, err, want, merchant)
		require.NotContains(t, err.Error(), secret)
	}
}

func TestTheMerchantOfAnAppIsCheckedInWords(t *testing.T) {
	base := openOwnTill(t).config
	for want, change := range map[string]func(c *gateway.Config, p *gateway.Pay){
		"apps.shop.pay.merchant: want a name or keys, not both":       func(_ *gateway.Config, p *gateway.Pay) { p.Merchant = "m1" },
		"apps.shop.pay.merchant: merchants has one named shop, too":   func(c *gateway.Config, p *gateway.Pay) { c.Merchants["shop"] = *p.Own },
		"merchants.zz.mch_id: merchant \"shop\" has the same number":  func(c *gateway.Config, p *gateway.Pay) { c.Merchants["zz"] = *p.Own },
		"apps.shop.pay.merchant.mch_id: merchant \"a\" has the same":  func(c *gateway.Config, p *gateway.Pay) { c.Merchants["a"] = *p.Own },
		"apps.shop.pay.merchant.mch_id: want the digits":              func(_ *gateway.Config, p *gateway.Pay) { p.Own.MchID = "m" },
		"apps.shop.pay.merchant.v3: must be set, or v2":               func(_ *gateway.Config, p *gateway.Pay) { p.Own.V3 = nil },
		"apps.shop.pay.merchant.v3.api_v3_key: has 3 bytes":           func(_ *gateway.Config, p *gateway.Pay) { p.Own.V3.APIv3Key = "abc" },
		"apps.shop.pay.merchant.v3.api_v3_key: begins":                func(_ *gateway.Config, p *gateway.Pay) { p.Own.V3.APIv3Key += " " },
		"apps.shop.pay.merchant.v3.cert_file: open /nowhere":          func(_ *gateway.Config, p *gateway.Pay) { p.Own.V3.Cert, p.Own.V3.CertFile = "", "/nowhere" },
		"apps.shop.pay.merchant.v3.cert: the certificate expired on ": func(_ *gateway.Config, p *gateway.Pay) { p.Own.V3.Cert = certificate(t, -2, -1) },
		"apps.shop.pay.notify_sync: needs notify_to":                  func(_ *gateway.Config, p *gateway.Pay) { p.NotifySync, p.NotifyTo = true, "" },
	} {
		c, a := base, base.Apps["shop"]
		own, v3, p := *a.Pay.Own, *a.Pay.Own.V3, *a.Pay
		own.V3, p.Own, a.Pay = &v3, &own, &p
		c.Merchants, c.Apps = map[string]gateway.Merchant{}, map[string]gateway.App{"shop": a}
		change(&c, &p)
		_, err := gateway.New(gateway.Options{Config: c, Log: slog.New(slog.DiscardHandler)})
		require.ErrorContains(t, err, want)
		require.Equal(t, 1, strings.Count(err.Error(), "gateway: config:"), err)
	}
}

func TestTheMerchantOfAnAppIsPartOfTheConfigurationAlone(t *testing.T) {
	payKeys()
	wx := &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { return payKeys()[1], nil }}
	t.Cleanup(wx.Close)
	own := merchantOf(wx.AddMerchant(paytest.Merchant{MchID: mchID, Key: payKeys()[0]}))
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins, func(o *gateway.Options) {
		o.Config.PublicURL = "https://wx.example.com"
		set(&o.Config, "shop", func(a *gateway.App) { a.Pay = &gateway.Pay{Own: &own} })
	})
	h := g.Private()
	got := callRegistry(t, h, "GET", "/apps/shop", "")
	require.Equal(t, http.StatusOK, got.Code)
	require.Contains(t, got.Body.String(), `"pay":{"merchant":"shop"}`)
	got = callRegistry(t, h, "GET", "/merchants/shop", "")
	require.Equal(t, http.StatusOK, got.Code)
	require.Contains(t, got.Body.String(), mchID)
	require.NotContains(t, got.Body.String(), own.V3.APIv3Key)
	got = callRegistry(t, h, "PUT", "/merchants/shop", `{"mch_id":"1"}`)
	require.Equal(t, http.StatusConflict, got.Code, got.Body)

	inline, err := json.Marshal(map[string]any{"mch_id": mchID, "v2": map[string]string{"api_key": strings.Repeat("k", 32)}})
	require.NoError(t, err)
	got = callRegistry(t, h, "PUT", "/apps/later", strings.TrimSuffix(laterBody, "}")+`,"pay":{"merchant":`+string(inline)+`}}`)
	require.Equal(t, http.StatusBadRequest, got.Code, got.Body)
	require.Contains(t, got.Body.String(), "pay.merchant: want")
	_, err = g.Apps().Put(t.Context(), "later", gateway.App{AppID: laterID, Secret: laterSecret, Pay: &gateway.Pay{Merchant: "shop", Own: &own}}, "")
	require.ErrorContains(t, err, "pay.merchant: want a name")
	_, err = g.Apps().Get(t.Context(), "later")
	require.ErrorIs(t, err, gateway.ErrNotRegistered)
}
