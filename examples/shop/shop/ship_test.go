package shop_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// connectWeChat gives a shop a WeChat that accepts the shipping information of the payments in known, by transaction id.
func connectWeChat(s *shop.Shop, known *sync.Map) *wechattest.Server {
	wx := &wechattest.Server{FindPayment: func(key wechattest.Payment) (wechattest.Payment, bool) {
		v, _ := known.Load(key.TransactionID)
		p, ok := v.(wechattest.Payment)
		return p, ok
	}}
	secret := rand.Text()
	wx.Add(wechattest.App{ID: shoptest.AppID, Secret: secret, Kind: wechattest.Mini})
	api := &wechat.Client{HTTP: wx.Client()}
	s.WeChat = &wechat.Client{HTTP: wx.Client(), Tokens: &token.Manager{AppID: shoptest.AppID, Secret: secret, Kind: wechat.Mini, Store: s.Shared, Client: api}}
	return wx
}

const uploadPath = "/wxa/sec/order/upload_shipping_info"

func TestShippingInformationIsUploadedUntilWeChatKnowsThePayment(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		known := new(sync.Map)
		wx := connectWeChat(s, known)
		u := shoptest.AddUser(t, s, "li")
		o, err := s.PlaceOrder(t.Context(), u.ID, "", 5, 5)
		require.NoError(t, err)
		o, err = s.Pay(t.Context(), o.OutTradeNo)
		require.NoError(t, err)
		_, err = s.Ship(t.Context(), o.OutTradeNo, "SF", "SF123")
		require.ErrorIs(t, err, shop.ErrState, "it is not paid")
		require.NoError(t, scanAndPay(b, o.CodeURL))
		synctest.Wait()
		o = waitFor(t, s, o.OutTradeNo, shop.Paid)

		for _, wrong := range [][2]string{{"SF", ""}, {"", "SF123"}, {strings.Repeat("S", 33), "SF123"}, {"SF", strings.Repeat("1", 65)}} {
			_, err = s.Ship(t.Context(), o.OutTradeNo, wrong[0], wrong[1])
			require.ErrorIs(t, err, shop.ErrInvalid)
		}
		go func() { _ = s.Run(t.Context()) }()
		o, err = s.Ship(t.Context(), o.OutTradeNo, "SF", "SF123")
		require.NoError(t, err)
		require.Equal(t, shop.Shipped, o.State)
		require.Contains(t, o.UploadError, "10060001")
		require.Equal(t, 1, wx.Calls(uploadPath))
		same, err := s.Ship(t.Context(), o.OutTradeNo, "SF", "SF123")
		require.NoError(t, err)
		require.Equal(t, o.ShippedAt, same.ShippedAt)
		_, err = s.Ship(t.Context(), o.OutTradeNo, "SF", "SF124")
		require.ErrorIs(t, err, shop.ErrState)

		time.Sleep(30 * time.Minute)
		require.Empty(t, wx.Shipments())
		require.Greater(t, wx.Calls(uploadPath), 3)
		known.Store(o.TransactionID, wechattest.Payment{TransactionID: o.TransactionID, OpenID: o.OpenID})
		time.Sleep(6 * time.Minute)
		calls := wx.Calls(uploadPath)
		require.Len(t, wx.Shipments(), 1)
		var body map[string]any
		require.NoError(t, json.Unmarshal(wx.Shipments()[0].Body, &body))
		require.Equal(t, []any{map[string]any{
			"item_desc": "运动袜 等2件", "express_company": "SF", "tracking_no": "SF123", "contact": map[string]any{"receiver_contact": "138****0000"},
		}}, body["shipping_list"])
		o, err = s.Store.Order(t.Context(), o.OutTradeNo)
		require.NoError(t, err)
		require.Empty(t, o.UploadError)
		time.Sleep(time.Hour)
		require.Equal(t, calls, wx.Calls(uploadPath), "once WeChat has it")
	}, "v3")
}

func TestAnUploadWhoseReplyWasLostIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		known := new(sync.Map)
		wx := connectWeChat(s, known)
		o := paid(t, s, b, 5)
		known.Store(o.TransactionID, wechattest.Payment{TransactionID: o.TransactionID, OpenID: o.OpenID})
		wx.AddFault(wechattest.Fault{Path: uploadPath, Times: 1, Cut: true, AfterWork: true})
		go func() { _ = s.Run(t.Context()) }()
		o, err := s.Ship(t.Context(), o.OutTradeNo, "", "")
		require.NoError(t, err)
		require.NotEmpty(t, o.UploadError)
		require.NotContains(t, o.UploadError, "access_token")
		time.Sleep(10 * time.Minute)
		o, err = s.Store.Order(t.Context(), o.OutTradeNo)
		require.NoError(t, err)
		require.Empty(t, o.UploadError, "errcode 10060023 says that WeChat has it")
		require.Equal(t, 2, wx.Calls(uploadPath))
	}, "v3")
}

