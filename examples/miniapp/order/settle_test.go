package order_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/examples/miniapp/dbtest"
	"github.com/wetoken/wetoken/examples/miniapp/order"
	"github.com/wetoken/wetoken/examples/miniapp/store"
	"github.com/wetoken/wetoken/pay"
)

// books is a database with an account and orders of it.
type books struct {
	t  *testing.T
	db *store.DB
	*order.Service
	owner string
}

func onEach(t *testing.T, test func(t *testing.T, b *books)) {
	for name, open := range map[string]func(testing.TB) *store.DB{"SQLite": dbtest.SQLite, "MariaDB": dbtest.MariaDB} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			_, a, err := (&account.Service{Store: db}).Login(t.Context(), account.Identity{AppID: "app", OpenID: "o1"})
			require.NoError(t, err)
			test(t, &books{t, db, &order.Service{Store: db, Hook: store.GivePoints, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, a.ID})
		})
	}
}

func (b *books) add(number string) {
	b.t.Helper()
	require.NoError(b.t, b.db.AddOrder(b.t.Context(), order.Order{
		OutTradeNo: number, AccountID: b.owner, AppID: "app", OpenID: "o1", ProductID: "socks", Name: "socks", Fen: 1200, Points: 12,
		State: order.Open, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}))
}

func (b *books) points() (n int) {
	b.t.Helper()
	require.NoError(b.t, b.db.QueryRowContext(b.t.Context(), "SELECT points FROM miniapp_account").Scan(&n))
	return n
}

// odd returns why a payment needs a person, and "none" if it is not recorded.
func (b *books) odd(id string) (text string) {
	b.t.Helper()
	err := b.db.QueryRowContext(b.t.Context(), "SELECT odd FROM miniapp_payment WHERE transaction_id = ?", id).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "none"
	}
	require.NoError(b.t, err)
	return text
}

func paid(number, id string) pay.Transaction {
	return pay.Transaction{OutTradeNo: number, TransactionID: id, Fen: 1200, State: pay.Success, Known: true, PaidAt: time.Now()}
}

func TestAPaymentThatIsHandedOverManyTimesAtOnceSettlesOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		b.add("order-1")
		errs := make(chan error, 8)
		for range cap(errs) {
			go func() { errs <- b.Settle(t.Context(), paid("order-1", "42")) }()
		}
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		require.NoError(t, b.Settle(t.Context(), paid("order-1", "42")))
		require.Equal(t, 12, b.points())
		o, err := b.db.Order(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, order.Paid, o.State)
		require.Equal(t, "42", o.TransactionID)
		require.Empty(t, b.odd("42"))
	})
}

func TestAPaymentThatIsNotOfAnOpenOrderIsLeftToAPerson(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		b.add("order-1")
		b.add("order-2")
		require.NoError(t, b.db.CloseOrder(t.Context(), "order-2"))
		require.NoError(t, b.Settle(t.Context(), paid("order-1", "1")))
		settle := func(t *testing.T, p pay.Transaction, change func(*pay.Transaction)) string {
			t.Helper()
			change(&p)
			require.NoError(t, b.Settle(t.Context(), p))
			return b.odd(p.TransactionID)
		}
		keep := func(*pay.Transaction) {}
		require.Equal(t, "the order is paid", settle(t, paid("order-1", "2"), keep))
		require.Equal(t, "the order is closed", settle(t, paid("order-2", "3"), keep))
		require.Equal(t, "the order is unknown", settle(t, paid("order-9", "4"), keep))
		b.add("order-3")
		require.Equal(t, "the order is unknown", settle(t, paid("order-3", "5"), func(p *pay.Transaction) { p.Known = false }))
		require.Equal(t, "the order is expired", settle(t, paid("order-3", "6"), func(p *pay.Transaction) { p.Late = "expired" }))
		require.Equal(t, "the amount is not that of the order", settle(t, paid("order-3", "7"), func(p *pay.Transaction) { p.Fen = 1 }))
		require.Equal(t, 12, b.points())
		o, err := b.db.Order(t.Context(), "order-3")
		require.NoError(t, err)
		require.Equal(t, order.Open, o.State)
	})
}

func TestAHookThatFailsLeavesNothingBehind(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		b.add("order-1")
		failure := errors.New("no stock")
		b.Hook = func(ctx context.Context, tx *sql.Tx, o order.Order) error {
			return errors.Join(store.GivePoints(ctx, tx, o), failure)
		}
		require.ErrorIs(t, b.Settle(t.Context(), paid("order-1", "42")), failure)
		require.Zero(t, b.points())
		require.Equal(t, "none", b.odd("42"))
		b.Hook = nil
		require.Error(t, b.Settle(t.Context(), paid("order-1", "42")))
		b.Hook = store.GivePoints
		require.NoError(t, b.Settle(t.Context(), paid("order-1", "42")))
		require.Equal(t, 12, b.points())
	})
}

func TestAReportOfShippingIsClaimedByOneProcess(t *testing.T) {
	onEach(t, func(t *testing.T, b *books) {
		at := time.UnixMilli(1000)
		s := order.Shipment{OutTradeNo: "order-1", Shipping: order.Shipping{LogisticsType: 3, ItemDesc: "socks"}, State: order.Due, NextAt: at}
		require.NoError(t, b.db.PutShipment(t.Context(), s))
		due, err := b.db.DueShipments(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, []order.Shipment{s}, due)

		until := time.Now().Add(time.Minute).Truncate(time.Millisecond)
		for i := range 3 {
			claimed, err := b.db.ClaimShipment(t.Context(), s, until)
			require.NoError(t, err)
			require.Equal(t, i == 0, claimed)
		}
		due, err = b.db.DueShipments(t.Context(), time.Now())
		require.NoError(t, err)
		require.Empty(t, due)

		other := s // staff change the report while it is sent
		other.Shipping.ItemDesc = "hats"
		require.NoError(t, b.db.PutShipment(t.Context(), other))
		s.State = order.Sent
		require.NoError(t, b.db.FinishShipment(t.Context(), s, until))
		now, err := b.db.Shipment(t.Context(), "order-1")
		require.NoError(t, err)
		require.Equal(t, other, now, "the new report is still due")
		_, err = b.db.Shipment(t.Context(), "order-2")
		require.ErrorIs(t, err, order.ErrNotFound)
	})
}
