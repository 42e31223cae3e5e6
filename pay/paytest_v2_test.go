package pay_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// bothVersions are the Merchants of one account in the simulated WeChat Pay.
type bothVersions struct {
	v2 *payv2.Merchant
	v3 *payv3.Merchant
}

// inWorldOfBoth is inWorld for an account with the keys of both versions. merchants returns the Merchants of the Cashier.
func inWorldOfBoth(t *testing.T, sign payv2.SignType, merchants func(bothVersions) []pay.Merchant, test func(t *testing.T, w *world, both bothVersions)) {
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		var made int
		var mu sync.Mutex
		w := &world{shop: newShop(), Cashier: new(pay.Cashier)}
		w.Server = &paytest.Server{Transport: paytest.InMemory(wetoken.Handler(w.Cashier)), GenerateKey: func() (*rsa.PrivateKey, error) {
			mu.Lock()
			defer mu.Unlock()
			made++
			return rsaKeys()[1+made%2], nil
		}}
		defer w.Server.Close()
		shown := w.AddMerchant(paytest.Merchant{MchID: testMchID, AppIDs: []string{testAppID}, Balance: 1_000_000, Key: rsaKeys()[0], APIKey: "key0of0v2000for0this0test0alone0", RefundURL: "https://shop.example.com/pay/notify"})
		pair, err := tls.X509KeyPair([]byte(shown.Certificate), []byte(shown.PrivateKey))
		require.NoError(t, err)
		public, err := payv3.ParsePublicKey([]byte(shown.PublicKey))
		require.NoError(t, err)
		var both bothVersions
		both.v3, err = payv3.New(payv3.Config{
			AppID: testAppID, MchID: testMchID, SerialNo: shown.SerialNo, Key: rsaKeys()[0], APIv3Key: shown.APIv3Key,
			PublicKeyID: shown.PublicKeyID, PublicKey: public, HTTP: w.Client(),
		})
		require.NoError(t, err)
		both.v2, err = payv2.New(payv2.Config{
			AppID: testAppID, MchID: testMchID, APIKey: shown.APIKey, SignType: sign, Certificate: pair, HTTP: w.TLSClient(pair),
		})
		require.NoError(t, err)
		*w.Cashier = pay.Cashier{
			Merchants: merchants(both), URL: "https://shop.example.com", Store: new(store.Memory), Records: new(store.Memory),
			OnPaid: w.shop.onPaid, OnRefund: w.shop.onRefund, OnTransfer: w.shop.onTransfer, OnError: w.shop.onError,
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = w.Run(ctx)
		}()
		defer func() {
			cancel()
			<-done
		}()
		test(t, w, both)
	})
}

func onlyV2(both bothVersions) []pay.Merchant { return []pay.Merchant{both.v2} }

func TestOverAPIv2(t *testing.T) {
	for _, sign := range []payv2.SignType{payv2.MD5, payv2.HMACSHA256} {
		inWorldOfBoth(t, sign, onlyV2, func(t *testing.T, w *world, _ bothVersions) {
			day := time.Now()
			p, err := w.Prepay(t.Context(), order("order-1"))
			require.NoError(t, err)
			require.NotEmpty(t, p.CodeURL)
			got, err := w.Query(t.Context(), "order-1")
			require.NoError(t, err)
			require.Equal(t, pay.NotPaid, got.State)
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
			<-time.After(5 * time.Minute) // WeChat closes no younger order
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
			for no, state := range map[string]string{"r1": "SUCCESS", "r2": "ABNORMAL", "r3": "CLOSED"} {
				require.NoError(t, w.FinishRefund(testMchID, no, state))
			}
			<-time.After(3 * time.Hour)
			require.Equal(t, map[string]pay.State{"r1": pay.Success, "r2": pay.Abnormal, "r3": pay.Closed}, w.shop.refunded())
			require.Equal(t, 3, w.shop.calls())

			<-time.After(36 * time.Hour)
			var bill bytes.Buffer
			require.NoError(t, w.Bill(t.Context(), "ALL", day, &bill))
			require.Contains(t, bill.String(), "order-1")
		})
	}
}

func TestTradesOverAPIv2AreOpenedByThePhone(t *testing.T) {
	inWorldOfBoth(t, payv2.HMACSHA256, onlyV2, func(t *testing.T, w *world, both bothVersions) {
		o := order("order-1")
		o.Trade, o.OpenID = pay.JSAPI, "o1"
		p, err := w.Prepay(t.Context(), o)
		require.NoError(t, err)
		var params paytest.Params
		raw, err := json.Marshal(p.Params)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &params))
		sheet, err := w.OpenSheet(paytest.Entry{OpenID: "o1", Params: &params})
		require.NoError(t, err)
		_, err = w.AnswerSheet(sheet.ID, "pay", "o1")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, w.shop.count())

		o = order("order-2")
		o.Trade, o.ClientIP = pay.H5, "203.0.113.7"
		p, err = w.Prepay(t.Context(), o)
		require.NoError(t, err)
		_, err = w.OpenSheet(paytest.Entry{OpenID: "o1", H5URL: p.H5URL, Referer: "https://shop.example.com/"})
		require.NoError(t, err)

		o = order("order-3")
		o.Trade, o.AuthCode, o.ClientIP = pay.Code, w.PayCode("o1", false), "203.0.113.7"
		p, err = w.Prepay(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, pay.Success, p.Transaction.State)
		require.NoError(t, w.Reverse(t.Context(), "order-3"))
	})
}

func TestARefundInTheConsoleIsConfirmedByTheVersionOfItsOrder(t *testing.T) {
	inWorldOfBoth(t, payv2.HMACSHA256, func(both bothVersions) []pay.Merchant { return []pay.Merchant{both.v3, both.v2} }, func(t *testing.T, w *world, both bothVersions) {
		_, err := w.Prepay(t.Context(), order("order-1"))
		require.NoError(t, err)
		_, err = w.Pay(testMchID, "order-1", "o1")
		require.NoError(t, err)
		synctest.Wait()
		no, err := w.RefundInConsole(testMchID, "order-1", 30)
		require.NoError(t, err)
		require.NoError(t, w.FinishRefund(testMchID, no, "SUCCESS"))
		<-time.After(time.Minute)
		require.Equal(t, map[string]pay.State{no: pay.Success}, w.shop.refunded())

		forged := httptest.NewRequest("POST", "/pay/notify", bytes.NewReader([]byte("<xml><return_code>SUCCESS</return_code><appid>"+testAppID+"</appid><mch_id>"+testMchID+"</mch_id><nonce_str>n</nonce_str><req_info>AAAA</req_info></xml>")))
		rec := httptest.NewRecorder()
		wetoken.Handler(w.Cashier).ServeHTTP(rec, forged)
		require.GreaterOrEqual(t, rec.Code, 400)
		require.Len(t, w.shop.refunded(), 1)
	})
}
