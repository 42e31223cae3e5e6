package pay_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// rsaKeys are generated once, because that is slow.
var rsaKeys = sync.OnceValue(func() (keys []*rsa.PrivateKey) {
	for range 3 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
})

const (
	testMchID = "1900000001"
	testAppID = "wx1234567890abcdef"
)

// world is a Cashier over APIv3 with a simulated WeChat Pay in memory.
type world struct {
	*paytest.Server
	*pay.Cashier
	shop *shop
}

// newWorld is called in a bubble.
func newWorld(t *testing.T, balance int64) *world {
	var made int
	var mu sync.Mutex
	w := &world{shop: newShop(), Cashier: new(pay.Cashier)}
	w.Server = &paytest.Server{
		Transport: paytest.InMemory(wetoken.Handler(w.Cashier)),
		GenerateKey: func() (*rsa.PrivateKey, error) {
			mu.Lock()
			defer mu.Unlock()
			made++
			return rsaKeys()[1+made%2], nil
		},
	}
	shown := w.AddMerchant(paytest.Merchant{MchID: testMchID, AppIDs: []string{testAppID}, Balance: balance, Key: rsaKeys()[0]})
	public, err := payv3.ParsePublicKey([]byte(shown.PublicKey))
	require.NoError(t, err)
	m, err := payv3.New(payv3.Config{
		AppID: testAppID, MchID: testMchID, SerialNo: shown.SerialNo, Key: rsaKeys()[0], APIv3Key: shown.APIv3Key,
		PublicKeyID: shown.PublicKeyID, PublicKey: public, HTTP: w.Client(),
	})
	require.NoError(t, err)
	*w.Cashier = pay.Cashier{
		Merchants: []pay.Merchant{m}, URL: "https://shop.example.com", Store: new(store.Memory), Records: new(store.Memory),
		OnPaid: w.shop.onPaid, OnRefund: w.shop.onRefund, OnTransfer: w.shop.onTransfer, OnError: w.shop.onError,
	}
	return w
}

// inWorld runs a test in a bubble with a world whose Cashier runs.
func inWorld(t *testing.T, balance int64, test func(t *testing.T, w *world)) {
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, balance)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = w.Run(ctx)
		}()
		defer func() {
			cancel()
			<-done
			w.Server.Close()
		}()
		test(t, w)
	})
}

func TestOverAPIv3(t *testing.T) {
	inWorld(t, 1_000_000, func(t *testing.T, w *world) {
		p, err := w.Prepay(t.Context(), order("order-1"))
		require.NoError(t, err)
		require.NotEmpty(t, p.CodeURL)
		_, err = w.Pay(testMchID, "order-1", "o1")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, w.shop.count())

		w.AddNotificationFault(paytest.NotificationFault{Lost: 1, Times: 1})
		_, err = w.Prepay(t.Context(), order("order-2"))
		require.NoError(t, err)
		_, err = w.Pay(testMchID, "order-2", "o1")
		require.NoError(t, err)
		<-time.After(time.Minute)
		require.Equal(t, 2, w.shop.count())

		_, err = w.Prepay(t.Context(), order("order-3"))
		require.NoError(t, err)
		require.NoError(t, w.Cashier.Close(t.Context(), "order-3"))
		id, err := w.PayLate(testMchID, "order-3", "o1")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, "closed", w.shop.transaction(id).Late)

		for _, no := range []string{"r1", "r2", "r3"} {
			f, err := w.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: no, Fen: 10})
			require.NoError(t, err)
			require.Equal(t, pay.Processing, f.State)
		}
		<-time.After(5 * time.Minute)
		for _, no := range []string{"r1", "r2", "r3"} {
			require.NoError(t, w.FinishRefund(testMchID, no, "SUCCESS"))
		}
		<-time.After(time.Minute)
		require.Len(t, w.shop.refunded(), 3)

		got, err := w.Transfer(t.Context(), transfer("t1"))
		require.NoError(t, err)
		require.NotEmpty(t, got.Package)
		require.NoError(t, w.FinishTransfer(testMchID, "t1", "SUCCESS", ""))
		synctest.Wait()
		require.Len(t, w.shop.transfers, 1)
		require.Equal(t, 3, w.shop.calls())
	})
}

func TestNotificationsOverAPIv3(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		w.AddNotificationFault(paytest.NotificationFault{Sign: "probe", Times: 1})
		w.shop.takes = func(context.Context, int) error {
			<-time.After(10 * time.Second)
			return nil
		}
		_, err := w.Prepay(t.Context(), order("order-1"))
		require.NoError(t, err)
		_, err = w.Pay(testMchID, "order-1", "o1")
		require.NoError(t, err)
		<-time.After(5 * time.Minute)
		var codes []int
		for _, d := range w.Deliveries() {
			codes = append(codes, d.Status)
		}
		require.Equal(t, http.StatusUnauthorized, codes[0])
		require.Equal(t, http.StatusNoContent, codes[len(codes)-1])
		require.Equal(t, 1, w.shop.calls())
	})
}
