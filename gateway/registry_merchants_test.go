package gateway_test

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestAChangedKeyIsUsedInEveryProcess(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		d.register(t)
		status, _ := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status)
		next := d.wx.AddMerchant(paytest.Merchant{MchID: mchID, APIv3Key: d.shown.APIv3Key, Balance: 1000, Key: payKeys()[2]})
		require.NotEqual(t, d.shown.SerialNo, next.SerialNo)
		status, got := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-2"))
		require.Equal(t, http.StatusBadGateway, status, got)

		now, err := d.first.Merchants().Get(t.Context(), "m2")
		require.NoError(t, err)
		half := `{"mch_id":"` + mchID + `","v3":{"cert":` + quote(next.Certificate) + `,"public_key_id":"` + next.PublicKeyID + `","public_key":` + quote(next.PublicKey) + `}}`
		_, err = d.first.Merchants().PutJSON(t.Context(), "m2", []byte(half), now.Revision)
		require.ErrorContains(t, err, "v3.cert: does not belong")
		whole := strings.Replace(half, `"v3":{`, `"v3":{"api_v3_key":"********","private_key":`+quote(next.PrivateKey)+`,`, 1)
		changed, err := d.first.Merchants().PutJSON(t.Context(), "m2", []byte(whole), now.Revision)
		require.NoError(t, err)
		require.Equal(t, d.shown.APIv3Key, changed.Merchant.V3.APIv3Key)
		advance(2 * time.Second)
		for i, g := range []*gateway.Gateway{d.first, d.second} {
			status, got = call(t, g, wideKey, "POST /app/later/pay/orders", orderOf(fmt.Sprint("order-3", i)))
			require.Equal(t, http.StatusOK, status, got)
		}
		for _, printed := range []string{fmt.Sprintf("%v %+v %#v", changed, &changed, changed), string(must(json.Marshal(changed)))} {
			require.NotContains(t, printed, d.shown.APIv3Key)
			require.NotContains(t, printed, "PRIVATE KEY")
			require.Contains(t, printed, mchID)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_ = d.first.Run(ctx) // it logs certificates first, then daily
		require.Contains(t, d.log.text(), `"days until the API certificate of a merchant expires" merchant=m2`)
	})
}

