package pay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/pay"
)

// FuzzPaymentBody sends bodies of orders, refunds and transfers. An amount that reaches WeChat is the one that the body has once, in
// that spelling, and each reply is JSON.
func FuzzPaymentBody(f *testing.F) {
	for _, seed := range []string{
		fmt.Sprintf(orderBody, "order-2"), `{"out_trade_no":"order-1","out_refund_no":"r1","fen":30,"total_fen":100}`, `{"fen":1,"Fen":2}`, `{"fen":1e2}`, `{"fen":-1}`, `[]`, ``, `{"fen":`,
		`{"out_trade_no":"order-1","out_refund_no":"r1","fen":9223372036854775807}`, `{"out_trade_no":"order-1","out_refund_no":"r1","\u0066en":1,"fen":2}`,
		`{"out_bill_no":"t1","openid":"o","fen":30,"scene_id":"1000","remark":"r","report_infos":[{"info_type":"a","info_content":"b"}]}`, `{"trade":"native","out_trade_no":"order-2","fen":1,"description":"d","extra":{"amount":{"total":5}}}`,
	} {
		for path := range uint8(3) {
			f.Add([]byte(seed), path)
		}
	}
	open := func(next http.Handler) http.Handler { return next }
	f.Fuzz(func(t *testing.T, body []byte, path uint8) {
		d := newDesk()
		d.placePaid(t, "order-1")
		h := wetoken.Handler(&pay.Handler{Cashier: d.Cashier, Guard: open, RefundGuard: open, TransferGuard: open})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", []string{"/pay/orders", "/pay/refunds", "/pay/transfers"}[path%3], strings.NewReader(string(body))))
		var reply map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &reply), "%d %s", w.Code, w.Body)
		if w.Code != http.StatusOK {
			require.True(t, w.Code >= 400 && w.Code < 600, w.Code)
			require.NotEmpty(t, reply["errmsg"])
		}
		d.bank.set(func(b *bank) {
			sent := make(map[string]int64)
			for no, o := range b.asked {
				if no != "order-1" {
					sent[no] = o.Fen
				}
			}
			for no, r := range b.refunds {
				sent[no] = r.Fen
			}
			for no, tr := range b.transfers {
				sent[no] = tr.Fen
			}
			require.LessOrEqual(t, len(sent), 1)
			for no, fen := range sent {
				require.Positive(t, fen)
				in := make(map[string]json.RawMessage)
				require.NoError(t, json.Unmarshal(body, &in))
				require.Equal(t, fmt.Sprint(fen), string(in["fen"]), "of %s", no)
				for name := range in {
					require.False(t, name != "fen" && strings.EqualFold(name, "fen"), name)
				}
			}
		})
	})
}
