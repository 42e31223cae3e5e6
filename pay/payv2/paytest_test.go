package payv2_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// rsaKeys are ours and WeChat's.
var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

// shop is a merchant of the simulated WeChat Pay, with the notifications that it received.
type shop struct {
	*payv2.Merchant
	wx     *paytest.Server
	shown  *paytest.Merchant
	config payv2.Config

	mu  sync.Mutex
	got []pay.Notification
}

// inShop runs test with a shop in a bubble. change, which may be nil, modifies its configuration.
func inShop(t *testing.T, change func(*shop), test func(t *testing.T, s *shop)) {
	rsaKeys()
	synctest.Test(t, func(t *testing.T) {
		s := &shop{wx: &paytest.Server{GenerateKey: func() (*rsa.PrivateKey, error) { return rsaKeys()[1], nil }}}
		defer s.wx.Close()
		s.wx.Transport = paytest.InMemory(http.HandlerFunc(s.receive))
		s.shown = s.wx.AddMerchant(paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, Key: rsaKeys()[0], Balance: 100_000, RefundURL: notifyURL, H5Domains: []string{"shop.example.com"}})
		cert, err := tls.X509KeyPair([]byte(s.shown.Certificate), []byte(s.shown.PrivateKey))
		require.NoError(t, err)
		s.config = payv2.Config{AppID: appID, MchID: mchID, APIKey: s.shown.APIKey, NotifyURL: notifyURL, Certificate: cert, HTTP: s.wx.TLSClient(cert)}
		if change != nil {
			change(s)
		}
		s.Merchant = newMerchant(t, s.config)
		test(t, s)
	})
}

func (s *shop) receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n, err := s.Parse(r.Context(), r.Header, body)
	if err == nil {
		s.mu.Lock()
		s.got = append(s.got, n)
		s.mu.Unlock()
	}
	s.Answer(w, err)
}

func (s *shop) place(t *testing.T, trade pay.Trade, no string) pay.Prepaid {
	t.Helper()
	p, err := s.Prepay(t.Context(), pay.Order{Trade: trade, OutTradeNo: no, Fen: 100, Description: "袜子 <b> & ]]>", OpenID: openID, Attach: "a b", ClientIP: "1.2.3.4"})
	require.NoError(t, err)
	return p
}

func (s *shop) pay(t *testing.T, no string) (transactionID string) {
	t.Helper()
	id, err := s.wx.Pay(mchID, no, openID)
	require.NoError(t, err)
	return id
}

func TestWeChatPayTakesOrdersOfEachTrade(t *testing.T) {
	for _, by := range []payv2.SignType{payv2.HMACSHA256, payv2.MD5} {
		inShop(t, func(s *shop) { s.config.SignType = by }, func(t *testing.T, s *shop) {
			entries := map[pay.Trade]func(pay.Prepaid) paytest.Entry{
				pay.Native: func(p pay.Prepaid) paytest.Entry { return paytest.Entry{CodeURL: p.CodeURL} },
				pay.H5: func(p pay.Prepaid) paytest.Entry {
					return paytest.Entry{H5URL: p.H5URL, Referer: "https://shop.example.com/order"}
				},
				pay.JSAPI: func(p pay.Prepaid) paytest.Entry {
					m := p.Params
					return paytest.Entry{OpenID: openID, Params: &paytest.Params{
						AppID: m["appId"], TimeStamp: m["timeStamp"], NonceStr: m["nonceStr"], Package: m["package"], SignType: m["signType"], PaySign: m["paySign"],
					}}
				},
				pay.APP: nil,
			}
			for trade, enter := range entries {
				no := "order-" + string(trade)
				p := s.place(t, trade, no)
				unpaid, err := s.Query(t.Context(), no)
				require.NoError(t, err)
				require.Equal(t, pay.NotPaid, unpaid.State)
				if enter == nil {
					require.Contains(t, p.PrepayID, p.Params["prepayid"])
					s.pay(t, no)
				} else {
					_, err = s.wx.OpenSheet(enter(p))
					require.NoError(t, err, trade)
					s.pay(t, no)
				}
				synctest.Wait()
				paid, err := s.Query(t.Context(), no)
				require.NoError(t, err)
				require.True(t, paid.Paid())
				last := s.got[len(s.got)-1].Transaction
				require.Equal(t, []any{no, paid.TransactionID, int64(100), "a b"}, []any{last.OutTradeNo, last.TransactionID, last.Fen, last.Attach})
				require.ErrorIs(t, s.Close(t.Context(), no), pay.ErrPaid)
			}
			require.Len(t, s.got, 4)
			p := s.place(t, pay.H5, "order-direct")
			_, err := s.wx.OpenSheet(paytest.Entry{H5URL: p.H5URL})
			require.Error(t, err, "the page was not opened from a domain of the shop")
			require.NoError(t, s.Close(t.Context(), "order-direct"))
			closed, err := s.Query(t.Context(), "order-direct")
			require.NoError(t, err)
			require.Equal(t, pay.Closed, closed.State)
			_, err = s.Query(t.Context(), "order-none")
			require.ErrorIs(t, err, pay.ErrNotFound)
		})
	}
}

