// Package shop is a shop that is paid by WeChat Pay: a catalogue, accounts, orders, refunds and the bill of the day.
package shop

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Shop joins the database, the Cashier and the sender of SMS codes. It is safe for concurrent use, and several processes may
// use one database.
type Shop struct {
	Store   Store
	Cashier *pay.Cashier // its OnPaid is Settle, its OnRefund is EndRefund
	Sender  Sender
	AppID   string // of the orders, as the merchants send it
	Key     Secret // signs tokens and hashes codes; see LoadKey

	// OldSalt is the salt of the old program's passwords, which are hashed anew at the next login. Default none: they are refused.
	OldSalt Secret

	// PasswordCost is that of bcrypt. Default bcrypt.DefaultCost.
	PasswordCost int

	// Shared holds SMS codes and limits. All processes share it.
	Shared store.Store

	// WeChat uploads shipping information. Default none: nothing is uploaded.
	WeChat *wechat.Client

	counting [64]sync.Mutex // by the hash of what is counted
}

// Store is the database of a Shop. Package store of this program implements it.
type Store interface {
	ProductStore
	AccountStore
	OrderStore
	PaymentStore
	RefundStore
	ShipStore
}

// Connect sets the hooks of the Cashier.
func (s *Shop) Connect() {
	s.Cashier.OnPaid, s.Cashier.OnRefund = s.Settle, s.EndRefund
}

const workEvery = time.Minute

// Run does the work of the shop that no request does, until ctx ends: the Cashier's, closing expired orders, and uploading shipping
// information again. Each process may call it.
func (s *Shop) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Cashier.Run(ctx) }()
	ticks := time.NewTicker(workEvery)
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-ticks.C:
		}
		for name, work := range map[string]func(context.Context) error{"close expired orders": s.closeExpired, "upload": s.uploadDue} {
			if err := work(ctx); err != nil && ctx.Err() == nil {
				slog.Error("shop: "+name, "error", err)
			}
		}
	}
}

// Beijing is the time zone of WeChat's texts.
var Beijing = time.FixedZone("CST", 8*60*60)

// now returns the time as the database stores it.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }
