package pay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/answer"
)

// Handler serves a Cashier to internal services:
//
//	POST /pay/orders                    places an order; a repeated call returns the same order
//	GET  /pay/orders                    lists orders by ?state=&late=true&since=&cursor=
//	GET  /pay/orders/{no}               returns the transaction from WeChat
//	POST /pay/orders/{no}/close         {"out_trade_no","state"}
//	POST /pay/orders/{no}/reverse       likewise; needs RefundGuard, since the order may have been paid meanwhile
//	POST /pay/refunds                   needs RefundGuard
//	GET  /pay/refunds/{no}
//	POST /pay/transfers                 needs TransferGuard, as do the next two
//	GET  /pay/transfers/{no}
//	POST /pay/transfers/{no}/cancel
//	GET  /pay/bills/{day}               returns the merchant's bill of a day, such as 2026-01-02, of kind ?kind=ALL
//	GET  /pay/refused                   {"refused":[…]}
//	POST /pay/refused/{id}/accept       needs RefundGuard; 204
//
// Bodies are JSON with the keys of Order, Refund and Transfer; an unknown key returns 400. Errors are
// {"errcode":-1,"errmsg":…,"cause":…,"code":…}: cause is a [Cause], and code is WeChat's. The status is that of the cause; 400
// for an invalid value; 502 for a refusal by WeChat without a known cause; and 503 if a store fails.
type Handler struct {
	Cashier *Cashier

	// The guards admit callers; a nil guard refuses all with 403. Guard protects orders, queries and bills.
	Guard, RefundGuard, TransferGuard func(http.Handler) http.Handler

	// Around, if set, is called for each call that may change something. It calls do, or returns the error to reply with.
	Around func(ctx context.Context, call Call, do func(context.Context) error) error
}

// Call describes a call of a Handler that may change something.
type Call struct {
	Action   string // order, close, reverse, refund, transfer, cancel or accept
	Number   string // out_trade_no, out_refund_no, out_bill_no, or the id of a refused payment
	Fen      int64  // 0 if the call has no amount, such as that of close
	NotifyTo string // of an order
}

// Routes returns the routes for wetoken.Bind.
func (h *Handler) Routes() map[string]http.Handler {
	pay := func(f http.HandlerFunc) http.Handler { return answer.Guarded(h.Guard, f) }
	refund := func(f http.HandlerFunc) http.Handler { return answer.Guarded(h.RefundGuard, f) }
	transfer := func(f http.HandlerFunc) http.Handler { return answer.Guarded(h.TransferGuard, f) }
	return map[string]http.Handler{
		"POST /pay/orders":                pay(h.placeOrder),
		"GET /pay/orders":                 pay(h.listOrders),
		"GET /pay/orders/{no}":            pay(h.queryOrder),
		"POST /pay/orders/{no}/close":     pay(h.closeOrder),
		"POST /pay/orders/{no}/reverse":   refund(h.reverseOrder),
		"POST /pay/refunds":               refund(h.refund),
		"GET /pay/refunds/{no}":           pay(h.queryRefund),
		"POST /pay/transfers":             transfer(h.transfer),
		"GET /pay/transfers/{no}":         transfer(h.queryTransfer),
		"POST /pay/transfers/{no}/cancel": transfer(h.cancelTransfer),
		"GET /pay/bills/{day}":            pay(h.bill),
		"GET /pay/refused":                pay(h.listRefused),
		"POST /pay/refused/{id}/accept":   refund(h.accept),
	}
}

// around makes a call that may change something, through Around if it is set.
func (h *Handler) around(r *http.Request, call Call, do func(context.Context) error) error {
	if h.Around == nil {
		return do(r.Context())
	}
	return h.Around(r.Context(), call, do)
}

