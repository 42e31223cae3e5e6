package gateway_test

import (
	"context"
	"crypto/rsa"
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

func TestChangedKeyFilesAreReadAgain(t *testing.T) {
	payKeys()
	synctest.Test(t, func(t *testing.T) {
		made := 0
		wx := &paytest.Server{
			Transport:   paytest.InMemory(http.NotFoundHandler()),
			GenerateKey: func() (*rsa.PrivateKey, error) { made++; return payKeys()[made%3], nil },
		}
		defer wx.Close()
		dir := t.TempDir()
		keep := func(m *paytest.Merchant) {
			for name, text := range map[string]string{"cert.pem": m.Certificate, "key.pem": m.PrivateKey, "pub.pem": m.PublicKey} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
		}
		first := wx.AddMerchant(paytest.Merchant{MchID: mchID})
		keep(first)
		log := new(syncBuffer)
		g, err := gateway.New(gateway.Options{
			Config: gateway.Config{
				PublicURL: "https://wx.example.com",
				Keys:      []gateway.Key{{Name: "pay", Key: payKey, Apps: []string{"*"}, Scopes: []string{"pay"}}},
				Merchants: map[string]gateway.Merchant{"m1": {MchID: mchID, V3: &gateway.APIv3{
					APIv3Key: first.APIv3Key, CertFile: filepath.Join(dir, "cert.pem"), PrivateKeyFile: filepath.Join(dir, "key.pem"),
					PublicKeyID: first.PublicKeyID, PublicKeyFile: filepath.Join(dir, "pub.pem"),
				}}},
				Apps: map[string]gateway.App{"shop": {AppID: shopID, Secret: secret, Pay: &gateway.Pay{Merchant: "m1"}}},
			},
			Records: new(store.Memory), HTTP: wx.Client(), Log: slog.New(slog.NewTextHandler(log, nil)),
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = g.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		place := func(no string) int {
			r := httptest.NewRequest("POST", "/app/shop/pay/orders", strings.NewReader(orderOf(no)))
			r.Header.Set("Authorization", "Bearer "+payKey)
			w := httptest.NewRecorder()
			g.Private().ServeHTTP(w, r)
			return w.Code
		}
		require.Equal(t, http.StatusOK, place("order-1"))

		second := wx.AddMerchant(paytest.Merchant{MchID: mchID, APIv3Key: first.APIv3Key}) // with a new certificate
		require.NotEqual(t, first.SerialNo, second.SerialNo)
		require.Equal(t, http.StatusBadGateway, place("order-2"), "WeChat no longer accepts the certificate")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), []byte(second.Certificate), 0o600))
		<-time.After(3 * time.Minute) // half a change
		require.Equal(t, 1, strings.Count(log.text(), "keys of a merchant cannot be read: the old keys stay in use"), log.text())
		require.Equal(t, http.StatusBadGateway, place("order-3"), "the old keys stay in use")
		keep(second)
		<-time.After(2 * time.Minute)
		require.Contains(t, log.text(), "the keys of a merchant have changed")
		<-time.After(48 * time.Hour)
		require.Equal(t, 3, strings.Count(log.text(), "days until the API certificate of a merchant expires"))
		require.NotContains(t, log.text(), first.APIv3Key)
		place("order-4") // its reply is signed with another key than the configured one
		_, err = wx.Order(mchID, "order-4")
		require.NoError(t, err, "WeChat accepted a call signed with the new key")
	})
}
