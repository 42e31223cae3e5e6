package payv3_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestTransfers(t *testing.T) {
	for _, sub := range []string{"", "1900000109"} {
		synctest.Test(t, func(t *testing.T) {
			s := newWeChatPay()
			s.Transport = paytest.InMemory(http.NotFoundHandler())
			defer s.Close()
			account := paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, Balance: 1_000_000}
			from := account.MchID
			if sub != "" {
				account.Subs, from = []paytest.Sub{{MchID: sub, Balance: 1_000_000}}, sub
			}
			shop := newMerchant(t, join(t, s, account))
			if sub != "" {
				shop = shop.Sub(sub, "")
			}
			asked := pay.Transfer{
				OutBillNo: "t1", OpenID: "o1", Fen: 200_000, SceneID: "1000", Remark: "a prize", UserName: "Li Lei",
				ReportInfos: []pay.ReportInfo{{Type: "活动名称", Content: "lottery"}},
			}
			_, err := shop.QueryTransfer(t.Context(), "t1")
			require.ErrorIs(t, err, pay.ErrNotFound)
			s.AddFault(paytest.Fault{Method: "POST", Reset: true, AfterWork: true, Times: 1})
			got, err := shop.Transfer(t.Context(), asked)
			require.NoError(t, err, "the same bytes are sent once more")
			require.Equal(t, pay.WaitConfirm, got.State)
			require.NotEmpty(t, got.Package)
			require.NotEmpty(t, got.TransferBillNo)
			require.Equal(t, "Li Lei", got.UserName)

			other := asked
			other.Fen++
			_, err = shop.Transfer(t.Context(), other)
			require.ErrorIs(t, err, pay.ErrChanged)
			require.NoError(t, s.FinishTransfer(from, "t1", "SUCCESS", ""))
			got, err = shop.QueryTransfer(t.Context(), "t1")
			require.NoError(t, err)
			require.True(t, got.Ended())
			require.Equal(t, int64(200_000), got.Fen)
			require.Equal(t, "o1", got.OpenID)

			asked.OutBillNo = "t2"
			_, err = shop.Transfer(t.Context(), asked)
			require.NoError(t, err)
			got, err = shop.CancelTransfer(t.Context(), "t2")
			require.NoError(t, err)
			require.Equal(t, pay.Canceling, got.State)
			<-time.After(2 * time.Second)
			got, err = shop.QueryTransfer(t.Context(), "t2")
			require.NoError(t, err)
			require.Equal(t, pay.Cancelled, got.State)
			_, err = shop.CancelTransfer(t.Context(), "t/2")
			require.ErrorContains(t, err, "OutBillNo")
			asked.Fen, asked.OutBillNo = 900_000, "t3"
			_, err = shop.Transfer(t.Context(), asked)
			require.ErrorIs(t, err, pay.ErrNotEnough)
		})
	}
}
