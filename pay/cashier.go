package pay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/wetoken/wetoken/store"
)

// Cashier is a [Merchant] that uses other Merchants and passes each payment to a hook (订单收款). It stores each order before
// sending it, receives WeChat's notifications, and queries the orders that get no notification.
//
//	shop := &pay.Cashier{
//		Merchants: []pay.Merchant{merchant}, URL: "https://shop.example.com/wx",
//		Store: shared, Records: database,
//		OnPaid: func(ctx context.Context, t pay.Transaction) error { return settle(ctx, t) },
//	}
//	go shop.Run(ctx)
//	wetoken.Bind(mux, "/wx", shop)
//
// OnPaid is called at least once for each payment: by one process at a time while processes keep their leases, and never again
// after its nil result is recorded. A process may end before recording it, so OnPaid must be idempotent by
// Transaction.TransactionID. In the same way OnRefund must be idempotent by OutRefundNo and State, and OnTransfer by OutBillNo.
//
// A hook may run for 60 s. A notification is answered within 4.5 s, with status 503 if the hook is still running; WeChat's next
// notification gets the result. After an error the next notification and [Cashier.Run] call the hook again.
//
// The fields must not change after first use. A Cashier is safe for concurrent use.
type Cashier struct {
	// Merchants has at least one entry. New orders use the first; an old order uses the one that placed it.
	Merchants []Merchant

	// Store holds claims and leases, and is shared by all processes. Losing it loses no payment.
	Store store.Store

	// Records stores orders, refunds and transfers. It must be durable. Default Store.
	Records store.Store

	// URL is the public URL of Routes, such as https://shop.example.com/wx. Orders and refunds without a NotifyURL get
	// URL/pay/notify. Default the Merchant's own NotifyURL.
	URL string

	// App separates the orders of applications that share Records and a merchant number. It must not change. Default "".
	App string

	// OnPaid is called for each payment. Without it payments wait in the list of [Cashier.Refused].
	OnPaid func(context.Context, Transaction) error

	// OnRefund is called for each refund that is final: Success, Closed or Abnormal.
	OnRefund func(context.Context, Refund) error

	// OnTransfer is called for each transfer that is final.
	OnTransfer func(context.Context, Transfer) error

	// OnOther is called for each notification of another type. Default logs them.
	OnOther func(context.Context, Notification) error

	// AppID selects the orders without a record that belong to this App. Set it if several applications share a merchant
	// number, so that none reads or refunds the orders of another. Default any appid.
	AppID string

	// Alone reports whether no other application uses the merchant number now, so that AppID does not apply. Default AppID
	// applies always.
	Alone func(context.Context) bool

	// QR encodes a text as a PNG image, for the route of QR codes. Default none, without that route.
	QR func(text string) ([]byte, error)

	// OnError is called with errors that no caller receives. Default slog.Default.
	OnError func(context.Context, error)
}

var _ Merchant = (*Cashier)(nil)

const (
	answerTimeout = 4500 * time.Millisecond // WeChat waits 5 s
	hookTimeout   = 60 * time.Second
	checkTimeout  = 90 * time.Second // for one record that Run checks
)

// Name returns the name of the first Merchant.
func (c *Cashier) Name() string { return c.Merchants[0].Name() }

// Bill writes a bill of the first Merchant.
func (c *Cashier) Bill(ctx context.Context, kind string, day time.Time, w io.Writer) error {
	return c.Merchants[0].Bill(ctx, kind, day, w)
}

func (c *Cashier) records() store.Store {
	if c.Records != nil {
		return c.Records
	}
	return c.Store
}

func (c *Cashier) notifyURL() string {
	if c.URL == "" {
		return ""
	}
	return strings.TrimSuffix(c.URL, "/") + notifyPath
}

func (c *Cashier) report(ctx context.Context, err error) {
	if c.OnError != nil {
		c.OnError(ctx, err)
		return
	}
	slog.Default().ErrorContext(ctx, err.Error())
}

// isShared reports whether an order without a record may belong to another application.
func (c *Cashier) isShared(ctx context.Context) bool {
	return c.AppID != "" && (c.Alone == nil || !c.Alone(ctx))
}

// owns reports whether an order without a record belongs to this App.
func (c *Cashier) owns(ctx context.Context, t Transaction) bool {
	return t.AppID == c.AppID || t.SubAppID == c.AppID || !c.isShared(ctx)
}

// merchantKey returns the merchant number in a Merchant's name. Order numbers are unique within it, over both API versions.
func merchantKey(name string) string {
	if _, key, ok := strings.Cut(name, "/"); ok {
		return key
	}
	return name
}

// merchantByName returns the Merchant with this name, or else the first with the same key.
func (c *Cashier) merchantByName(name string) (Merchant, error) {
	for _, m := range c.Merchants {
		if m.Name() == name {
			return m, nil
		}
	}
	if m := c.merchantByKey(merchantKey(name)); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("pay: merchant %s of a record is not in Cashier.Merchants", name)
}

// merchantByKey returns the first Merchant with this key, or nil.
func (c *Cashier) merchantByKey(key string) Merchant {
	for _, m := range c.Merchants {
		if merchantKey(m.Name()) == key {
			return m
		}
	}
	return nil
}

// merchantOfOrder returns the Merchant that placed a stored order, or m. An order must be queried by the API version that placed it.
func (c *Cashier) merchantOfOrder(ctx context.Context, m Merchant, merchant, outTradeNo string) (Merchant, error) {
	if CheckOutTradeNo(outTradeNo) != nil {
		return m, nil
	}
	r, _, err := readRecord[orderRecord](ctx, c.records(), recordKey(merchant, kindOrder, outTradeNo))
	if err != nil || r == nil {
		return m, err
	}
	return c.merchantByName(r.Merchant)
}

// merchantKeys returns the distinct keys of Merchants.
func (c *Cashier) merchantKeys() []string {
	var keys []string
	seen := make(map[string]bool, len(c.Merchants))
	for _, m := range c.Merchants {
		if key := merchantKey(m.Name()); !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// findRecord returns the record of a number at any Merchant, and its key. It returns an empty key if no record exists.
func findRecord[T any, P interface {
	*T
	record
}](ctx context.Context, c *Cashier, kind, no string) (key string, r P, err error) {
	for _, m := range c.merchantKeys() {
		key = recordKey(m, kind, no)
		if r, _, err = readRecord[T, P](ctx, c.records(), key); err != nil || r != nil {
			return key, r, err
		}
	}
	return "", nil, nil
}

// Kinds of records.
const (
	kindOrder    = "order"
	kindRefund   = "refund"
	kindTransfer = "transfer"
	kindRefused  = "refused"
)

func recordKey(merchant, kind, no string) string { return "pay/" + merchant + "/" + kind + "/" + no }

// newError returns an Error that this package decided on, not WeChat.
func newError(op string, cause Cause, number, format string, args ...any) *Error {
	return &Error{Op: op, Cause: cause, Number: number, Message: fmt.Sprintf(format, args...)}
}

// isRefused reports whether err proves that WeChat did not do a write, and would refuse the same write again.
func isRefused(err error) bool {
	if errors.As(err, new(*FieldError)) {
		return true
	}
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		return false
	}
	switch e.Cause {
	case ErrSettings, ErrNotFound, ErrNotEnough:
		return true
	}
	return e.isRefusal()
}
