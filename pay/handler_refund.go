package pay

import (
	"context"
	"net/http"
)

func (h *Handler) refund(w http.ResponseWriter, r *http.Request) {
	var body struct {
		OutTradeNo    string         `json:"out_trade_no"`
		TransactionID string         `json:"transaction_id"`
		OutRefundNo   string         `json:"out_refund_no"`
		Fen           int64          `json:"fen"`
		TotalFen      int64          `json:"total_fen"`
		Reason        string         `json:"reason"`
		Repeat        bool           `json:"repeat"`
		Extra         map[string]any `json:"extra"`
	}
	if !readBody(w, r, &body) {
		return
	}
	f := Refund{
		OutTradeNo: body.OutTradeNo, TransactionID: body.TransactionID, OutRefundNo: body.OutRefundNo, Fen: body.Fen,
		TotalFen: body.TotalFen, Reason: body.Reason, Repeat: body.Repeat, Extra: body.Extra,
	}
	err := h.around(r, Call{Action: "refund", Number: f.OutRefundNo, Fen: f.Fen}, func(ctx context.Context) (err error) {
		f, err = h.Cashier.Refund(ctx, f)
		return err
	})
	answerJSON(w, f.withoutNotifyURL(), err)
}

// withoutNotifyURL returns the refund without our internal address.
func (r Refund) withoutNotifyURL() Refund {
	r.NotifyURL = ""
	return r
}

func (h *Handler) queryRefund(w http.ResponseWriter, r *http.Request) {
	f, err := h.Cashier.QueryRefund(r.Context(), r.PathValue("no"))
	answerJSON(w, f.withoutNotifyURL(), err)
}
