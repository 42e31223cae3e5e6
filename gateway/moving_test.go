package gateway_test

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// openTillV2 serves a merchant with APIv2, and, if version is set, with both versions, of which version places new orders.
func openTillV2(t *testing.T, version string) *till { return openTillV2With(t, version, nil) }

// openTillV2With serves a merchant as openTillV2 does, with a configuration that change modifies.
func openTillV2With(t *testing.T, version string, change func(*till)) *till {
	return openTill(t, func(d *till) {
		shown, err := d.pay.Merchant(mchID)
		require.NoError(t, err)
		m := d.config.Merchants["m1"]
		overTLS := httptest.NewUnstartedServer(d.pay)
		overTLS.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		overTLS.StartTLS()
		t.Cleanup(overTLS.Close)
		d.http, d.config.Endpoints.Pay = overTLS.Client(), overTLS.URL
		m.V2, m.Version = &gateway.APIv2{APIKey: shown.APIKey, Cert: m.V3.Cert + m.V3.PrivateKey}, version
		if version == "" {
			m.V3 = nil
		} else {
			m.V2.Cert = "" // the default is that of v3
		}
		d.config.Merchants["m1"] = m
		if change != nil {
			change(d)
		}
	})
}

// waitReports waits for n reports, and returns them with their headers.
func (d *till) waitReports(t *testing.T, n int) ([]map[string]any, []http.Header) {
	t.Helper()
	require.Eventually(t, func() bool { return len(d.backend.got()) >= n }, 30*time.Second, 5*time.Millisecond)
	d.backend.mu.Lock()
	defer d.backend.mu.Unlock()
	return d.backend.reports, d.backend.headers
}

func TestAMerchantOfAPIv2IsServed(t *testing.T) {
	d := openTillV2(t, "")
	require.Contains(t, d.place(t, payKey, "shop", "order-1")["code_url"], "weixin://")
	id, err := d.pay.Pay(mchID, "order-1", "")
	require.NoError(t, err)
	reports, headers := d.waitReports(t, 1)
	require.Equal(t, id, reports[0]["transaction_id"])
	for name, value := range reports[0] {
		require.IsType(t, "", value, name)
	}
	require.Equal(t, "100", reports[0]["total_fee"])
	require.NotContains(t, reports[0], "event_type")
	require.NotContains(t, reports[0], "trade_state")
	require.Equal(t, []string{"shop", "TRANSACTION.SUCCESS", "true"}, []string{headers[0].Get("Wetoken-App"), headers[0].Get("Wetoken-Event"), headers[0].Get("Wetoken-Known")})

	status, got := d.call(t, refundKey, "POST /app/shop/pay/refunds", `{"out_trade_no":"order-1","out_refund_no":"refund-1","fen":30}`)
	require.Equal(t, http.StatusOK, status, got)
	require.NoError(t, d.pay.FinishRefund(mchID, "refund-1", "SUCCESS"))
	reports, headers = d.waitReports(t, 2)
	require.Equal(t, "30", reports[1]["refund_fee"])
	require.Equal(t, "REFUND.SUCCESS", headers[1].Get("Wetoken-Event"))
	require.Zero(t, d.backend.unsigned)

	d.pay.AddNotificationFault(paytest.NotificationFault{MchID: mchID, Times: 1, Lost: 99})
	d.place(t, payKey, "shop", "order-2")
	_, err = d.pay.Pay(mchID, "order-2", "")
	require.NoError(t, err)
	status, got = d.call(t, payKey, "GET /app/shop/pay/orders/order-2", "")
	require.Equal(t, http.StatusOK, status, got)
	reports, headers = d.waitReports(t, 3)
	require.Equal(t, "order-2", reports[2]["out_trade_no"], "it was found by a query")
	require.Equal(t, "TRANSACTION.SUCCESS", headers[2].Get("Wetoken-Event"))
	for _, name := range []string{"sign", "nonce_str", "trade_state", "trade_state_desc"} {
		require.NotContains(t, reports[2], name)
	}

	status, got = d.call(t, wideKey, "POST /app/shop/pay/transfers", `{"out_bill_no":"bill1","openid":"o","fen":30,"scene_id":"1000","remark":"r"}`)
	require.GreaterOrEqual(t, status, 400, got)
	status, _ = d.call(t, apiKey, "GET /app/shop/pay/api/v3/certificates", "")
	require.Equal(t, http.StatusNotFound, status, "the merchant has no APIv3")
	require.NotContains(t, d.log.text(), d.config.Merchants["m1"].V2.APIKey)
}

