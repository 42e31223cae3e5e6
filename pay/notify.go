package pay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/once"
)

const (
	notifyPath      = "/pay/notify"
	maxNotification = 256 << 10
	opNotify        = "process notification"
)

// Routes returns the public routes:
//
//	POST /pay/notify     receives WeChat's notifications (通知地址), of both API versions and all Merchants
//	GET  /pay/qr/{id}    returns the QR code of an order of trade native, as PNG, if QR is set
//	GET  /pay/js/{id}    returns the arguments of wx.requestPayment (trade jsapi) or of an app's SDK (trade app)
//	GET  /pay/h5/{id}    returns a page that opens WeChat, for an order of trade h5
//
// [Prepaid] has these URLs for an order, with its random id. They return 409 if the order is paid or closed.
func (c *Cashier) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"POST " + notifyPath: http.HandlerFunc(c.serveNotify),
		"GET /pay/js/{id}":   http.HandlerFunc(c.serveJS),
		"GET /pay/h5/{id}":   http.HandlerFunc(c.serveH5),
	}
	if c.QR != nil {
		routes["GET /pay/qr/{id}"] = http.HandlerFunc(c.serveQR)
	}
	return routes
}

func (c *Cashier) serveNotify(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(answerTimeout)) // fails without a connection
	body, err := readNotification(ctx, http.MaxBytesReader(w, r.Body, maxNotification))
	m := c.Merchants[0]
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		err = newError(opNotify, ErrTooLarge, "", "")
	case err != nil:
		err = &Error{Op: opNotify, Cause: ErrUnreadable, Err: fmt.Errorf("the body did not arrive: %w", err)}
	default:
		m, err = c.receive(ctx, r.Header, body)
	}
	if err != nil && !errors.Is(err, ErrProbe) && !errors.Is(err, errRunning) {
		c.report(ctx, fmt.Errorf("pay: notification: %w", err))
	}
	m.Answer(w, notifyError(err))
}

// notifyCauses are the causes whose own status is sent to WeChat. All other errors return 503.
var notifyCauses = []Cause{ErrProbe, ErrClock, ErrSerial, ErrSignature, ErrMerchant, ErrAmount, ErrUnreadable, ErrTooLarge, ErrOther}

// notifyError returns err with one of notifyCauses or ErrUnknown.
func notifyError(err error) error {
	if err == nil {
		return nil
	}
	if cause := Cause(""); errors.As(err, &cause) && slices.Contains(notifyCauses, cause) {
		return err
	}
	return &Error{Op: opNotify, Cause: ErrUnknown, Err: err}
}

// receive processes a notification, and returns the Merchant that replies to it.
func (c *Cashier) receive(ctx context.Context, header http.Header, body []byte) (Merchant, error) {
	m, n, err := c.parse(ctx, header, body)
	if err != nil {
		return m, err
	}
	return m, c.dispatch(ctx, m, n)
}

// Parse returns a notification for one of Merchants. It calls no hook.
func (c *Cashier) Parse(ctx context.Context, header http.Header, body []byte) (Notification, error) {
	_, n, err := c.parse(ctx, header, body)
	return n, err
}

// Answer replies as the first Merchant does.
func (c *Cashier) Answer(w http.ResponseWriter, err error) { c.Merchants[0].Answer(w, err) }

// parse returns the Merchant that accepts a notification, or the one whose refusal has the highest rank.
func (c *Cashier) parse(ctx context.Context, header http.Header, body []byte) (Merchant, Notification, error) {
	best, refused := c.Merchants[0], error(nil)
	for _, m := range c.Merchants {
		n, err := m.Parse(ctx, header, body)
		if err == nil {
			return m, n, nil
		}
		if refused == nil || refusalRank(err) > refusalRank(refused) {
			best, refused = m, err
		}
	}
	return best, Notification{}, refused
}

