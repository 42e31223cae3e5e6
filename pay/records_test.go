package pay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

// random matches the random parts of records.
var (
	random    = regexp.MustCompile(`"id":"[A-Z2-7]{26}"`)
	randomKey = regexp.MustCompile(`^pay/id/[A-Z2-7]{26}$`)
)

// TestRecordsKeepTheirForm pins the records, since processes of several releases share a store.
func TestRecordsKeepTheirForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.App = "shop"
		o := order("order-1")
		o.Trade, o.OpenID, o.Attach, o.ExpiresAt, o.Extra = pay.JSAPI, "o1", "a", time.Now().Add(time.Hour), map[string]any{"goods_tag": "x", "n": 12345678901234567}
		_, err := d.Prepay(t.Context(), o)
		require.NoError(t, err)
		paid := d.bank.payOrder("order-1")
		paid.Raw = json.RawMessage(`{"a":1}`)
		require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
		_, err = d.Refund(t.Context(), refund("r1", 30))
		require.NoError(t, err)
		_, err = d.QueryRefund(t.Context(), "r1")
		require.NoError(t, err)
		_, err = d.Transfer(t.Context(), transfer("t1"))
		require.NoError(t, err)
		d.place(t, "order-2")
		wrong := d.bank.payOrder("order-2")
		wrong.Fen = 1
		require.Equal(t, http.StatusForbidden, d.bank.notifyPaid(d.Cashier, wrong))

		var got []string
		for _, key := range keysOf(t, d.records.Store) {
			raw, _, err := d.records.Store.Get(t.Context(), key)
			require.NoError(t, err)
			key = randomKey.ReplaceAllString(key, "pay/id/RANDOM")
			got = append(got, fmt.Sprintf("%s\n%s\n", key, random.ReplaceAll(raw, []byte(`"id":"RANDOM"`))))
		}
		slices.Sort(got) // the random keys
		text := strings.Join(got, "")
		golden := filepath.Join("testdata", "records.txt")
		if os.Getenv("UPDATE") != "" {
			require.NoError(t, os.WriteFile(golden, []byte(text), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), text)
	})
}

func keysOf(t *testing.T, s store.Store) []string {
	keys := map[string]bool{}
	for key, err := range s.Keys(t.Context(), "") {
		require.NoError(t, err)
		keys[key] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

// use makes all calls of a Cashier and ignores their errors.
func use(ctx context.Context, d *desk) {
	_, _ = d.Prepay(ctx, order("order-1"))
	_, _ = d.Query(ctx, "order-1")
	_ = d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-1"))
	_, _ = d.Refund(ctx, refund("r1", 30))
	_, _ = d.QueryRefund(ctx, "r1")
	_, _ = d.Transfer(ctx, transfer("t1"))
	_, _ = d.QueryTransfer(ctx, "t1")
	_, _ = d.CancelTransfer(ctx, "t1")
	_, _ = d.Refused(ctx)
	_ = d.Accept(ctx, "tx-order-1")
	_ = d.Close(ctx, "order-1")
	_ = d.Reverse(ctx, "order-1")
}

// planted are the keys that use reads.
var planted = []string{
	"pay/1900000001/order/order-1", "pay/1900000001/refund/r1", "pay/1900000001/transfer/t1", "pay/1900000001/refused/tx-order-1",
}

func FuzzPlantedRecord(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `{"v":1}`, `{"v":2}`, `{"v":1,"merchant":"v3/1900000001","state":"paid","order":{"out_trade_no":"order-1"}}`,
		`{"v":1,"merchant":"v3/1900000001","state":"paid","known":true,"order":{"out_trade_no":"order-1"},"transaction":{}}`,
		`{"v":1,"merchant":"v3/9","state":"sent","refund":{"out_refund_no":"r1"},"transfer":{"out_bill_no":"t1"},"order":{"out_trade_no":"order-1"}}`,
		`{"v":1,"merchant":"v3/1900000001","state":"final","refund":{"out_refund_no":"r1","out_trade_no":"a/../b"},"answer":{},"transfer":{"out_bill_no":"t1"}}`,
		`{"v":1,"id":"tx-order-1","out_trade_no":"order-1","transaction":{"transaction_id":"x/y"}}`,
		`{"v":1,"due":{"1900000001/order/order-1":{"at":1},"x":{"at":-9223372036854775808},"a/b/c":{"at":9223372036854775807},"//":{"at":1}}}`,
	} {
		f.Add([]byte(seed), uint8(0))
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "records.txt"))
	require.NoError(f, err)
	for line := range strings.Lines(string(golden)) {
		f.Add([]byte(strings.TrimSpace(line)), uint8(1))
	}
	f.Fuzz(func(t *testing.T, value []byte, spread uint8) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			for i, key := range planted {
				if spread == 0 || int(spread)%len(planted) == i {
					require.NoError(t, d.records.Store.Set(t.Context(), key, value, 0))
				}
			}
			for i := range 64 {
				if spread < 2 || int(spread) == i {
					require.NoError(t, d.records.Store.Set(t.Context(), fmt.Sprintf("pay/due/%02d", i), value, 0))
				}
			}
			use(t.Context(), d)
			stop := d.run()
			<-time.After(time.Minute)
			stop()
			for _, key := range keysOf(t, d.records.Store) {
				raw, _, err := d.records.Store.Get(t.Context(), key)
				require.NoError(t, err)
				require.LessOrEqual(t, len(raw), 1<<20+len(value))
			}
			require.NotContains(t, d.shop.errors(), "panic")
		})
	})
}

