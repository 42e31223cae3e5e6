package pay_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

// skewed is the store as a process sees it whose clock is ahead of the others by ahead (or behind, if negative): the times that it
// writes are ahead, and those that it reads seem behind. Swaps of order records take slow.
type skewed struct {
	store.Store
	ahead, slow time.Duration
}

var (
	attackTime = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`)
	attackAt   = regexp.MustCompile(`"at":\d{9,}`)
)

func moveTimes(b []byte, by time.Duration) []byte {
	if b == nil {
		return nil
	}
	b = attackTime.ReplaceAllFunc(b, func(m []byte) []byte {
		at, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(m))
		if err != nil || at.Year() < 1990 {
			return m
		}
		return []byte(at.Add(by).Format(`"` + time.RFC3339Nano + `"`))
	})
	return attackAt.ReplaceAllFunc(b, func(m []byte) []byte {
		n, _ := strconv.ParseInt(strings.TrimPrefix(string(m), `"at":`), 10, 64)
		return []byte(`"at":` + strconv.FormatInt(n+int64(by/time.Second), 10))
	})
}

func (s *skewed) Get(ctx context.Context, key string) ([]byte, bool, error) {
	b, ok, err := s.Store.Get(ctx, key)
	return moveTimes(b, -s.ahead), ok, err
}

func (s *skewed) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	if strings.Contains(key, "/order/") && old == nil {
		time.Sleep(s.slow)
	}
	return s.Store.Swap(ctx, key, moveTimes(old, s.ahead), moveTimes(new, s.ahead), ttl)
}

// place on a server whose clock is behind by skew, while another one runs; the notification is lost. It returns when OnPaid was called.
func foundAfter(t *testing.T, ahead, slow time.Duration) (found time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		claims, records := new(store.Memory), new(store.Memory)
		runs := deskOn(newBank("v3/1900000001"), newShop(), claims, records)
		places := deskOn(runs.bank, runs.shop, claims, &skewed{records, ahead, slow})
		stop := runs.run()
		defer stop()
		<-time.After(7 * time.Second) // the next round begins in 3 s
		_, err := places.Prepay(t.Context(), order("order-1"))
		require.NoError(t, err)
		<-time.After(20 * time.Second)
		runs.bank.payOrder("order-1")
		begun := time.Now()
		for range 24 * 360 {
			if runs.shop.count() == 1 {
				break
			}
			<-time.After(10 * time.Second)
		}
		found = time.Since(begun)
	})
	return found
}

// TestAttackAClockAheadDropsOrdersThatAreBeingPlaced: a server 5 min ahead drops the entry of an order that another one is writing,
// as one without a record for more than orphanTTL. Nobody asks about the order any more.
func TestAttackAClockAheadDropsOrdersThatAreBeingPlaced(t *testing.T) {
	const slow = 4 * time.Second // of the call that writes the order; any time in which a round begins does
	require.Less(t, foundAfter(t, 0, slow), 2*time.Minute, "without skew")
	require.Less(t, foundAfter(t, -30*time.Second, slow), 2*time.Minute, "30 s")
	require.Less(t, foundAfter(t, -time.Minute, slow), 2*time.Minute, "1 min")
	require.Less(t, foundAfter(t, -5*time.Minute, slow), 2*time.Hour, "5 min: a paid order of which the notification was lost")
}

// TestAttackClocksApartDelayTheFirstQueries: a payment without a notification is found 10 s to a minute later, says docs/cashier.md.
func TestAttackClocksApartDelayTheFirstQueries(t *testing.T) {
	for _, ahead := range []time.Duration{0, 30 * time.Second, -30 * time.Second, 5 * time.Minute, -5 * time.Minute} {
		after := foundAfter(t, ahead, 0)
		t.Logf("placed by a server %s ahead: found after %s", ahead, after)
	}
	require.Less(t, foundAfter(t, 5*time.Minute, 0), 2*time.Minute)
}

// h5Bank answers a new h5_url each time.
type h5Bank struct {
	*bank
	times []time.Time
}

func (b *h5Bank) Prepay(ctx context.Context, o pay.Order) (pay.Prepaid, error) {
	p, err := b.bank.Prepay(ctx, o)
	b.times = append(b.times, time.Now())
	p.H5URL = "https://wx.tenpay.com/" + strconv.Itoa(len(b.times))
	return p, err
}

// TestAttackAClockBehindShowsAnExpiredH5Link: h5_url lives 5 min; a server behind shows it for 9.
func TestAttackAClockBehindShowsAnExpiredH5Link(t *testing.T) {
	for _, ahead := range []time.Duration{0, 30 * time.Second, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			claims, records := new(store.Memory), new(store.Memory)
			b := &h5Bank{bank: newBank("v3/1900000001")}
			shows := deskOn(b.bank, newShop(), claims, records)
			places := deskOn(b.bank, newShop(), claims, &skewed{records, ahead, 0})
			shows.Merchants, places.Merchants = []pay.Merchant{b}, []pay.Merchant{b}
			o := order("order-1")
			o.Trade, o.ClientIP = pay.H5, "1.2.3.4"
			p, err := places.Prepay(t.Context(), o)
			require.NoError(t, err)
			var page struct{ id string }
			page.id = p.PageURL[strings.LastIndex(p.PageURL, "/")+1:]
			<-time.After(6 * time.Minute)
			r := httptest.NewRequest("GET", "/pay/h5/"+page.id, nil)
			r.SetPathValue("id", page.id)
			w := httptest.NewRecorder()
			shows.Routes()["GET /pay/h5/{id}"].ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code)
			require.NotContains(t, w.Body.String(), "wx.tenpay.com/1", "skew %s: the link is 6 min old", ahead)
		})
	}
}

// slowRefund is a bank whose refunds take 10 s to be refused.
type slowRefund struct{ *bank }

func (b slowRefund) Refund(ctx context.Context, f pay.Refund) (pay.Refund, error) {
	<-time.After(10 * time.Second)
	return b.bank.Refund(ctx, f)
}

// TestAttackARepeatedRefundIsAcceptedAndForgotten: the client repeats a refund after 5 s; the repeat answers PROCESSING, the first call
// is then refused, and its record removed. Nobody sends the refund.
func TestAttackARepeatedRefundIsAcceptedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.Merchants = []pay.Merchant{slowRefund{d.bank}}
		stop := d.run()
		defer stop()
		d.placePaid(t, "order-1")
		d.bank.set(func(b *bank) { b.balance = 10 })
		first := make(chan error)
		go func() {
			_, err := d.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 60})
			first <- err
		}()
		<-time.After(5 * time.Second)
		second, err := d.Refund(t.Context(), pay.Refund{OutTradeNo: "order-1", OutRefundNo: "r1", Fen: 60})
		t.Logf("second: %s %v", second.State, err)
		t.Logf("first: %v", <-first)
		d.bank.set(func(b *bank) { b.balance = 1000 })
		<-time.After(24 * time.Hour)
		_, query := d.QueryRefund(t.Context(), "r1")
		t.Logf("a day later: %v", query)
		require.False(t, err == nil && query != nil, "the refund was accepted as %s, and is unknown a day later", second.State)
	})
}

// TestAttackAPaymentOfAnotherShopOfTheProviderIsTaken: the order names shop 108 in Extra, and shop 109 was paid.
func TestAttackAPaymentOfAnotherShopOfTheProviderIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		o := order("order-1")
		o.Extra = map[string]any{"sub_mch_id": "1900000108"}
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		paid := d.bank.payOrder("order-1")
		paid.SubMchID, paid.TransactionID, paid.Raw = "1900000109", "tx-of-another-shop", json.RawMessage(`{}`)
		status := d.bank.notifyPaid(d.Cashier, paid)
		require.Zero(t, d.shop.calls(), "status %d", status)
	})
}