func TestAMerchantMovesToAPIv3(t *testing.T) {
	d := openTillV2(t, "v2")
	d.place(t, payKey, "shop", "order-1")
	d.place(t, payKey, "shop", "order-2")

	m := d.config.Merchants["m1"]
	m.Version = "" // v3
	d.config.Merchants = map[string]gateway.Merchant{"m1": m}
	moved, err := gateway.New(gateway.Options{Config: d.config, Records: d.records, HTTP: d.http, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	private := httptest.NewServer(moved.Private()) // notifications still come to the first program, which has both versions, too
	t.Cleanup(private.Close)
	d.private = private.URL
	d.place(t, payKey, "shop", "order-3")
	d.place(t, payKey, "shop", "order-2") // again, with the version that placed it
	require.Equal(t, 1, d.pay.Calls("/v3/pay/transactions/native"))
	for _, no := range []string{"order-1", "order-2", "order-3"} {
		_, err := d.pay.Pay(mchID, no, "")
		require.NoError(t, err)
	}
	reports, _ := d.waitReports(t, 3)
	forms := map[any]bool{}
	for _, r := range reports {
		forms[r["out_trade_no"]] = r["event_type"] == nil
	}
	require.Equal(t, map[any]bool{"order-1": true, "order-2": true, "order-3": false}, forms)
	for i, no := range []string{"order-1", "order-3"} {
		status, got := d.call(t, refundKey, "POST /app/shop/pay/refunds", strings.ReplaceAll(`{"out_trade_no":"NO","out_refund_no":"NO-r","fen":30}`, "NO", no))
		require.Equal(t, http.StatusOK, status, got)
		require.Equal(t, []int{1, 1}[i], d.pay.Calls("/secapi/pay/refund"), "each order is refunded by the version that placed it")
	}
}

func TestChangedCertificateFilesOfAPIv2AreReadAgain(t *testing.T) {
	payKeys()
	synctest.Test(t, func(t *testing.T) {
		made := 0
		wx := &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { made++; return payKeys()[made%3], nil }}
		defer wx.Close()
		file, log := filepath.Join(t.TempDir(), "apiclient.pem"), new(syncBuffer)
		write := func(parts ...string) {
			require.NoError(t, os.WriteFile(file, []byte(strings.Join(parts, "\n")), 0o600))
		}
		first := wx.AddMerchant(paytest.Merchant{MchID: mchID})
		write(first.Certificate, first.PrivateKey)
		g, err := gateway.New(gateway.Options{
			Config: gateway.Config{
				PublicURL: "https://wx.example.com",
				Keys:      []gateway.Key{{Name: "pay", Key: payKey, Apps: []string{"*"}, Scopes: []string{"pay"}}},
				Merchants: map[string]gateway.Merchant{"m1": {MchID: mchID, V2: &gateway.APIv2{APIKey: first.APIKey, CertFile: file}}},
				Apps:      map[string]gateway.App{"shop": {AppID: shopID, Secret: secret, Pay: &gateway.Pay{Merchant: "m1"}}},
			},
			Records: new(store.Memory), HTTP: wx.Client(), Log: slog.New(slog.NewTextHandler(log, nil)),
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = g.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		second := wx.AddMerchant(paytest.Merchant{MchID: mchID})
		write(second.Certificate)
		<-time.After(3 * time.Minute)
		require.Equal(t, 1, strings.Count(log.text(), "the old keys stay in use"), log.text())
		require.NotContains(t, log.text(), "the keys of a merchant have changed")
		write(second.Certificate, second.PrivateKey)
		<-time.After(2 * time.Minute)
		require.Equal(t, 1, strings.Count(log.text(), "the keys of a merchant have changed"), log.text())
		require.Contains(t, log.text(), "days until the API certificate of a merchant expires")
		require.NotContains(t, log.text(), first.APIKey)
	})
}