func (h *Handler) placeOrder(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Trade       Trade          `json:"trade"`
		OutTradeNo  string         `json:"out_trade_no"`
		Fen         int64          `json:"fen"`
		Description string         `json:"description"`
		OpenID      string         `json:"openid"`
		AuthCode    string         `json:"auth_code"`
		ClientIP    string         `json:"client_ip"`
		AppID       string         `json:"app_id"`
		ExpiresAt   *time.Time     `json:"expires_at"`
		Attach      string         `json:"attach"`
		NotifyTo    string         `json:"notify_to"`
		Extra       map[string]any `json:"extra"`
	}
	if !readBody(w, r, &body) {
		return
	}
	o := Order{
		Trade: body.Trade, OutTradeNo: body.OutTradeNo, Fen: body.Fen, Description: body.Description, OpenID: body.OpenID,
		AuthCode: body.AuthCode, ClientIP: body.ClientIP, AppID: body.AppID, Attach: body.Attach,
		NotifyTo: body.NotifyTo, Extra: body.Extra,
	}
	if body.ExpiresAt != nil {
		if o.ExpiresAt = *body.ExpiresAt; o.ExpiresAt.IsZero() { // which would be no end
			AnswerError(w, &FieldError{"Order.ExpiresAt", "is invalid: want a time within the next 90 days"})
			return
		}
	}
	var p Prepaid
	err := h.around(r, Call{"order", o.OutTradeNo, o.Fen, o.NotifyTo}, func(ctx context.Context) (err error) {
		p, err = h.Cashier.Prepay(ctx, o)
		return err
	})
	answerJSON(w, p, err)
}

func (h *Handler) listOrders(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := Filter{State: State(q.Get("state")), Cursor: q.Get("cursor")}
	switch q.Get("late") {
	case "true", "1":
		f.Late = true
	case "", "false", "0":
	default:
		AnswerError(w, &FieldError{"late", "is invalid: want true or false"})
		return
	}
	if since := q.Get("since"); since != "" {
		var err error
		if f.Since, err = time.Parse(time.RFC3339, since); err != nil {
			AnswerError(w, &FieldError{"since", "is invalid: want a time such as 2026-01-02T03:04:05+08:00"})
			return
		}
	}
	orders, next, err := h.Cashier.Orders(r.Context(), f)
	answerJSON(w, struct {
		Orders []Transaction `json:"orders"`
		Next   string        `json:"next,omitempty"`
	}{orders, next}, err)
}

func (h *Handler) queryOrder(w http.ResponseWriter, r *http.Request) {
	t, err := h.Cashier.Query(r.Context(), r.PathValue("no"))
	answerJSON(w, t, err)
}

// ended is the reply for a closed or reversed order.
type ended struct {
	OutTradeNo string `json:"out_trade_no"`
	State      State  `json:"state"`
}

func (h *Handler) closeOrder(w http.ResponseWriter, r *http.Request) {
	no := r.PathValue("no")
	err := h.around(r, Call{Action: "close", Number: no}, func(ctx context.Context) error { return h.Cashier.Close(ctx, no) })
	answerJSON(w, ended{no, Closed}, err)
}

func (h *Handler) reverseOrder(w http.ResponseWriter, r *http.Request) {
	no := r.PathValue("no")
	fen, err := h.Cashier.orderFen(r.Context(), no)
	if err == nil {
		err = h.around(r, Call{Action: "reverse", Number: no, Fen: fen}, func(ctx context.Context) error { return h.Cashier.Reverse(ctx, no) })
	}
	answerJSON(w, ended{no, Reversed}, err)
}

// orderFen returns the amount of an order. It queries one without a record.
func (c *Cashier) orderFen(ctx context.Context, no string) (int64, error) {
	if err := CheckOutTradeNo(no); err != nil {
		return 0, err
	}
	_, r, err := c.findOrder(ctx, opReverse, no)
	if err != nil {
		return 0, err
	}
	if r == nil {
		_, t, err := c.queryMerchants(ctx, no)
		return t.Fen, err
	}
	if r.hasPayment() {
		return max(r.Order.Fen, r.Transaction.Fen), nil
	}
	return r.Order.Fen, nil
}

