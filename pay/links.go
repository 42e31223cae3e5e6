package pay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The ages after which an order is placed again for a new prepay_id, code_url or h5_url, shortly before the old one expires.
const (
	maxPrepaidAge = 110 * time.Minute // prepay_id and code_url expire after 2 h
	maxH5Age      = 4 * time.Minute   // h5_url expires after 5 min

	renewalInterval = 5 * time.Second // between two attempts for one order
)

// idRecord maps the random id of an order to its record.
type idRecord struct {
	recordHead
	Order string    `json:"order"` // key of its record without "pay/"
	Until time.Time `json:"until"`
}

func (r *idRecord) check() error {
	if r.Order == "" {
		return errors.New("invalid record of an id")
	}
	return nil
}

func (r *idRecord) ttl(now time.Time) time.Duration { return max(r.Until.Sub(now), time.Second) }

func idKey(id string) string { return "pay/id/" + id }

// idLen is the length of rand.Text, which has 130 random bits.
const idLen = 26

// indexOrder adds an order to the index of ids and to listAll, before its record is written.
func (c *Cashier) indexOrder(ctx context.Context, key string, r *orderRecord) error {
	if c.URL != "" && r.Order.Trade != Code {
		id := &idRecord{Order: strings.TrimPrefix(key, "pay/"), Until: r.expiry().Add(closedTTL)}
		if _, _, err := swapRecord(ctx, c.records(), idKey(r.ID), nil, id); err != nil {
			return err
		}
	}
	return c.addToList(ctx, listAll, key, r.Placed)
}

// addLinks sets the public URLs of an order.
func (c *Cashier) addLinks(p *Prepaid, r *orderRecord) {
	if c.URL == "" {
		return
	}
	base := strings.TrimSuffix(c.URL, "/") + "/pay/"
	switch r.Order.Trade {
	case Native:
		if c.QR != nil {
			p.QRURL = base + "qr/" + r.ID
		}
	case JSAPI, APP:
		p.JSURL = base + "js/" + r.ID
	case H5:
		p.PageURL = base + "h5/" + r.ID
	}
}

const opLink = "open order"

// openOrder returns the open order with a random id and one of trades. It places the order again if its Prepaid is too old.
func (c *Cashier) openOrder(ctx context.Context, id string, trades ...Trade) (*orderRecord, error) {
	unknown := newError(opLink, ErrNotFound, "", "no order has this id")
	if len(id) != idLen || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return nil, unknown
	}
	found, _, err := readRecord[idRecord](ctx, c.records(), idKey(id))
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, unknown
	}
	key := "pay/" + found.Order
	r, _, err := readRecord[orderRecord](ctx, c.records(), key)
	switch {
	case err != nil:
		return nil, err
	case r == nil || r.ID != id || r.App != c.App || !isOneOf(r.Order.Trade, trades):
		return nil, unknown
	case r.hasPayment():
		return nil, newError(opLink, ErrPaid, "", "")
	case !r.isOpen() || time.Now().After(r.expiry()):
		return nil, newError(opLink, ErrClosed, "", "")
	}
	life := maxPrepaidAge
	if r.Order.Trade == H5 {
		life = maxH5Age
	}
	if r.Prepaid != nil && time.Since(r.PrepaidAt) < life {
		return r, nil
	}
	if err := c.allowRenewal(ctx, id); err != nil {
		return nil, err
	}
	p, err := c.sendOrder(ctx, key, r, nil)
	if err != nil {
		return nil, err
	}
	r.Prepaid = &p
	return r, nil
}

// allowRenewal returns ErrBusy if the order with a random id was placed again a short time ago, since anybody with the id can
// request it.
func (c *Cashier) allowRenewal(ctx context.Context, id string) error {
	first, err := c.claims().Swap(ctx, "pay/renew/"+id, nil, []byte("1"), renewalInterval)
	switch {
	case err != nil:
		return fmt.Errorf("pay: open order: %w", err)
	case !first:
		return newError(opLink, ErrBusy, "", "the order is placed again")
	}
	return nil
}

func isOneOf(trade Trade, trades []Trade) bool {
	for _, t := range trades {
		if t == trade {
			return true
		}
	}
	return false
}

// payParams returns the arguments of wx.requestPayment or of an app's SDK, newly signed if the Merchant has a Params method.
func (c *Cashier) payParams(r *orderRecord) (map[string]string, error) {
	m, err := c.merchantByName(r.Merchant)
	if err != nil {
		return nil, err
	}
	if signer, ok := m.(interface {
		Params(trade Trade, appID, prepayID string) (map[string]string, error)
	}); ok {
		return signer.Params(r.Order.Trade, r.Order.AppID, r.Prepaid.PrepayID)
	}
	return r.Prepaid.Params, nil
}
