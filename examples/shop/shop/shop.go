// Package shop is a shop that is paid by WeChat Pay: a catalogue, accounts, orders, refunds and the bill of the day.
package shop

import (
	"context"
	"time"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
)

// Shop joins the database, the Cashier and the sender of SMS codes. It is safe for concurrent use, and several processes may
// use one database.
type Shop struct {
	Store   Store
	Cashier *pay.Cashier
	Sender  Sender
	Key     Secret // signs tokens and hashes codes; see LoadKey

	// OldSalt is the salt of the old program's passwords, which are hashed anew at the next login. Default none: they are refused.
	OldSalt Secret

	// PasswordCost is that of bcrypt. Default bcrypt.DefaultCost.
	PasswordCost int

	// Shared holds SMS codes and limits. All processes share it.
	Shared store.Store

	// WeChat uploads shipping information to WeChat. Default none: nothing is uploaded.
	WeChat *wechat.Client
}

// Store is the database of a Shop. Package store of this program implements it.
type Store interface {
	ProductStore
	AccountStore
	OrderStore
}

// Run does the work of the shop that no request does, until ctx ends: the Cashier's, closing expired orders, and uploading shipping
// information again. Each process may call it.
func (s *Shop) Run(ctx context.Context) error {
	return s.Cashier.Run(ctx)
}

func now() time.Time { return time.Now().Truncate(time.Millisecond) }
