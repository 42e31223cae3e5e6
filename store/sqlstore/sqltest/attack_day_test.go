package sqltest

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/store/sqlstore"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// TestAttackTheDayOfTwoProcessesOnADatabase held: 60 refunds at once at two gateways, each twice, exactly fill day_fen.
func TestAttackTheDayOfTwoProcessesOnADatabase(t *testing.T) {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	each(t, func(t *testing.T, d database) {
		first := d.store(t, d.open(t))
		second := &sqlstore.Store{DB: d.open(t), Dialect: d.dialect, Table: first.Table}
		made := 0
		wx := &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { made++; return keys[1+made%2], nil }}
		defer wx.Close()
		const mchID, appID, key = "1900000001", "wx0123456789abcdef", "a-key-of-this-test-to-refund"
		shown := wx.AddMerchant(paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, Balance: 100_000, Key: keys[0]})
		open := func(s store.Store) *gateway.Gateway {
			g, err := gateway.New(gateway.Options{
				Config: gateway.Config{
					PublicURL: "https://wx.example.com",
					Keys:      []gateway.Key{{Name: "k", Key: key, Apps: []string{"*"}, Scopes: []string{"pay", "refund"}, DayFen: 100}},
					Merchants: map[string]gateway.Merchant{"m1": {MchID: mchID, V3: &gateway.APIv3{
						APIv3Key: shown.APIv3Key, Cert: shown.Certificate, PrivateKey: shown.PrivateKey, PublicKeyID: shown.PublicKeyID, PublicKey: shown.PublicKey,
					}}},
					Apps: map[string]gateway.App{"shop": {AppID: appID, Secret: "0123456789abcdef0123456789abcdef", Pay: &gateway.Pay{Merchant: "m1"}}},
				},
				Store: s, Records: s, HTTP: wx.Client(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			require.NoError(t, err)
			return g
		}
		gateways := []*gateway.Gateway{open(first), open(second)}
		call := func(g *gateway.Gateway, path, body string) (int, string) {
			r := httptest.NewRequest("POST", path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+key)
			w := httptest.NewRecorder()
			g.Private().ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		const orders = 60
		for i := range orders {
			no := fmt.Sprintf("order-%d", i)
			status, text := call(gateways[0], "/app/shop/pay/orders", fmt.Sprintf(`{"trade":"native","out_trade_no":%q,"fen":100,"description":"socks"}`, no))
			require.Equal(t, 200, status, text)
			_, err := wx.Pay(mchID, no, "o1")
			require.NoError(t, err)
		}
		var all sync.WaitGroup
		for i := range orders {
			for _, g := range gateways {
				all.Go(func() {
					call(g, "/app/shop/pay/refunds", fmt.Sprintf(`{"out_trade_no":"order-%d","out_refund_no":"r%d","fen":10}`, i, i))
				})
			}
		}
		all.Wait()
		sent := map[int]bool{}
		for i := range orders {
			if o, err := wx.Order(mchID, fmt.Sprintf("order-%d", i)); err == nil && o.State == "REFUND" {
				sent[i] = true
			}
		}
		t.Logf("%d refunds of 10 fen", len(sent))
		require.LessOrEqual(t, len(sent), 10)
		require.NotEmpty(t, sent)
	})
}
