package paytest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// Many callers at once, while keys and certificates change under them.
func TestManyMerchantsAreServedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notified atomic.Int64
		s := newServer(t)
		s.RefundAfter = time.Minute
		s.Transport = paytest.InMemory(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { notified.Add(1) }))
		var shops []*client
		for n := range 3 {
			shops = append(shops, newClient(t, s, paytest.Merchant{MchID: fmt.Sprintf("190000000%d", n), AppIDs: []string{appID}, Mode: paytest.Switching}))
		}
		var wg sync.WaitGroup
		for n := range 60 {
			c := shops[n%len(shops)]
			id := c.m.MchID
			wg.Go(func() {
				no := fmt.Sprintf("order-%d", n)
				if r := c.try("POST", jsapi, with(order(no, 100), "mchid", id)); r.status != 200 {
					t.Errorf("%s", r.body)
				}
				if n%20 == 0 {
					_, err := s.RotateCertificate(id, 0)
					if err == nil {
						err = s.SetMode(id, paytest.Switching, 50)
					}
					if err == nil {
						err = s.SetAPIv3Key(id, fmt.Sprintf("%032d", n))
					}
					if err != nil {
						t.Error(err)
					}
				}
				if _, err := s.Pay(id, no, ""); err != nil {
					t.Error(err)
				}
				if r := c.try("POST", refunds, refund(no, no, 100, 100)); r.status != 200 {
					t.Errorf("%s", r.body)
				}
				if r := c.try("GET", refunds+"/"+no, nil); r.status != 200 {
					t.Errorf("%s", r.body)
				}
			})
		}
		wg.Wait()
		time.Sleep(2 * time.Minute)
		require.EqualValues(t, 120, notified.Load())
		for _, c := range shops {
			require.Len(t, s.Orders(c.m.MchID), 20)
			balance, err := s.Deposit(c.m.MchID, 0)
			require.NoError(t, err)
			require.Zero(t, balance)
		}
	})
}

// BenchmarkOrder measures a whole order, signed by the caller and by WeChat. BenchmarkFloor measures its signatures alone.
func BenchmarkOrder(b *testing.B) {
	s := newServer(b)
	c := newClient(b, s, paytest.Merchant{MchID: mchID})
	body := `{"appid":"wx1","mchid":"` + mchID + `","description":"a","notify_url":"` + hook + `","amount":{"total":1},"out_trade_no":"order-%010d"}`
	for n := 0; b.Loop(); n++ {
		text := fmt.Sprintf(body, n)
		if r, err := c.send("POST", native, "application/json", text, text); err != nil || r.status != 200 {
			b.Fatal(err, r)
		}
	}
}

func BenchmarkFloor(b *testing.B) {
	key := keys()[0]
	sum := sha256.Sum256([]byte("a"))
	for b.Loop() {
		for range 2 {
			signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
			if err != nil {
				b.Fatal(err)
			}
			_ = signature
		}
	}
}