func TestPlantedRefundsDoNotHideTheSum(t *testing.T) {
	for _, fen := range []string{"-100", "-9223372036854775808", "9223372036854775807", "1000000000000000"} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.placePaid(t, "order-1") // of 100 fen
			_, err := d.Refund(t.Context(), refund("r1", 90))
			require.NoError(t, err)
			raw, _, err := d.records.Store.Get(t.Context(), planted[0])
			require.NoError(t, err)
			changed := strings.Replace(string(raw), `"refunds":[`, `"refunds":[{"no":"planted","fen":`+fen+`,"at":"2000-01-01T00:00:00Z"},`, 1)
			require.NotEqual(t, string(raw), changed)
			require.NoError(t, d.records.Store.Set(t.Context(), planted[0], []byte(changed), 0))
			sent := d.bank.count("refund")
			_, err = d.Refund(t.Context(), refund("r2", 90))
			require.ErrorContains(t, err, "refund planted has "+fen+" fen")
			require.Equal(t, sent, d.bank.count("refund"))
		})
	}
}

func TestARecordOfALaterReleaseIsNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.placePaid(t, "order-1")
		const later = `{"v":2,"something":"else"}`
		keys := append([]string{"pay/due/00"}, planted...)
		for _, key := range keys {
			require.NoError(t, d.records.Store.Set(t.Context(), key, []byte(later), 0))
		}
		use(t.Context(), d)
		stop := d.run()
		<-time.After(time.Hour)
		stop()
		for _, key := range keys {
			raw, _, err := d.records.Store.Get(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, later, string(raw), key)
		}
		require.Equal(t, http.StatusServiceUnavailable, d.bank.notifyPaid(d.Cashier, d.bank.payOrder("order-1")), "it is not acknowledged")
		require.Contains(t, d.shop.errors(), "invalid record version 2: want 1")
		require.Equal(t, 1, d.shop.calls())
	})
}

func TestRecordsAreBounded(t *testing.T) {
	d := newDesk()
	o := order("order-1")
	o.Extra = map[string]any{"goods_tag": strings.Repeat("x", 1<<20)}
	_, err := d.Prepay(t.Context(), o)
	require.ErrorContains(t, err, "more than 1048576 bytes")
	require.Zero(t, d.bank.count("prepay"))

	d.place(t, "order-2")
	paid := d.bank.payOrder("order-2")
	paid.Raw = json.RawMessage(`"` + strings.Repeat("x", 200<<10) + `"`)
	require.Equal(t, http.StatusNoContent, d.bank.notifyPaid(d.Cashier, paid))
	raw, ok, err := d.records.Store.Get(t.Context(), "pay/1900000001/order/order-2")
	require.NoError(t, err)
	require.True(t, ok)
	require.Less(t, len(raw), 2000)
}

// TestPlantedRandomBytes changes random bytes of valid records.
func TestPlantedRandomBytes(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "records.txt"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(golden)), "\n")
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			d.App = "shop"
			for i := 0; i < len(lines); i += 2 {
				value := []byte(lines[i+1])
				for range random.IntN(3) {
					value[random.IntN(len(value))] = "\"{}[],:0a"[random.IntN(9)]
				}
				require.NoError(t, d.records.Store.Set(t.Context(), lines[i], value, 0))
			}
			use(t.Context(), d)
			stop := d.run()
			<-time.After(30 * time.Second)
			stop()
			require.NotContains(t, d.shop.errors(), "panic")
		})
	}
}
