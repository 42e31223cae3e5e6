package pay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/wetoken/wetoken/pay"
)

// bank is a Merchant in memory with WeChat's rules for orders, refunds and transfers.
type bank struct {
	name string

	mu        sync.Mutex
	orders    map[string]*pay.Transaction
	asked     map[string]pay.Order
	refunds   map[string]*pay.Refund
	refunded  map[string]time.Time // time of the last refund of an order
	transfers map[string]*pay.Transfer
	balance   int64
	calls     map[string]int
	fail      map[string]error // error of a call that is not done
	lose      map[string]bool  // whether the reply of a call that is done is lost
	slow      time.Duration    // time for which refunds stay in progress
}

func newBank(name string) *bank {
	return &bank{
		name: name, orders: map[string]*pay.Transaction{}, asked: map[string]pay.Order{}, refunds: map[string]*pay.Refund{},
		refunded: map[string]time.Time{}, transfers: map[string]*pay.Transfer{}, balance: 1 << 40,
		calls: map[string]int{}, fail: map[string]error{}, lose: map[string]bool{},
	}
}

var (
	_ pay.Merchant   = (*bank)(nil)
	_ pay.Transferer = (*bank)(nil)
)

func (b *bank) Name() string { return b.name }

func (b *bank) mchID() string { return b.name[len("v3/"):] }

// call begins a call. unlock ends it, and replaces its reply with an error if lose is set.
func (b *bank) call(ctx context.Context, op string) (end func(*error), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.calls[op]++
	if err := b.fail[op]; err != nil {
		b.mu.Unlock()
		return nil, err
	}
	return func(err *error) {
		if b.lose[op] {
			*err = &pay.Error{Op: op, Cause: pay.ErrUnknown}
		}
		b.mu.Unlock()
	}, nil
}

func refuse(op string, cause pay.Cause) error { return &pay.Error{Op: op, Cause: cause, Status: 400} }

func (b *bank) Prepay(ctx context.Context, o pay.Order) (p pay.Prepaid, err error) {
	end, err := b.call(ctx, "prepay")
	if err != nil {
		return p, err
	}
	defer end(&err)
	if t := b.orders[o.OutTradeNo]; t != nil {
		was, _ := json.Marshal(b.asked[o.OutTradeNo])
		now, _ := json.Marshal(o)
		switch {
		case t.Paid():
			return p, refuse("prepay", pay.ErrPaid)
		case t.State != pay.NotPaid:
			return p, refuse("prepay", pay.ErrClosed)
		case !bytes.Equal(was, now):
			return p, refuse("prepay", pay.ErrChanged)
		}
	}
	b.asked[o.OutTradeNo] = o
	b.orders[o.OutTradeNo] = &pay.Transaction{OutTradeNo: o.OutTradeNo, AppID: "wx1", MchID: b.mchID(), State: pay.NotPaid, Fen: o.Fen, Trade: o.Trade}
	return pay.Prepaid{OutTradeNo: o.OutTradeNo, CodeURL: "weixin://" + o.OutTradeNo}, nil
}

func (b *bank) Query(ctx context.Context, no string) (t pay.Transaction, err error) {
	end, err := b.call(ctx, "query")
	if err != nil {
		return t, err
	}
	defer end(&err)
	if b.orders[no] == nil {
		return t, refuse("query", pay.ErrNotFound)
	}
	return *b.orders[no], nil
}

func (b *bank) Close(ctx context.Context, no string) (err error) {
	end, err := b.call(ctx, "close")
	if err != nil {
		return err
	}
	defer end(&err)
	switch t := b.orders[no]; {
	case t == nil:
		return refuse("close", pay.ErrNotFound)
	case t.Paid():
		return refuse("close", pay.ErrPaid)
	default:
		t.State = pay.Closed
	}
	return nil
}