func TestWhatCannotBeARegisteredMerchantIsRefused(t *testing.T) {
	payKeys()
	wx := &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { return payKeys()[1], nil }}
	t.Cleanup(wx.Close)
	shown, other := wx.AddMerchant(paytest.Merchant{MchID: mchID, Key: payKeys()[0]}), wx.AddMerchant(paytest.Merchant{MchID: mchID + "9", Key: payKeys()[2]})
	good := merchantOf(shown)
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), func(o *gateway.Options) {
		o.Config.Merchants = map[string]gateway.Merchant{"filed": merchantOf(wx.AddMerchant(paytest.Merchant{MchID: "1900000002", Key: payKeys()[0]}))}
	})
	ctx := t.Context()
	for says, c := range map[string]struct {
		name   string
		change func(*gateway.Merchant)
	}{
		"can be changed only there":                  {"filed", func(*gateway.Merchant) {}},
		`merchant "filed" there has the same mch_id`: {"m2", func(m *gateway.Merchant) { m.MchID = "1900000002" }},
		"invalid name":                               {"a/b", func(*gateway.Merchant) {}},
		"mch_id: want the digits":                    {"m2", func(m *gateway.Merchant) { m.MchID = "x" }},
		"v3: must be set, or v2":                     {"m2", func(m *gateway.Merchant) { m.V3 = nil }},
		"v3.cert_file: must be unset":                {"m2", func(m *gateway.Merchant) { m.V3.CertFile = "/etc/passwd" }},
		"v3.private_key_file: must be unset":         {"m2", func(m *gateway.Merchant) { m.V3.PrivateKeyFile = "/etc/passwd" }},
		"v3.public_key_file: must be unset":          {"m2", func(m *gateway.Merchant) { m.V3.PublicKeyFile = "/etc/passwd" }},
		"v2.cert_file: must be unset":                {"m2", func(m *gateway.Merchant) { m.V2 = &gateway.APIv2{CertFile: "/etc/passwd"} }},
		"v2.private_key_file: must be unset":         {"m2", func(m *gateway.Merchant) { m.V2 = &gateway.APIv2{PrivateKeyFile: "/etc/passwd"} }},
		"v2.api_key":                                 {"m2", func(m *gateway.Merchant) { m.V2 = &gateway.APIv2{APIKey: "short"} }},
		"cert_password: must be unset":               {"m2", func(m *gateway.Merchant) { m.V3.CertPassword = "x" }},
		"v3.cert: does not belong":                   {"m2", func(m *gateway.Merchant) { m.V3.PrivateKey = other.PrivateKey }},
		"v3.cert: ":                                  {"m2", func(m *gateway.Merchant) { m.V3.Cert = "x" }},
		"v3.serial_no: ":                             {"m2", func(m *gateway.Merchant) { m.V3.SerialNo = "12" }},
		"v3.api_v3_key: ":                            {"m2", func(m *gateway.Merchant) { m.V3.APIv3Key = "short" }},
		"version: needs the keys of v2":              {"m2", func(m *gateway.Merchant) { m.Version = "v2" }},
		"sub_app_id: needs sub_mch_id":               {"m2", func(m *gateway.Merchant) { m.SubAppID = laterID }},
	} {
		m := good
		v3 := *good.V3
		m.V3 = &v3
		c.change(&m)
		_, err := g.Merchants().Put(ctx, c.name, m, "")
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), shown.APIv3Key)
		require.NotContains(t, err.Error(), "-----")
	}
	r, err := g.Merchants().Put(ctx, "m2", good, "")
	require.NoError(t, err)
	_, err = g.Merchants().Put(ctx, "m3", good, "")
	require.ErrorIs(t, err, gateway.ErrTaken)
	_, err = g.Merchants().Put(ctx, "m2", merchantOf(other), "")
	require.ErrorContains(t, err, "mch_id: a merchant keeps its mch_id")
	_, err = g.Merchants().Put(ctx, "m2", good, "x")
	require.ErrorIs(t, err, gateway.ErrStale)
	_, err = g.Merchants().PutJSON(ctx, "m2", []byte(`{"mch_id":"`+mchID+`","v3":{"cert":`+quote(good.V3.Cert)+`,"private_key":null}}`), "")
	require.ErrorContains(t, err, "v3.private_key")
	_, err = g.Merchants().PutJSON(ctx, "m2", []byte(`{"mch_id":"`+mchID+`","v3":{"previous_api_v3_key":"********"}}`), "")
	require.ErrorContains(t, err, "v3.previous_api_v3_key: is masked")
	require.ErrorIs(t, g.Merchants().Delete(ctx, "m4", ""), gateway.ErrNotRegistered)
	require.ErrorIs(t, g.Merchants().Delete(ctx, "m2", "x"), gateway.ErrStale)

	names := make(map[string]bool)
	for m, err := range g.Merchants().All(ctx) {
		require.NoError(t, err)
		names[m.Name] = m.InFile
	}
	require.Equal(t, map[string]bool{"filed": true, "m2": false}, names)
	page, next, err := g.Merchants().Page(ctx, "", 10)
	require.NoError(t, err)
	require.Empty(t, next)
	require.Equal(t, r.Revision, page[0].Revision)
	_, err = openGateway(t, new(store.Memory), newWeChat()).Merchants().Put(ctx, "m2", good, "")
	require.ErrorIs(t, err, gateway.ErrUnsealed)
}

func TestAnExpiredCertificateIsNotRegisteredButStillServes(t *testing.T) {
	payKeys()
	synctest.Test(t, func(t *testing.T) {
		d := newTills(t)
		defer d.wx.Close()
		d.first = d.open(t)
		d.register(t)
		advance(6 * 365 * 24 * time.Hour)
		_, err := d.first.Merchants().Put(t.Context(), "m2", merchantOf(d.shown), "")
		require.ErrorContains(t, err, "v3.cert: the certificate expired")
		d.second = d.open(t, func(o *gateway.Options) {
			o.Config.Merchants, o.Config.Apps = nil, map[string]gateway.App{"shop": {AppID: shopID, Secret: secret}}
		})
		status, got := call(t, d.second, wideKey, "GET /app/later/pay/orders", "")
		require.Equal(t, http.StatusOK, status, got)
	})
}