// refusalRank ranks the reasons of a refusal: the lowest is a notification for another Merchant, then an unknown key.
func refusalRank(err error) int {
	switch {
	case errors.Is(err, ErrSerial):
		return 1
	case errors.Is(err, ErrOther):
		return 0
	case errors.Is(err, ErrMerchant), errors.Is(err, ErrUnreadable):
		return 3
	}
	return 2
}

// dispatch processes a notification by its content. WeChat must repeat the notification after an error.
func (c *Cashier) dispatch(ctx context.Context, m Merchant, n Notification) error {
	switch {
	case n.Transaction != nil:
		return c.receivePayment(ctx, m, *n.Transaction, fromNotification)
	case len(n.Parts) > 0:
		var failed error
		for _, t := range n.Parts {
			failed = errors.Join(failed, c.receivePayment(ctx, m, t, fromCombined))
		}
		return failed
	case n.Refund != nil:
		return c.receiveRefund(ctx, m, *n.Refund)
	case strings.HasPrefix(n.Type, "MCHTRANSFER.BILL") && c.OnTransfer != nil:
		return c.receiveTransfer(ctx, m, n)
	}
	return c.receiveOther(ctx, n)
}

// receivePayment processes a notified payment. It ignores a failed one, such as TRANSACTION.FAIL.
func (c *Cashier) receivePayment(ctx context.Context, m Merchant, t Transaction, from origin) error {
	if err := CheckOutTradeNo(t.OutTradeNo); err != nil {
		return &Error{Op: opNotify, Cause: ErrUnreadable, Err: err}
	}
	if !t.Paid() {
		return nil
	}
	merchant, m := c.paidMerchant(m, t)
	return c.processPayment(ctx, m, recordKey(merchant, kindOrder, t.OutTradeNo), t, from)
}

// paidMerchant returns the key of the paid merchant, and the Merchant for queries.
func (c *Cashier) paidMerchant(m Merchant, t Transaction) (string, Merchant) {
	own := merchantKey(m.Name())
	paid := merchantOfTransaction(t)
	if paid == "" || paid == own || t.MchID == own && c.merchantByKey(paid) == nil {
		return own, m
	}
	if other := c.merchantByKey(paid); other != nil {
		return paid, other
	}
	return paid, m
}

// receiveRefund processes a notified refund. It queries a refund that has no record, or that had another final state.
func (c *Cashier) receiveRefund(ctx context.Context, m Merchant, f Refund) error {
	if err := CheckOutRefundNo(f.OutRefundNo); err != nil {
		return &Error{Op: opNotify, Cause: ErrUnreadable, Err: err}
	}
	merchant, m := c.paidMerchant(m, Transaction{MchID: f.MchID, SubMchID: f.SubMchID})
	m, err := c.merchantOfOrder(ctx, m, merchant, f.OutTradeNo)
	if err != nil {
		return err
	}
	key := recordKey(merchant, kindRefund, f.OutRefundNo)
	r, _, err := readRecord[refundRecord](ctx, c.records(), key)
	if err != nil {
		return err
	}
	number := "out_refund_no " + f.OutRefundNo
	switch {
	case r == nil:
		if f, err = m.QueryRefund(ctx, f.OutRefundNo); err != nil {
			return fmt.Errorf("pay: confirm a refund without a record: %w", err)
		}
		r = &refundRecord{App: c.App, Merchant: m.Name(), Refund: Refund{
			OutTradeNo: f.OutTradeNo, TransactionID: f.TransactionID, OutRefundNo: f.OutRefundNo, Fen: f.Fen, TotalFen: f.TotalFen,
		}, Asked: time.Now()}
	case r.App != c.App:
		return newError(opNotify, ErrMerchant, number, "it is a refund of another app")
	case r.mismatch(f) != "":
		return r.checkNotified(f)
	case r.State == refundFinal && r.Answer.State != f.State: // WeChat's notifications may arrive out of order
		if f, err = m.QueryRefund(ctx, f.OutRefundNo); err != nil {
			return fmt.Errorf("pay: confirm a refund that was %s before: %w", r.Answer.State, err)
		}
	}
	if err := r.checkNotified(f); err != nil { // as the query says
		return err
	}
	return c.processRefund(ctx, key, r, f)
}

