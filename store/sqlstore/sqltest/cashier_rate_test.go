package sqltest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

var (
	rateFor    = flag.Duration("rate.for", 0, "how long TestOrdersASecond places orders; 0 skips it")
	rateOrders = flag.Int("rate.orders", 300, "orders a second of TestOrdersASecond")
)

// counter is a store that counts.
type counter struct {
	store.Store
	reads, writes, lost atomic.Int64
}

func (c *counter) Get(ctx context.Context, key string) ([]byte, bool, error) {
	c.reads.Add(1)
	return c.Store.Get(ctx, key)
}

func (c *counter) Swap(ctx context.Context, key string, old, new []byte, ttl time.Duration) (bool, error) {
	c.writes.Add(1)
	swapped, err := c.Store.Swap(ctx, key, old, new, ttl)
	if err == nil && !swapped {
		c.lost.Add(1)
	}
	return swapped, err
}

// quiet is a Merchant that answers at once and without signatures, so that what is measured is the Cashier and its store.
type quiet struct{ orders sync.Map }

var _ pay.Merchant = (*quiet)(nil)

func (*quiet) Name() string { return "v3/1900000001" }

func (q *quiet) Prepay(_ context.Context, o pay.Order) (pay.Prepaid, error) {
	q.orders.Store(o.OutTradeNo, pay.Transaction{OutTradeNo: o.OutTradeNo, MchID: "1900000001", State: pay.NotPaid, Fen: o.Fen})
	return pay.Prepaid{OutTradeNo: o.OutTradeNo, CodeURL: "weixin://wxpay/bizpayurl?pr=" + o.OutTradeNo}, nil
}

func (q *quiet) Query(_ context.Context, no string) (pay.Transaction, error) {
	if t, ok := q.orders.Load(no); ok {
		return t.(pay.Transaction), nil
	}
	return pay.Transaction{}, &pay.Error{Op: "query", Cause: pay.ErrNotFound}
}

func (q *quiet) pay(no string) (body []byte) {
	t, _ := q.Query(context.Background(), no)
	t.State, t.TransactionID, t.PaidAt = pay.Success, "tx-"+no, time.Now()
	t.Raw = json.RawMessage(`{"bank_type":"OTHERS","note":"` + string(bytes.Repeat([]byte("x"), 600)) + `"}`) // a usual size
	q.orders.Store(no, t)
	body, _ = json.Marshal(t)
	return body
}

func (*quiet) Parse(_ context.Context, _ http.Header, body []byte) (pay.Notification, error) {
	var t pay.Transaction
	err := json.Unmarshal(body, &t)
	return pay.Notification{Type: "TRANSACTION.SUCCESS", Transaction: &t, Raw: t.Raw}, err
}

func (*quiet) Answer(w http.ResponseWriter, err error) {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

func (*quiet) Close(context.Context, string) error                           { return nil }
func (*quiet) Reverse(context.Context, string) error                         { return nil }
func (*quiet) Refund(_ context.Context, f pay.Refund) (pay.Refund, error)    { return f, nil }
func (*quiet) QueryRefund(context.Context, string) (f pay.Refund, err error) { return f, nil }
func (*quiet) Bill(context.Context, string, time.Time, io.Writer) error      { return nil }

// TestOrdersASecond places orders at a rate, and has each paid and reported a second later.
//
//	go test . -run TestOrdersASecond -rate.for 60s -v -count 1
func TestOrdersASecond(t *testing.T) {
	if *rateFor == 0 {
		t.Skip("SKIPPED: this test needs -rate.for")
	}
	d := mysql(t)
	db := d.open(t)
	db.SetMaxOpenConns(64)
	db.SetMaxIdleConns(64)
	kept := &counter{Store: d.store(t, db)}
	merchant := new(quiet)
	var placed, hooks, again, failed atomic.Int64
	var settled sync.Map // by transaction id
	cashier := &pay.Cashier{
		Merchants: []pay.Merchant{merchant}, URL: "https://shop.example.com", Store: kept,
		OnPaid: func(_ context.Context, t pay.Transaction) error {
			hooks.Add(1)
			settled.Store(t.TransactionID, true)
			return nil
		},
		OnError: func(_ context.Context, err error) {
			if failed.Add(1) < 5 {
				t.Log(err)
			}
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = cashier.Run(ctx) })
	handler := cashier.Routes()["POST /pay/notify"]
	var mu sync.Mutex
	var places, takes []time.Duration
	live := func(no string) {
		begun := time.Now()
		if _, err := cashier.Prepay(t.Context(), pay.Order{Trade: pay.Native, OutTradeNo: no, Fen: 100, Description: "socks"}); err != nil {
			cashier.OnError(t.Context(), err)
			return
		}
		took := time.Since(begun)
		placed.Add(1)
		time.Sleep(time.Second)
		body := merchant.pay(no)
		for ; ; again.Add(1) {
			begun = time.Now()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("POST", "/pay/notify", bytes.NewReader(body)))
			if w.Code == http.StatusNoContent {
				break
			}
			time.Sleep(time.Second)
		}
		mu.Lock()
		defer mu.Unlock()
		places, takes = append(places, took), append(takes, time.Since(begun))
	}
	var orders sync.WaitGroup
	begun := time.Now()
	n := 0
	for ; time.Since(begun) < *rateFor; n++ {
		time.Sleep(time.Until(begun.Add(time.Second * time.Duration(n) / time.Duration(*rateOrders))))
		no := fmt.Sprintf("order-%d", n)
		orders.Go(func() { live(no) })
	}
	orders.Wait()
	took := time.Since(begun) - time.Second // of the last one
	cancel()
	running.Wait()
	per := func(c *atomic.Int64) float64 { return float64(c.Load()) / float64(placed.Load()) }
	require.NotEmpty(t, takes)
	slices.Sort(places)
	slices.Sort(takes)
	at := func(all []time.Duration, percent int) time.Duration {
		return all[(len(all)-1)*percent/100].Round(time.Millisecond / 10)
	}
	t.Logf("%d orders, %.0f a second; each %.2f reads of the store and %.2f writes, of which %.3f met another one; "+
		"placed in %v (99 %%: %v), taken in %v (99 %%: %v); %d notifications repeated, %d errors",
		placed.Load(), float64(placed.Load())/took.Seconds(), per(&kept.reads), per(&kept.writes), per(&kept.lost),
		at(places, 50), at(places, 99), at(takes, 50), at(takes, 99), again.Load(), failed.Load())
	count := 0
	settled.Range(func(any, any) bool { count++; return true })
	require.EqualValues(t, placed.Load(), count, "each is settled, however slow the database is")
	if failed.Load() == 0 {
		require.EqualValues(t, placed.Load(), hooks.Load(), "and none twice")
	}
}