func (h *Handler) transfer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		OutBillNo   string         `json:"out_bill_no"`
		OpenID      string         `json:"openid"`
		Fen         int64          `json:"fen"`
		SceneID     string         `json:"scene_id"`
		Remark      string         `json:"remark"`
		UserName    string         `json:"user_name"`
		AppID       string         `json:"app_id"`
		ReportInfos []ReportInfo   `json:"report_infos"`
		Extra       map[string]any `json:"extra"`
	}
	if !readBody(w, r, &body) {
		return
	}
	t := Transfer{
		OutBillNo: body.OutBillNo, OpenID: body.OpenID, Fen: body.Fen, SceneID: body.SceneID, Remark: body.Remark,
		UserName: body.UserName, AppID: body.AppID, ReportInfos: body.ReportInfos, Extra: body.Extra,
	}
	err := h.around(r, Call{Action: "transfer", Number: t.OutBillNo, Fen: t.Fen}, func(ctx context.Context) (err error) {
		t, err = h.Cashier.Transfer(ctx, t)
		return err
	})
	answerTransfer(w, t, err)
}

func (h *Handler) queryTransfer(w http.ResponseWriter, r *http.Request) {
	t, err := h.Cashier.QueryTransfer(r.Context(), r.PathValue("no"))
	answerTransfer(w, t, err)
}

func (h *Handler) cancelTransfer(w http.ResponseWriter, r *http.Request) {
	no := r.PathValue("no")
	var t Transfer
	_, stored, err := h.Cashier.findTransfer(r.Context(), opCancelTransfer, no)
	if err != nil {
		AnswerError(w, err)
		return
	}
	err = h.around(r, Call{Action: "cancel", Number: no, Fen: stored.Transfer.Fen}, func(ctx context.Context) (err error) {
		t, err = h.Cashier.CancelTransfer(ctx, no)
		return err
	})
	answerTransfer(w, t, err)
}

func answerTransfer(w http.ResponseWriter, t Transfer, err error) {
	t.NotifyURL = ""
	answerJSON(w, t, err)
}

// bill replies with a bill after it was verified as a whole.
func (h *Handler) bill(w http.ResponseWriter, r *http.Request) {
	day, err := time.ParseInLocation(time.DateOnly, r.PathValue("day"), beijing)
	if err != nil {
		AnswerError(w, &FieldError{"day", "is invalid: want a day such as 2026-01-02"})
		return
	}
	kind := r.URL.Query().Get("kind")
	if len(kind) > 32 || strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		AnswerError(w, &FieldError{"kind", "is invalid: want the kind of a bill, such as ALL"})
		return
	}
	f, err := os.CreateTemp("", "wetoken-bill-")
	if err != nil {
		AnswerError(w, fmt.Errorf("pay: store the bill: %w", err))
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err = h.Cashier.Bill(r.Context(), kind, day, f); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		AnswerError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.Copy(w, f)
}

func (h *Handler) listRefused(w http.ResponseWriter, r *http.Request) {
	type shown struct {
		ID            string          `json:"id"`
		OutTradeNo    string          `json:"out_trade_no"`
		TransactionID string          `json:"transaction_id,omitempty"`
		Fen           int64           `json:"fen"`
		RefundedFen   int64           `json:"refunded_fen,omitempty"`
		Reason        string          `json:"reason"`
		At            time.Time       `json:"at"`
		Raw           json.RawMessage `json:"raw,omitempty"`
	}
	all, err := h.Cashier.Refused(r.Context())
	list := make([]shown, 0, len(all))
	for _, p := range all {
		list = append(list, shown{p.ID, p.OutTradeNo, p.Transaction.TransactionID, p.Transaction.Fen, p.RefundedFen, p.Reason, p.At, p.Transaction.Raw})
	}
	answerJSON(w, map[string]any{"refused": list}, err)
}

func (h *Handler) accept(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	_, refused, err := h.Cashier.findRefused(r.Context(), id)
	if err == nil {
		err = h.around(r, Call{Action: "accept", Number: id, Fen: refused.Transaction.Fen}, func(ctx context.Context) error { return h.Cashier.Accept(ctx, id) })
	}
	if err != nil {
		AnswerError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