func TestARefundNeedsTheCertificateAndIsConfirmed(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		s.place(t, pay.Native, "order-1")
		s.pay(t, "order-1")
		synctest.Wait()
		half := pay.Refund{OutTradeNo: "order-1", OutRefundNo: "refund-1", Fen: 30, TotalFen: 100, Reason: "torn"}

		bare := s.config
		bare.HTTP = s.wx.Client() // which presents no certificate
		_, err := newMerchant(t, bare).Refund(t.Context(), half)
		require.Error(t, err)
		_, err = s.QueryRefund(t.Context(), "refund-1")
		require.ErrorIs(t, err, pay.ErrNotFound, "nothing was refunded")

		f, err := s.Refund(t.Context(), half)
		require.NoError(t, err)
		require.Equal(t, pay.Processing, f.State)
		require.NoError(t, s.wx.FinishRefund(mchID, "refund-1", "SUCCESS"))
		synctest.Wait()
		require.Len(t, s.got, 2)
		require.Equal(t, []any{"refund-1", int64(30), int64(100), pay.Success}, []any{s.got[1].Refund.OutRefundNo, s.got[1].Refund.Fen, s.got[1].Refund.TotalFen, s.got[1].Refund.State})
		paid, err := s.Query(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, pay.Refunded, paid.State)

		time.Sleep(2 * time.Minute)
		no, err := s.wx.RefundInConsole(mchID, "order-1", 20)
		require.NoError(t, err)
		require.NoError(t, s.wx.FinishRefund(mchID, no, "ABNORMAL"))
		synctest.Wait()
		require.Len(t, s.got, 3)
		require.Equal(t, []any{no, pay.Abnormal}, []any{s.got[2].Refund.OutRefundNo, s.got[2].Refund.State})

		forged := refundNotification(s.shown.APIKey, "out_refund_no", "refund-2", "refund_fee", "50")
		_, err = s.Parse(t.Context(), nil, forged)
		require.Error(t, err, "WeChat knows no such refund")
		_, err = s.Parse(t.Context(), nil, refundNotification(s.shown.APIKey, "out_refund_no", "refund-1", "refund_fee", "99"))
		require.Error(t, err, "WeChat knows another amount")
	})
}

func TestARefundInTheConsoleOfAMerchantOfAPIv3IsConfirmedThere(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		cert, err := payv3.ParseCertificate([]byte(s.shown.Certificate))
		require.NoError(t, err)
		public, err := payv3.ParsePublicKey([]byte(s.shown.PublicKey))
		require.NoError(t, err)
		v3, err := payv3.New(payv3.Config{
			AppID: appID, MchID: mchID, Key: rsaKeys()[0], Certificate: cert, APIv3Key: s.shown.APIv3Key, PublicKeyID: s.shown.PublicKeyID, PublicKey: public,
			NotifyURL: "https://shop.example.com/v3", HTTP: s.wx.Client(),
		})
		require.NoError(t, err)
		asked := 0
		s.config.QueryRefund = func(ctx context.Context, no string) (pay.Refund, error) { asked++; return v3.QueryRefund(ctx, no) }
		s.Merchant = newMerchant(t, s.config)
		_, err = v3.Prepay(t.Context(), pay.Order{Trade: pay.Native, OutTradeNo: "order-1", Fen: 100, Description: "d", NotifyURL: notifyURL})
		require.NoError(t, err)
		s.pay(t, "order-1")
		no, err := s.wx.RefundInConsole(mchID, "order-1", 40)
		require.NoError(t, err)
		require.NoError(t, s.wx.FinishRefund(mchID, no, "SUCCESS"))
		synctest.Wait()
		require.Len(t, s.got, 1, "the payment was notified in the form of APIv3, which this Merchant refuses")
		require.Equal(t, []any{no, int64(40), pay.Success}, []any{s.got[0].Refund.OutRefundNo, s.got[0].Refund.Fen, s.got[0].Refund.State})
		require.Equal(t, 1, asked)
	})
}

