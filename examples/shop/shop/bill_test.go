package shop_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/internal/shoptest"
	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestTheBillOfADayIsComparedWithTheOrders(t *testing.T) {
	for _, version := range []string{"v3", "v2"} {
		t.Run(version, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
				day := time.Now()
				socks, shoes, ball := paid(t, s, b, 5), paid(t, s, b, 1), paid(t, s, b, 6)
				_, err := s.Refund(t.Context(), socks.OutTradeNo, "torn")
				require.NoError(t, err)
				require.NoError(t, b.FinishRefund(shoptest.MchID, socks.TransactionID+"-1", "SUCCESS"))
				waitFor(t, s, socks.OutTradeNo, shop.Refunded)
				_, err = s.Bill(t.Context(), day)
				require.ErrorIs(t, err, pay.ErrBusy, "the day is not over")
				time.Sleep(36 * time.Hour)

				bill, err := s.Bill(t.Context(), day)
				require.NoError(t, err)
				require.Equal(t, day.In(shop.Beijing).Format(time.DateOnly), bill.Day.Format(time.DateOnly))
				require.Equal(t, 3, bill.Payments)
				require.Equal(t, int64(1200+19900+12900), bill.PaidFen)
				require.Equal(t, 1, bill.Refunds)
				require.Equal(t, int64(1200), bill.RefundFen)
				require.Empty(t, bill.Differences)

				// One payment has another amount, one is of another transaction.
				text := readBill(t, s, day)
				plant(t, b, day, strings.NewReplacer("`129.00", "`128.00", shoes.TransactionID, "4299999999").Replace(text), false)
				_, err = b.RefundInConsole(shoptest.MchID, ball.OutTradeNo, 100)
				require.NoError(t, err)
				bill, err = s.Bill(t.Context(), day)
				require.NoError(t, err)
				require.ElementsMatch(t, []shop.Difference{
					{OutTradeNo: ball.OutTradeNo, TransactionID: ball.TransactionID, BillFen: 12800, ShopFen: 12900, Reason: "the amounts differ"},
					{OutTradeNo: shoes.OutTradeNo, TransactionID: shoes.TransactionID, ShopFen: 19900, Reason: "the bill does not have the payment"},
					{OutTradeNo: shoes.OutTradeNo, TransactionID: "4299999999", BillFen: 19900, Reason: "the shop does not have the payment"},
				}, bill.Differences)

				time.Sleep(36 * time.Hour)
				console, err := s.Bill(t.Context(), time.Now().Add(-36*time.Hour))
				require.NoError(t, err)
				require.Len(t, console.Differences, 1)
				require.Equal(t, "the shop does not have the refund", console.Differences[0].Reason)
				require.Equal(t, int64(100), console.Differences[0].BillFen)

				empty, err := s.Bill(t.Context(), day.AddDate(0, 0, -3))
				require.NoError(t, err)
				require.Equal(t, 0, empty.Payments)
			}, version)
		})
	}
}

// readBill returns the bill of a day as WeChat writes it.
func readBill(t *testing.T, s *shop.Shop, day time.Time) string {
	t.Helper()
	var text strings.Builder
	require.NoError(t, s.Cashier.Bill(t.Context(), "ALL", day, &text))
	return text.String()
}

// plant replaces the bill of a day.
func plant(t *testing.T, b *shoptest.Bank, day time.Time, text string, wrongHash bool) {
	t.Helper()
	require.NoError(t, b.AddBill(paytest.Bill{MchID: shoptest.MchID, Kind: "tradebill", Day: day, WrongHash: wrongHash, Write: func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}))
}

func TestARefundThatTheBillLacksIsADifference(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		day := time.Now()
		o := paid(t, s, b, 5)
		f, err := s.Store.StartRefund(t.Context(), shop.Refund{TransactionID: o.TransactionID, OutTradeNo: o.OutTradeNo, Fen: 1200, State: pay.Processing, CreatedAt: day})
		require.NoError(t, err)
		require.NoError(t, s.EndRefund(t.Context(), pay.Refund{OutRefundNo: f.OutRefundNo, State: pay.Success}))
		time.Sleep(36 * time.Hour)
		bill, err := s.Bill(t.Context(), day)
		require.NoError(t, err)
		require.Equal(t, []shop.Difference{
			{OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID, OutRefundNo: f.OutRefundNo, ShopFen: 1200, Reason: "the bill does not have the refund"},
		}, bill.Differences)
	}, "v3")
}

func TestABillThatIsNotWholeIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, s *shop.Shop, b *shoptest.Bank) {
		day := time.Now()
		paid(t, s, b, 5)
		paid(t, s, b, 6)
		time.Sleep(36 * time.Hour)
		text := readBill(t, s, day)
		for says, edit := range map[string]func(string) string{
			"ends before its sums": func(text string) string { return text[:strings.Index(text, "总交易单数")] },
			`but says "2"`: func(text string) string {
				lines := strings.SplitAfter(text, "\r\n")
				return lines[0] + strings.Join(lines[2:], "")
			},
			"invalid amount": func(text string) string { return strings.Replace(text, "`12.00", "`-12.00", 2) },
			"has 27 values, want 28": func(text string) string {
				return strings.Replace(text, "交易时间,", "交易时间,新列,", 1)
			},
			"lacks 微信订单号": func(text string) string { return strings.Replace(text, "微信订单号", "单号", 1) },
		} {
			edited := edit(text)
			require.NotEqual(t, text, edited)
			plant(t, b, day, edited, false)
			_, err := s.Bill(t.Context(), day)
			require.ErrorContains(t, err, says)
		}
		plant(t, b, day, text, false)
		_, err := s.Bill(t.Context(), day)
		require.NoError(t, err)
		plant(t, b, day, text, true)
		_, err = s.Bill(t.Context(), day)
		require.Error(t, err, "its hash is wrong")
	}, "v3")
}