func TestMerchantsOverHTTP(t *testing.T) {
	runTills(t, func(t *testing.T, d *tills) {
		all := ""
		ask := func(key, method, path, body string, want int) *httptest.ResponseRecorder {
			w := askAdmin(t, d.first, key, method, path, body, nil)
			require.Equal(t, want, w.Code, "%s %s: %s", method, path, w.Body)
			all += w.Body.String()
			return w
		}
		whole := string(must(json.Marshal(map[string]any{"mch_id": mchID, "v3": map[string]any{
			"api_v3_key": d.shown.APIv3Key, "cert": d.shown.Certificate, "private_key": d.shown.PrivateKey,
			"public_key_id": d.shown.PublicKeyID, "public_key": d.shown.PublicKey,
		}})))
		ask(wideKey, "PUT", "/merchants/m2", whole, http.StatusForbidden)
		first := ask(adminKey, "PUT", "/merchants/m2", whole, http.StatusCreated).Header().Get("ETag")
		require.NotEmpty(t, first)
		shown := ask(adminKey, "GET", "/merchants/m2", "", http.StatusOK)
		require.Equal(t, first, shown.Header().Get("ETag"))
		var got gateway.Merchant
		require.NoError(t, json.Unmarshal(shown.Body.Bytes(), &got))
		require.Equal(t, "********", got.V3.APIv3Key)
		require.Equal(t, "********", got.V3.PrivateKey)
		require.Equal(t, d.shown.Certificate, got.V3.Cert)
		ask(adminKey, "PUT", "/merchants/m2", shown.Body.String(), http.StatusOK) // as it was shown
		stored, err := d.second.Merchants().Get(t.Context(), "m2")
		require.NoError(t, err)
		require.Equal(t, d.shown.PrivateKey, stored.Merchant.V3.PrivateKey)

		ask(adminKey, "PUT", "/merchants/m2", strings.Replace(whole, `"cert"`, `"cert_file"`, 1), http.StatusBadRequest)
		ask(adminKey, "PUT", "/merchants/m2", strings.Repeat(" ", 1<<20)+whole, http.StatusRequestEntityTooLarge)
		ask(adminKey, "PUT", "/merchants/m1", whole, http.StatusConflict)
		ask(adminKey, "PUT", "/merchants/m3", whole, http.StatusConflict)
		ask(adminKey, "DELETE", "/merchants/m1", "", http.StatusConflict)
		ask(adminKey, "GET", "/merchants/none", "", http.StatusNotFound)
		require.Equal(t, 2, strings.Count(ask(adminKey, "GET", "/merchants", "", http.StatusOK).Body.String(), `"mch_id"`))

		app := `{"app_id":"` + laterID + `","secret":"` + laterSecret + `","pay":{"merchant":"m2"}}`
		ask(adminKey, "PUT", "/apps/later", strings.Replace(app, "m2", "m3", 1), http.StatusBadRequest)
		ask(adminKey, "PUT", "/apps/later", app, http.StatusCreated)
		advance(2 * time.Second)
		status, _ := call(t, d.second, wideKey, "POST /app/later/pay/orders", orderOf("order-1"))
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, ask(adminKey, "DELETE", "/apps/later", "", http.StatusConflict).Body.String(), "out_trade_no order-1")
		require.Contains(t, ask(adminKey, "DELETE", "/merchants/m2", "", http.StatusConflict).Body.String(), "later")
		status, _ = call(t, d.second, wideKey, "POST /app/later/pay/orders/order-1/close", "")
		require.Equal(t, http.StatusOK, status)
		ask(adminKey, "DELETE", "/apps/later", "", http.StatusNoContent)
		ask(adminKey, "DELETE", "/merchants/m2", "", http.StatusNoContent)
		advance(time.Minute)
		audit := ask(adminKey, "GET", "/audit", "", http.StatusOK).Body.String()
		require.Contains(t, d.log.text(), "merchant=m2")
		for _, hidden := range []string{d.shown.APIv3Key, "PRIVATE KEY", laterSecret} {
			require.NotContains(t, all+audit, hidden)
		}
	})
}
