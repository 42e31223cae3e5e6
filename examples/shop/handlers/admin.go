package handlers

import (
	"fmt"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

// admin serves admins only.
func (h *Handlers) admin(next http.HandlerFunc) http.HandlerFunc {
	return h.protected(func(w http.ResponseWriter, r *http.Request, u shop.User) {
		if !u.Admin {
			h.failOrder(w, r, shop.ErrForbidden)
			return
		}
		next(w, r)
	})
}

// refundOrder serves POST /orders/{no}/refund. The body may have a reason, which the payer sees.
func (h *Handlers) refundOrder(w http.ResponseWriter, r *http.Request) {
	fields, err := readFields(w, r)
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	o, err := h.Shop.Refund(r.Context(), r.PathValue("no"), fields["reason"])
	h.answerOrder(w, r, "退款已受理", o, err)
}

// shipOrder serves POST /orders/{no}/ship. The body may have express_company, which is WeChat's code, and tracking_no.
func (h *Handlers) shipOrder(w http.ResponseWriter, r *http.Request) {
	fields, err := readFields(w, r)
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	o, err := h.Shop.Ship(r.Context(), r.PathValue("no"), fields["express_company"], fields["tracking_no"])
	h.answerOrder(w, r, "已发货", o, err)
}

func (h *Handlers) answerOrder(w http.ResponseWriter, r *http.Request, message string, o shop.Order, err error) {
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	reply(w, http.StatusOK, http.StatusOK, message, map[string]any{"order": describeOrder(o)})
}

// compareBill serves GET /bills/{day}, such as /bills/2026-01-02.
func (h *Handlers) compareBill(w http.ResponseWriter, r *http.Request) {
	day, err := time.ParseInLocation(time.DateOnly, r.PathValue("day"), shop.Beijing)
	if err != nil {
		h.failOrder(w, r, fmt.Errorf("%w: day", shop.ErrInvalid))
		return
	}
	b, err := h.Shop.Bill(r.Context(), day)
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	differences := make([]any, len(b.Differences))
	for i, d := range b.Differences {
		differences[i] = map[string]any{
			"out_trade_no": d.OutTradeNo, "transaction_id": d.TransactionID, "out_refund_no": d.OutRefundNo,
			"reason": d.Reason, "bill_fen": d.BillFen, "shop_fen": d.ShopFen,
		}
	}
	reply(w, http.StatusOK, http.StatusOK, "对账完成", map[string]any{
		"day": b.Day.Format(time.DateOnly), "payments": b.Payments, "paid_fen": b.PaidFen, "refunds": b.Refunds, "refund_fen": b.RefundFen,
		"differences": differences,
	})
}

// listProblems serves GET /payments, the payments that a person must accept or refund.
func (h *Handlers) listProblems(w http.ResponseWriter, r *http.Request) {
	problems, err := h.Shop.Problems(r.Context())
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	list := make([]any, len(problems))
	for i, p := range problems {
		list[i] = map[string]any{
			"transaction_id": p.TransactionID, "out_trade_no": p.OutTradeNo, "fen": p.Fen, "paid_at": formatInstant(p.PaidAt), "problem": p.Problem,
		}
	}
	reply(w, http.StatusOK, http.StatusOK, "查询成功", map[string]any{"payments": list})
}

// acceptPayment serves POST /payments/{id}/accept.
func (h *Handlers) acceptPayment(w http.ResponseWriter, r *http.Request) {
	h.answerPayment(w, r, "已确认收款", h.Shop.AcceptPayment(r.Context(), r.PathValue("id")))
}

// refundPayment serves POST /payments/{id}/refund.
func (h *Handlers) refundPayment(w http.ResponseWriter, r *http.Request) {
	fields, err := readFields(w, r)
	if err == nil {
		err = h.Shop.RefundPayment(r.Context(), r.PathValue("id"), fields["reason"])
	}
	h.answerPayment(w, r, "退款已受理", err)
}

func (h *Handlers) answerPayment(w http.ResponseWriter, r *http.Request, message string, err error) {
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	reply(w, http.StatusOK, http.StatusOK, message, nil)
}