func (b *bank) Reverse(ctx context.Context, no string) (err error) {
	end, err := b.call(ctx, "reverse")
	if err != nil {
		return err
	}
	defer end(&err)
	if b.orders[no] == nil {
		return refuse("reverse", pay.ErrNotFound)
	}
	b.orders[no].State = pay.Reversed
	return nil
}

func (b *bank) Refund(ctx context.Context, f pay.Refund) (out pay.Refund, err error) {
	end, err := b.call(ctx, "refund")
	if err != nil {
		return f, err
	}
	defer end(&err)
	if old := b.refunds[f.OutRefundNo]; old != nil {
		return *old, nil
	}
	t := b.orders[f.OutTradeNo]
	switch {
	case t == nil:
		return f, refuse("refund", pay.ErrNotFound)
	case time.Since(b.refunded[f.OutTradeNo]) < time.Minute:
		return f, refuse("refund", pay.ErrBusy)
	case b.balance < f.Fen:
		return f, refuse("refund", pay.ErrNotEnough)
	}
	b.balance -= f.Fen
	b.refunded[f.OutTradeNo] = time.Now()
	t.State = pay.Refunded
	f.MchID, f.RefundID, f.State = b.mchID(), "R"+f.OutRefundNo, pay.Processing
	if f.TransactionID == "" {
		f.TransactionID = t.TransactionID
	}
	b.refunds[f.OutRefundNo] = &f
	return f, nil
}

func (b *bank) QueryRefund(ctx context.Context, no string) (f pay.Refund, err error) {
	end, err := b.call(ctx, "query refund")
	if err != nil {
		return f, err
	}
	defer end(&err)
	r := b.refunds[no]
	if r == nil {
		return f, refuse("query refund", pay.ErrNotFound)
	}
	if r.State == pay.Processing && time.Since(b.refunded[r.OutTradeNo]) >= b.slow {
		r.State, r.RefundedAt = pay.Success, time.Now()
	}
	return *r, nil
}

func (b *bank) Transfer(ctx context.Context, t pay.Transfer) (out pay.Transfer, err error) {
	end, err := b.call(ctx, "transfer")
	if err != nil {
		return t, err
	}
	defer end(&err)
	if old := b.transfers[t.OutBillNo]; old != nil {
		return *old, nil
	}
	if b.balance < t.Fen {
		return t, refuse("transfer", pay.ErrNotEnough)
	}
	b.balance -= t.Fen
	t.TransferBillNo, t.State, t.Package = "T"+t.OutBillNo, pay.WaitConfirm, "package-of-"+t.OutBillNo
	b.transfers[t.OutBillNo] = &t
	return t, nil
}

func (b *bank) QueryTransfer(ctx context.Context, no string) (t pay.Transfer, err error) {
	end, err := b.call(ctx, "query transfer")
	if err != nil {
		return t, err
	}
	defer end(&err)
	if b.transfers[no] == nil {
		return t, refuse("query transfer", pay.ErrNotFound)
	}
	t = *b.transfers[no]
	t.Package = ""
	return t, nil
}

func (b *bank) CancelTransfer(ctx context.Context, no string) (t pay.Transfer, err error) {
	end, err := b.call(ctx, "cancel transfer")
	if err != nil {
		return t, err
	}
	defer end(&err)
	if b.transfers[no] == nil {
		return t, refuse("cancel transfer", pay.ErrNotFound)
	}
	b.transfers[no].State = pay.Canceling
	return *b.transfers[no], nil
}

func (b *bank) Bill(_ context.Context, kind string, _ time.Time, w io.Writer) error {
	_, err := io.WriteString(w, kind)
	return err
}

// Parse decodes a pay.Notification in JSON, or returns the cause in the header Refuse.
func (b *bank) Parse(_ context.Context, header http.Header, body []byte) (n pay.Notification, err error) {
	if cause := header.Get("Refuse"); cause != "" {
		return n, &pay.Error{Op: "parse", Cause: pay.Cause(cause)}
	}
	if header.Get("For") != b.name {
		return n, &pay.Error{Op: "parse", Cause: pay.ErrOther}
	}
	return n, json.Unmarshal(body, &n)
}

