package payv3_test

import (
	"context"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// newWeChatPay returns a WeChat Pay that takes its keys from keys, since new ones take long.
func newWeChatPay() *paytest.Server {
	var n atomic.Int32
	return &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { return keys()[1+int(n.Add(1))%3], nil }}
}

// join adds a merchant, and returns the configuration that its console shows.
func join(t testing.TB, w *paytest.Server, m paytest.Merchant) payv3.Config {
	m.Key = merchantKey()
	shown := w.AddMerchant(m)
	public, err := payv3.ParsePublicKey([]byte(shown.PublicKey))
	require.NoError(t, err)
	cert, err := payv3.ParseCertificate([]byte(shown.Certificate))
	require.NoError(t, err)
	c := payv3.Config{AppID: m.AppIDs[0], AppIDs: m.AppIDs[1:], MchID: m.MchID, Key: merchantKey(), Certificate: cert, APIv3Key: shown.APIv3Key,
		PublicKeyID: shown.PublicKeyID, PublicKey: public, NotifyURL: "https://shop.example.com/" + m.MchID, HTTP: w.Client()}
	if m.Mode == paytest.Certificates {
		c.PublicKey, c.PublicKeyID = nil, ""
	}
	return c
}

func TestAnOrderIsPaidRefundedAndClosed(t *testing.T) {
	w := newWeChatPay()
	var got []pay.Notification
	var mu sync.Mutex
	var shop *payv3.Merchant
	w.Transport = paytest.InMemory(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n, err := shop.Parse(r.Context(), r.Header, body)
		mu.Lock()
		got = append(got, n)
		mu.Unlock()
		shop.Answer(rw, err)
	}))
	synctest.Test(t, func(t *testing.T) {
		defer w.Close()
		shop = newMerchant(t, join(t, w, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}}))
		p, err := shop.Prepay(t.Context(), pay.Order{Trade: pay.JSAPI, OutTradeNo: "order-1", Fen: 100, Description: "袜子", OpenID: openID, Attach: "a"})
		require.NoError(t, err)
		require.Contains(t, p.Params["package"], p.PrepayID)
		unpaid, err := shop.Query(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, pay.NotPaid, unpaid.State)
		_, err = shop.Query(t.Context(), "order-2")
		require.ErrorIs(t, err, pay.ErrNotFound)

		id, err := w.Pay(mchID, "order-1", openID)
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, got, 1)
		require.Equal(t, id, got[0].Transaction.TransactionID)
		require.True(t, got[0].Transaction.Paid())
		require.ErrorIs(t, shop.Close(t.Context(), "order-1"), pay.ErrPaid)
		o := pay.Order{Trade: pay.JSAPI, OutTradeNo: "order-1", Fen: 100, Description: "袜子", OpenID: openID, Attach: "a"}
		_, err = shop.Prepay(t.Context(), o)
		require.ErrorIs(t, err, pay.ErrPaid)

		f, err := shop.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r-1", Fen: 30, TotalFen: 100, Reason: "torn"})
		require.NoError(t, err)
		require.Equal(t, pay.Processing, f.State)
		require.NoError(t, w.FinishRefund(mchID, "r-1", "SUCCESS"))
		synctest.Wait()
		require.Len(t, got, 2)
		require.Equal(t, "r-1", got[1].Refund.OutRefundNo)
		require.EqualValues(t, 30, got[1].Refund.Fen)
		f, err = shop.QueryRefund(t.Context(), "r-1")
		require.NoError(t, err)
		require.Equal(t, pay.Success, f.State)
		paid, err := shop.Query(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, pay.Refunded, paid.State)

		_, err = shop.Prepay(t.Context(), pay.Order{Trade: pay.Native, OutTradeNo: "order-3", Fen: 1, Description: "d"})
		require.NoError(t, err)
		require.NoError(t, shop.Close(t.Context(), "order-3"))
	})
}

// Two merchants, a provider with two shops and four appids live in one process, while certificates rotate, a merchant
// switches to the public key, and an APIv3 key changes. No true notification is refused.
func TestManyMerchantsInOneProcessWhileKeysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWeChatPay()
		defer w.Close()
		var shops []*payv3.Merchant
		var accepted, refused atomic.Int32
		w.Transport = paytest.InMemory(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var err error
			for _, shop := range shops { // one URL for all
				if _, err = shop.Parse(r.Context(), r.Header, body); err == nil {
					break
				}
			}
			if err != nil {
				refused.Add(1)
				t.Error(err)
			} else {
				accepted.Add(1)
			}
			shops[0].Answer(rw, err)
		}))

		newKeyOf := "n1e2d3c4b5a69788796a5b4c3d2e1f0n"
		first := newMerchant(t, join(t, w, paytest.Merchant{MchID: "1900000001", AppIDs: []string{"wx01", "wx02"}, Mode: paytest.Certificates}))
		switching := join(t, w, paytest.Merchant{MchID: "1900000002", AppIDs: []string{"wx03"}, Mode: paytest.Certificates})
		shown, err := w.Merchant("1900000002")
		require.NoError(t, err)
		switching.PublicKeyID = shown.PublicKeyID
		switching.PublicKey, err = payv3.ParsePublicKey([]byte(shown.PublicKey))
		require.NoError(t, err)
		second := newMerchant(t, switching)
		providers := join(t, w, paytest.Merchant{MchID: "1900000003", AppIDs: []string{"wx04"}, Subs: []paytest.Sub{{MchID: "1900000011"}, {MchID: "1900000012"}}})
		providers.PreviousAPIv3Key = newKeyOf // deployed before the change
		provider := newMerchant(t, providers)
		shops = []*payv3.Merchant{first, second, provider.Sub("1900000011", ""), provider.Sub("1900000012", "")}
		sellers := []string{"1900000001", "1900000002", "1900000011", "1900000012"}

		rounds := 2
		if testform.Full() {
			rounds = 5
		}
		var work sync.WaitGroup
		for i := range 200 {
			work.Go(func() {
				shop, seller := shops[i%4], sellers[i%4]
				for round := range rounds {
					no := fmt.Sprintf("order-%d-%d", i, round)
					o := pay.Order{Trade: pay.Native, OutTradeNo: no, Fen: 1, Description: "d"}
					if i%8 == 0 {
						o.AppID = "wx02"
					}
					if _, err := shop.Prepay(context.Background(), o); err != nil {
						t.Error(err)
						return
					}
					if _, err := w.Pay(seller, no, ""); err != nil {
						t.Error(err)
						return
					}
					if tr, err := shop.Query(context.Background(), no); err != nil || !tr.Paid() {
						t.Error(tr.State, err)
					}
					<-time.After(time.Duration(2+i%5) * time.Minute)
				}
			})
		}
		work.Go(func() {
			for step, change := range []func() error{
				func() error { _, err := w.RotateCertificate("1900000001", 0); return err },
				func() error { return w.SetMode("1900000002", paytest.Switching, 50) },
				func() error { return w.SetAPIv3Key("1900000003", newKeyOf) },
				func() error { _, err := w.RotateCertificate("1900000002", 0); return err },
				func() error { return w.SetMode("1900000002", paytest.Switched, 100) },
			} {
				<-time.After(50 * time.Second)
				if err := change(); err != nil {
					t.Error(step, err)
				}
			}
		})
		work.Wait()
		synctest.Wait()
		require.EqualValues(t, 200*rounds, accepted.Load())
		require.Zero(t, refused.Load())
	})
}