func TestAnOrderThatTheOldProgramMarkedIsShippedIfWeChatHasThePayment(t *testing.T) {
	shoptest.OnEach(t, func(t *testing.T, name string) {
		s, b := openPaid(t, name, versionFor(name))
		b.AddNotificationFault(paytest.NotificationFault{Lost: 1000})
		add := func(no string, fen int64) (codeURL string) {
			require.NoError(t, s.Store.AddOrder(t.Context(), shop.Order{OutTradeNo: no, TotalFee: 1200, State: shop.Paid}))
			prepaid, err := s.Cashier.Merchants[0].Prepay(t.Context(), pay.Order{
				Trade: pay.Native, OutTradeNo: no, Fen: fen, Description: "shoes", NotifyURL: "https://shop.example.com/pay/notify",
			})
			require.NoError(t, err)
			return prepaid.CodeURL
		}
		require.NoError(t, s.Store.AddOrder(t.Context(), shop.Order{OutTradeNo: "letao-unknown", TotalFee: 1200, State: shop.Paid}))
		add("letao-unpaid", 1200)
		require.NoError(t, scanAndPay(b, add("letao-cheap", 1)))
		for _, no := range []string{"letao-unknown", "letao-unpaid", "letao-cheap"} {
			_, err := s.Ship(t.Context(), no, "", "")
			require.ErrorIs(t, err, shop.ErrState, no)
			_, err = s.Refund(t.Context(), no, "")
			require.ErrorIs(t, err, shop.ErrState, no)
		}
		require.NoError(t, scanAndPay(b, add("letao-paid", 1200)))
		o, err := s.Ship(t.Context(), "letao-paid", "", "")
		require.NoError(t, err)
		require.Equal(t, shop.Shipped, o.State)
		atWeChat, err := b.Order(shoptest.MchID, "letao-paid")
		require.NoError(t, err)
		require.Equal(t, atWeChat.TransactionID, o.TransactionID)
		_, err = s.Refund(t.Context(), "letao-paid", "torn")
		require.NoError(t, err)
	})
}

func TestAnOrderThatOthersChangeIsShipped(t *testing.T) {
	name := shoptest.NewMariaDB(t) + "?innodb_snapshot_isolation=ON" // the default since MariaDB 11.6
	s, _ := shoptest.Open(t, name)
	s.Cashier = &pay.Cashier{Merchants: []pay.Merchant{shoptest.NewBank(t).Merchant(t, "v2")}}
	other, _ := shoptest.Open(t, name)
	for i := range 20 {
		no := fmt.Sprint("letao", i)
		require.NoError(t, s.Store.AddOrder(t.Context(), shop.Order{OutTradeNo: no, UserID: 7, TotalFee: 1200, State: shop.NotPaid}))
		require.NoError(t, s.Store.Settle(t.Context(), shop.Payment{OutTradeNo: no, TransactionID: fmt.Sprint("42", i), Fen: 1200, PaidAt: time.Now()}))
		shipped := make(chan struct{})
		var changes sync.WaitGroup
		changes.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-shipped:
					return
				default:
				}
				if err := other.Store.SetCode(t.Context(), no, fmt.Sprint(n), time.Now()); err != nil {
					t.Error(err)
					return
				}
			}
		})
		o, err := s.Ship(t.Context(), no, "SF", "SF123")
		close(shipped)
		changes.Wait()
		require.NoError(t, err)
		require.Equal(t, shop.Shipped, o.State)
	}
}

func TestProcessesThatClaimUploadsAtTheSameTimeShareThem(t *testing.T) {
	name := shoptest.NewMariaDB(t) + "?innodb_snapshot_isolation=ON"
	one, _ := shoptest.Open(t, name)
	two, _ := shoptest.Open(t, name)
	const n = 20
	for i := range n {
		no := fmt.Sprint("letao", i)
		require.NoError(t, one.Store.AddOrder(t.Context(), shop.Order{OutTradeNo: no, UserID: 7, TotalFee: 1200, State: shop.Paid}))
		shipped, err := one.Store.Ship(t.Context(), shop.Order{OutTradeNo: no, ShippedAt: time.Now()}, true)
		require.NoError(t, err)
		require.True(t, shipped)
	}
	var claims sync.WaitGroup
	var claimed sync.Map
	for i := range 8 {
		claims.Go(func() {
			orders, err := []*shop.Shop{one, two}[i%2].Store.ClaimUploads(t.Context(), time.Now().Add(time.Second), time.Now().Add(time.Hour), n)
			if err != nil {
				t.Error(err)
			}
			for _, o := range orders {
				if _, other := claimed.Swap(o.OutTradeNo, true); other {
					t.Error(o.OutTradeNo, "is uploaded twice")
				}
			}
		})
	}
	claims.Wait()
	left, err := one.Store.ClaimUploads(t.Context(), time.Now().Add(time.Second), time.Now().Add(time.Hour), n)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAMerchantOfAPIv2UploadsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		wx := connectWeChat(s, new(sync.Map))
		o, err := s.Ship(t.Context(), paid(t, s, b, 5).OutTradeNo, "", "")
		require.NoError(t, err)
		require.Equal(t, shop.Shipped, o.State)
		require.Equal(t, 0, wx.Calls(uploadPath))
	}, "v2")
}