// checkNotified returns the error for the reply to WeChat if a refund differs from the stored one.
func (r *refundRecord) checkNotified(f Refund) error {
	cause, field := ErrMerchant, r.mismatch(f)
	switch field {
	case "":
		return nil
	case "Refund.Fen", "Refund.TotalFen":
		cause = ErrAmount
	}
	return newError(opNotify, cause, "out_refund_no "+r.Refund.OutRefundNo, "%s differs from the stored refund", field)
}

// receiveTransfer queries a notified transfer and processes the reply.
func (c *Cashier) receiveTransfer(ctx context.Context, m Merchant, n Notification) error {
	var body struct {
		OutBillNo string `json:"out_bill_no"`
	}
	_ = json.Unmarshal(n.Raw, &body) // on an error the number stays empty, which is invalid
	if err := CheckOutBillNo(body.OutBillNo); err != nil {
		return &Error{Op: opNotify, Cause: ErrUnreadable, Err: err}
	}
	by, err := asTransferer(m)
	if err != nil {
		return err
	}
	t, err := by.QueryTransfer(ctx, body.OutBillNo)
	if err != nil {
		return err
	}
	key := recordKey(merchantKey(m.Name()), kindTransfer, body.OutBillNo)
	r, _, err := readRecord[transferRecord](ctx, c.records(), key)
	switch {
	case err != nil:
		return err
	case r == nil:
		r = &transferRecord{App: c.App, Merchant: m.Name(), State: transferHeld, Transfer: t, Asked: time.Now()}
		if err := addDue(ctx, c.records(), key, c.App, time.Now().Add(firstCheckDelay)); err != nil {
			return err
		}
	case r.App != c.App:
		return newError(opNotify, ErrMerchant, "out_bill_no "+body.OutBillNo, "it is a transfer of another app")
	}
	if field := r.mismatch(t); field != "" {
		return newError(opNotify, ErrMerchant, "out_bill_no "+body.OutBillNo, "%s differs from the stored transfer", field)
	}
	_, err = c.processTransfer(ctx, key, r, t)
	return err
}

// moneyKinds are the prefixes of the types that report a movement of money. These notifications are not acknowledged without a hook.
var moneyKinds = []string{"TRANSACTION.", "REFUND.", "MCHTRANSFER.", "PROFITSHARING"}

// receiveOther processes a notification of any other type.
func (c *Cashier) receiveOther(ctx context.Context, n Notification) error {
	if c.OnOther != nil {
		return c.handOverOther(ctx, n)
	}
	for _, kind := range moneyKinds {
		if strings.HasPrefix(n.Type, kind) {
			return fmt.Errorf("pay: notification %s is about money, and no hook for it is set", n.Type)
		}
	}
	c.report(ctx, fmt.Errorf("pay: notification %s was acknowledged: OnOther is not set", n.Type))
	return nil
}

// handOverOther calls OnOther with a notification, unless that was done for one with the same content.
func (c *Cashier) handOverOther(ctx context.Context, n Notification) error {
	key := "pay/other/" + hashNotification(n.Type, n.Raw)
	claim := c.claimOf(key)
	claim.Key += "/done"
	record, err := claim.Read(ctx)
	if err != nil {
		return fmt.Errorf("pay: read %s: %w", key, err)
	}
	if record.State == once.Done {
		return nil
	}
	return c.runExclusive(ctx, key, func(ctx context.Context) error {
		if err := callHook(ctx, "OnOther", func(ctx context.Context) error { return c.OnOther(ctx, n) }); err != nil {
			return err
		}
		if _, err := claim.Replace(ctx, once.Record{}, once.Record{State: once.Done}); err != nil {
			c.report(ctx, fmt.Errorf("pay: OnOther will be called again: %w", err))
		}
		return nil
	})
}