func (b *bank) Answer(w http.ResponseWriter, err error) {
	status := http.StatusNoContent
	if err != nil {
		status = http.StatusServiceUnavailable
		if cause := pay.Cause(""); errors.As(err, &cause) {
			status = cause.Status()
		}
	}
	w.WriteHeader(status)
}

// payOrder pays an order.
func (b *bank) payOrder(no string) pay.Transaction {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.orders[no]
	if t == nil {
		t = &pay.Transaction{OutTradeNo: no, AppID: "wx1", MchID: b.mchID(), Fen: 100}
		b.orders[no] = t
	}
	t.State, t.TransactionID, t.PaidAt = pay.Success, "tx-"+no, time.Now()
	return *t
}

// set changes the faults of the bank.
func (b *bank) set(change func(*bank)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *bank) count(op string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[op]
}

// notify sends a notification to a Cashier, and returns the status of the reply.
func (b *bank) notify(c *pay.Cashier, n pay.Notification) int {
	body, err := json.Marshal(n)
	if err != nil {
		panic(err)
	}
	return send(c, body, "For", b.name)
}

func (b *bank) notifyPaid(c *pay.Cashier, t pay.Transaction) int {
	return b.notify(c, pay.Notification{ID: "n", Type: "TRANSACTION.SUCCESS", Transaction: &t, Raw: json.RawMessage(`{}`)})
}

func send(c *pay.Cashier, body []byte, header ...string) int {
	r := httptest.NewRequest(http.MethodPost, "/pay/notify", bytes.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.Routes()["POST /pay/notify"].ServeHTTP(w, r)
	return w.Code
}

// allOrders returns a copy of the bank's orders by number. allRefunds and allTransfers do the same for theirs.
func (b *bank) allOrders() map[string]pay.Transaction { return copyValues(b, b.orders) }

func (b *bank) allRefunds() map[string]pay.Refund { return copyValues(b, b.refunds) }

func (b *bank) allTransfers() map[string]pay.Transfer { return copyValues(b, b.transfers) }

func copyValues[V any](b *bank, from map[string]*V) map[string]V {
	b.mu.Lock()
	defer b.mu.Unlock()
	to := make(map[string]V, len(from))
	for no, v := range from {
		to[no] = *v
	}
	return to
}

// shop is an application with a ledger. It settles each transaction once, even if its hook is called again.
type shop struct {
	mu        sync.Mutex
	hooks     int
	running   int
	most      int // highest number of concurrent hooks
	settled   map[string]pay.Transaction
	refunds   []pay.Refund
	transfers []pay.Transfer
	takes     func(ctx context.Context, call int) error // of OnPaid
	errs      []error
}

func newShop() *shop { return &shop{settled: map[string]pay.Transaction{}} }

func (s *shop) onPaid(ctx context.Context, t pay.Transaction) error {
	s.mu.Lock()
	s.hooks++
	call := s.hooks
	s.running++
	s.most = max(s.most, s.running)
	takes := s.takes
	s.mu.Unlock()
	var err error
	if takes != nil {
		err = takes(ctx, call)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if err == nil {
		s.settled[t.TransactionID] = t
	}
	return err
}

func (s *shop) onRefund(_ context.Context, f pay.Refund) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refunds = append(s.refunds, f)
	return nil
}

func (s *shop) onTransfer(_ context.Context, t pay.Transfer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transfers = append(s.transfers, t)
	return nil
}

func (s *shop) onError(_ context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

func (s *shop) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hooks
}

func (s *shop) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.settled)
}

// toldRefunds returns the refunds that OnRefund got, in order.
func (s *shop) toldRefunds() []pay.Refund {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refunds)
}

// toldTransfers returns the transfers that OnTransfer got, in order.
func (s *shop) toldTransfers() []pay.Transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.transfers)
}

func (s *shop) transaction(id string) pay.Transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled[id]
}

func (s *shop) errors() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.errs)
}
