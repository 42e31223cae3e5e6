package shop_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
)

// openPaid opens a shop with a WeChat Pay.
func openPaid(t *testing.T, name string, versions ...string) (*shop.Shop, *shoptest.Bank) {
	s, _ := shoptest.Open(t, name)
	b := shoptest.NewBank(t)
	b.Connect(t, s, versions...)
	return s, b
}

// versionFor returns the version of WeChat Pay's API for a test on each database, which takes too long in all combinations.
func versionFor(name string) string {
	if strings.HasSuffix(name, ".db") {
		return "v2"
	}
	return "v3"
}

func TestAnOrderHasThePricesOfTheShop(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, _ := openPaid(t, name, versionFor(name))
		o, err := s.PlaceOrder(t.Context(), 7, "10.0.0.9", 5, 1, 5)
		require.NoError(t, err)
		require.Equal(t, int64(19900+2*1200), o.TotalFee)
		require.Equal(t, []shop.Item{{ProductID: 1, Name: "轻便跑鞋", Fen: 19900, Count: 1}, {ProductID: 5, Name: "运动袜", Fen: 1200, Count: 2}}, o.Items)
		require.Equal(t, "轻便跑鞋 等3件", o.Body)
		require.Regexp(t, `^letao[a-z0-9]{20}$`, o.OutTradeNo)
		require.Equal(t, shop.NotPaid, o.State)
		require.Equal(t, "10.0.0.9", o.SpbillCreateIP)
		require.Equal(t, "https://shop.example.com/pay/notify", o.NotifyURL)
		require.Equal(t, []string{shoptest.AppID, shoptest.MchID}, []string{o.AppID, o.MchID})

		old, err := s.PlaceCart(t.Context(), 7, "", shop.Cart{Body: "运动袜", TotalFee: 1200})
		require.NoError(t, err)
		require.Equal(t, []shop.Item{{ProductID: 5, Name: "运动袜", Fen: 1200, Count: 1}}, old.Items)
	})
}

func TestATamperedPriceIsRefused(t *testing.T) {
	s, b := openPaid(t, t.TempDir()+"/shop.db", "v3")
	for _, c := range []struct {
		cart shop.Cart
		err  error
	}{
		{shop.Cart{Body: "运动袜", TotalFee: 1}, shop.ErrPrice},
		{shop.Cart{Body: "运动袜"}, shop.ErrPrice},
		{shop.Cart{Body: "运动袜", TotalFee: -1200}, shop.ErrPrice},
		{shop.Cart{Body: "轻便跑鞋", TotalFee: 1200}, shop.ErrPrice},
		{shop.Cart{ProductIDs: []int64{1, 5}, TotalFee: 1200}, shop.ErrPrice},
		{shop.Cart{ProductIDs: []int64{1, 99}}, shop.ErrNoGoods},
		{shop.Cart{ProductIDs: []int64{-1}}, shop.ErrNoGoods},
		{shop.Cart{ProductIDs: make([]int64, 101)}, shop.ErrNoGoods},
		{shop.Cart{Body: "金条", TotalFee: 1200}, shop.ErrNoGoods},
		{shop.Cart{}, shop.ErrNoGoods},
	} {
		_, err := s.PlaceCart(t.Context(), 7, "", c.cart)
		require.ErrorIs(t, err, c.err, "%+v", c.cart)
	}
	orders, _, err := s.Orders(t.Context(), 0, 0)
	require.NoError(t, err)
	require.Empty(t, orders)
	require.Empty(t, b.Orders(shoptest.MchID), "nothing reached WeChat")
}

func TestAUserReadsOwnOrdersInPages(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, _ := openPaid(t, name, "v3")
		var placed []string
		for i := range 45 {
			o, err := s.PlaceOrder(t.Context(), 7, "", 5)
			require.NoError(t, err)
			placed = append(placed, o.OutTradeNo)
			if i%9 == 0 {
				_, err = s.PlaceOrder(t.Context(), 8, "", 5)
				require.NoError(t, err)
			}
		}
		var read []string
		var sizes []int
		for cursor := int64(0); len(sizes) == 0 || cursor != 0; {
			orders, next, err := s.Orders(t.Context(), 7, cursor)
			require.NoError(t, err)
			for _, o := range orders {
				read = append([]string{o.OutTradeNo}, read...)
			}
			sizes, cursor = append(sizes, len(orders)), next
		}
		require.Equal(t, placed, read)
		require.Equal(t, []int{20, 20, 5}, sizes)

		latest, err := s.Store.LatestOrder(t.Context(), 7)
		require.NoError(t, err)
		require.Equal(t, placed[44], latest.OutTradeNo)
		_, err = s.Store.LatestOrder(t.Context(), 9)
		require.ErrorIs(t, err, shop.ErrNotFound)
		_, err = s.Order(t.Context(), shop.User{ID: 8}, placed[0])
		require.ErrorIs(t, err, shop.ErrNotFound, "an order of another user")
		for _, u := range []shop.User{{ID: 7}, {ID: 9, Admin: true}} {
			o, err := s.Order(t.Context(), u, placed[0])
			require.NoError(t, err)
			require.Equal(t, int64(7), o.UserID)
		}
	})
}
