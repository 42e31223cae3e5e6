package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// Every URL that is made for an app begins with its own public_url, and its name in it is the present one.
func TestAnAppsOwnPublicURLIsInEveryURLMadeForIt(t *testing.T) {
	var shown *paytest.Merchant
	d := openTill(t, func(d *till) {
		d.records = newSealed(t, d.records)
		d.config.Keys = append(d.config.Keys, gateway.Key{Name: "root", Key: adminKey, Apps: []string{"*"}, Scopes: []string{"admin"}})
		shown = d.pay.AddMerchant(paytest.Merchant{MchID: "1900000009", AppIDs: []string{laterID}, Key: payKeys()[0]})
	})
	var seen sync.Map // paths that were asked for at the app's own address
	public := d.gateway.Public()
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Method+" "+r.URL.Path, true)
		public.ServeHTTP(w, r)
	}))
	defer own.Close()

	m := gateway.Merchant{MchID: shown.MchID, V3: &gateway.APIv3{
		APIv3Key: shown.APIv3Key, Cert: shown.Certificate, PrivateKey: shown.PrivateKey, PublicKeyID: shown.PublicKeyID, PublicKey: shown.PublicKey,
	}}
	_, err := d.gateway.Merchants().Put(t.Context(), "m9", m, "")
	require.NoError(t, err)
	app, err := json.Marshal(map[string]any{
		"app_id": laterID, "secret": laterSecret, "sign_key": signKey, "public_url": own.URL + "/", "hosts": []string{"shop.example.com"},
		"pay": map[string]any{"merchant": "m9", "notify_to": d.backend.URL},
	})
	require.NoError(t, err)
	path := "/apps/" + url.PathEscape("小店")
	status, got := d.call(t, adminKey, "PUT "+path, string(app))
	require.Equal(t, http.StatusCreated, status, got)

	check := func(name, number string) {
		t.Helper()
		base := own.URL + "/app/" + url.PathEscape(name) + "/"
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+"login?to="+url.QueryEscape("https://shop.example.com/"), nil)
		require.NoError(t, err)
		resp, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		to, err := resp.Location()
		require.NoError(t, err, resp.Status)
		require.Equal(t, base+"login/callback", to.Query().Get("redirect_uri"))

		urls := make(map[string]bool)
		for trade, more := range map[string]string{"native": "", "jsapi": `,"openid":"o1"`, "h5": `,"client_ip":"192.0.2.1"`} {
			status, got := d.call(t, wideKey, "POST /app/"+url.PathEscape(name)+"/pay/orders",
				fmt.Sprintf(`{"trade":%q,"out_trade_no":"%s-%s","fen":100,"description":"socks"%s}`, trade, number, trade, more))
			require.Equal(t, http.StatusOK, status, "%s: %v", trade, got)
			for _, key := range []string{"qr_url", "js_url", "page_url"} {
				if u, ok := got[key].(string); ok {
					urls[key] = true
					require.True(t, strings.HasPrefix(u, base+"pay/"), "%s of %s: %s", key, trade, u)
				}
			}
		}
		require.Len(t, urls, 3, "qr_url, js_url and page_url were made")
		_, err = d.pay.Pay(shown.MchID, number+"-native", "o1")
		require.NoError(t, err)
		require.Eventually(t, func() bool { _, ok := seen.Load("POST /app/" + name + "/pay/notify"); return ok }, 10*time.Second, 10*time.Millisecond)
	}
	check("小店", "first")
	status, got = d.call(t, adminKey, "POST "+path+"/rename", `{"to":"新店"}`)
	require.Equal(t, http.StatusOK, status, got)
	check("新店", "second")

	// An order that was placed under the old name is paid at its notify URL.
	_, err = d.pay.Pay(shown.MchID, "first-h5", "o1")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(d.backend.got()) == 3 }, 10*time.Second, 10*time.Millisecond)
	for _, report := range d.backend.got()[1:] {
		require.Equal(t, "新店", report["app"])
	}
}
