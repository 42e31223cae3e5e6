package pay_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
)

// fillDueLists writes the due lists that open orders of an App leave, with n entries in each.
func fillDueLists(t *testing.T, records store.Store, app string, n int) {
	t.Helper()
	var lists [64]bytes.Buffer
	var counts [64]int
	at := time.Now().Add(time.Hour).Unix()
	for i, full := 0, 0; full < len(lists); i++ {
		key := fmt.Appendf(nil, "1900000001/order/open-%07d", i)
		h := fnv.New32a()
		_, _ = h.Write(key)
		list := h.Sum32() % uint32(len(lists))
		if counts[list] == n {
			continue
		}
		if counts[list] > 0 {
			lists[list].WriteByte(',')
		}
		fmt.Fprintf(&lists[list], `"%s":{"at":%d,"app":%q}`, key, at, app)
		if counts[list]++; counts[list] == n {
			full++
		}
	}
	for i := range lists {
		raw := fmt.Appendf(nil, `{"v":1,"due":{%s}}`, lists[i].Bytes())
		require.NoError(t, records.Set(t.Context(), fmt.Sprintf("pay/due/%02d", i), raw, 0))
	}
}

func TestOpenOrdersOfOneAppLeaveRoomForOthersAndForPayments(t *testing.T) {
	records := new(store.Memory)
	large, small := deskOn(newBank("v3/1900000001"), newShop(), records, records), deskOn(newBank("v3/1900000002"), newShop(), records, records)
	large.App, small.App = "large", "small"
	fillDueLists(t, records, "large", 5999)
	placed := 0
	var refused error
	for i := 0; refused == nil; i++ {
		require.Less(t, i, 2000)
		if _, refused = large.Prepay(t.Context(), order(fmt.Sprint("large-", i))); refused == nil {
			placed++
		}
	}
	require.Positive(t, placed)
	require.ErrorIs(t, refused, pay.ErrBusy, "nothing was done")
	require.ErrorContains(t, refused, "too many records of this app")
	require.Equal(t, placed, large.bank.count("prepay"))

	fillDueLists(t, records, "large", 6000)
	_, err := large.Prepay(t.Context(), order("large-more"))
	require.ErrorIs(t, err, pay.ErrBusy)
	require.Equal(t, http.StatusNoContent, large.bank.notifyPaid(large.Cashier, large.bank.payOrder("paid-elsewhere")), large.shop.errors())
	_, err = large.Refund(t.Context(), pay.Refund{OutTradeNo: "paid-elsewhere", OutRefundNo: "r1", Fen: 1})
	require.NoError(t, err)

	for i := range 20 {
		small.placePaid(t, fmt.Sprint("order-", i))
	}
	require.Equal(t, http.StatusNoContent, small.bank.notifyPaid(small.Cashier, small.bank.payOrder("paid-elsewhere")), small.shop.errors())
}