func TestPaymentCodesAreAwaitedAndReversed(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		o := pay.Order{Trade: pay.Code, OutTradeNo: "order-1", Fen: 100, Description: "d", ClientIP: "1.2.3.4", AuthCode: s.wx.PayCode(openID, false)}
		p, err := s.Prepay(t.Context(), o)
		require.NoError(t, err)
		require.True(t, p.Transaction.Paid())
		require.NoError(t, s.Reverse(t.Context(), "order-1"))
		got, err := s.Query(t.Context(), "order-1")
		require.NoError(t, err)
		require.Contains(t, []pay.State{pay.Reversed, pay.Refunded}, got.State)

		o.OutTradeNo, o.AuthCode = "order-2", s.wx.PayCode(openID, true)
		time.AfterFunc(12*time.Second, func() { _, _ = s.wx.Pay(mchID, "order-2", openID) })
		start := time.Now()
		p, err = s.Prepay(t.Context(), o)
		require.NoError(t, err, "the payer enters a password, and the order is then found paid")
		require.True(t, p.Transaction.Paid())
		require.GreaterOrEqual(t, time.Since(start), 12*time.Second)

		o.OutTradeNo, o.AuthCode = "order-3", "134567890123456789"
		_, err = s.Prepay(t.Context(), o)
		require.Error(t, err)
		require.NotErrorIs(t, err, pay.ErrUnknown)
	})
}

func TestABillHasTheOrdersOfAPIv2(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		time.Sleep(3 * time.Hour) // a bubble starts at 8:00 in Beijing, and bills are made at 10:00
		day := time.Now()
		s.place(t, pay.Native, "order-1")
		id := s.pay(t, "order-1")
		require.ErrorIs(t, s.Bill(t.Context(), "ALL", day.AddDate(0, 0, -1), io.Discard), pay.ErrNotFound)
		time.Sleep(48 * time.Hour)
		for _, kind := range []string{"ALL", "BASIC"} {
			var text strings.Builder
			require.NoError(t, s.Bill(t.Context(), kind, day, &text), kind)
			require.Contains(t, text.String(), id)
		}
	})
}

func TestPayoutsAreConfirmedByQuery(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		transfer := fields{"partner_trade_no": "t1", "openid": openID, "check_name": "NO_CHECK", "amount": "100", "desc": "d", "spbill_create_ip": "1.2.3.4"}
		got, err := s.Do(t.Context(), "/mmpaymkttransfers/promotion/transfers", transfer)
		require.NoError(t, err)
		require.NotEmpty(t, got["payment_no"])
		packet := fields{"mch_billno": "p1", "send_name": "s", "re_openid": openID, "total_amount": "100", "total_num": "1", "wishing": "w", "client_ip": "1.2.3.4", "act_name": "a", "remark": "r"}
		_, err = s.Do(t.Context(), "/mmpaymkttransfers/sendredpack", packet)
		require.NoError(t, err)
		transfer["partner_trade_no"], transfer["amount"] = "t2", "1"
		_, err = s.Do(t.Context(), "/mmpaymkttransfers/promotion/transfers", transfer)
		require.Error(t, err)
		require.NotErrorIs(t, err, pay.ErrUnknown, "the query shows that it was not made")
	})
}

func TestASandboxTakesItsOwnKey(t *testing.T) {
	for _, box := range []payv2.Sandbox{payv2.SandboxXDC, payv2.SandboxOld} {
		inShop(t, func(s *shop) { s.config.Sandbox = box }, func(t *testing.T, s *shop) {
			key, err := s.SandboxSignKey(t.Context())
			require.NoError(t, err)
			require.NotEqual(t, s.shown.APIKey, key)
			o := pay.Order{Trade: pay.Code, OutTradeNo: "order-1", Fen: 301, Description: "d", ClientIP: "1.2.3.4", AuthCode: "134567890123456789"}
			p, err := s.Prepay(t.Context(), o)
			require.NoError(t, err, box)
			require.True(t, p.Transaction.Paid())
			_, err = s.wx.Order(mchID, "order-1")
			require.Error(t, err, "it is no order of WeChat Pay itself")
		})
	}
}

func TestTheSecondHostTakesOver(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		s.wx.AddFault(paytest.Fault{Host: "api.mch.weixin.qq.com", Refuse: true})
		s.place(t, pay.Native, "order-1")
		o, err := s.wx.Order(mchID, "order-1")
		require.NoError(t, err)
		require.Equal(t, "NOTPAY", o.State)
	})
}
