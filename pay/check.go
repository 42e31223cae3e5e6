package pay

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// maxExpiry is the longest time until an order expires that we accept.
const maxExpiry = 90 * 24 * time.Hour

// maxFen is the highest amount that we accept. WeChat publishes no limit. An amount of more than 15 digits could be sent but not
// read again: payv2 refuses it in a reply, and programs that keep numbers as float64 would round it. The sum of all refunds of an
// order, which are at most 50, does not overflow.
const maxFen = 999_999_999_999_999

// checkFen returns a *[FieldError] if fen is not an amount of at least least.
func checkFen(field string, fen, least int64) error {
	switch {
	case fen < least:
		return &FieldError{field, fmt.Sprintf("is %d: want at least %d", fen, least)}
	case fen > maxFen:
		return &FieldError{field, fmt.Sprintf("is %d: want at most %d", fen, int64(maxFen))}
	}
	return nil
}

// Check returns a *[FieldError] if WeChat cannot accept the order. It does not check limits that WeChat's pages do not state, such
// as the length of a description.
func (o Order) Check() error {
	if err := CheckOutTradeNo(o.OutTradeNo); err != nil {
		return within("Order", err)
	}
	if err := checkFen("Order.Fen", o.Fen, 1); err != nil {
		return err
	}
	if o.Description == "" {
		return &FieldError{"Order.Description", "is empty: WeChat shows it to the payer"}
	}
	for _, f := range []struct{ name, text string }{{"Order.Description", o.Description}, {"Order.Attach", o.Attach}} {
		if err := checkText(f.name, f.text); err != nil {
			return err
		}
	}
	if err := o.checkTrade(); err != nil {
		return err
	}
	if left := time.Until(o.ExpiresAt); !o.ExpiresAt.IsZero() && (left <= 0 || left > maxExpiry) {
		return &FieldError{"Order.ExpiresAt", "is " + o.ExpiresAt.Format(time.RFC3339) + ": want a time within the next 90 days"}
	}
	return CheckNotifyURL("Order.NotifyURL", o.NotifyURL)
}

// checkTrade checks the fields that the trade needs.
func (o Order) checkTrade() error {
	switch o.Trade {
	case Native, APP:
	case JSAPI:
		if o.OpenID == "" {
			return &FieldError{"Order.OpenID", "is empty: an order of trade jsapi needs that of the payer"}
		}
	case H5:
		if _, err := netip.ParseAddr(o.ClientIP); err != nil {
			return &FieldError{"Order.ClientIP", fmt.Sprintf("is %q: an order of trade h5 needs the IP address of the payer", o.ClientIP)}
		}
	case Code:
		if o.AuthCode == "" {
			return &FieldError{"Order.AuthCode", "is empty: an order of trade code needs the payment code"}
		}
	default:
		return &FieldError{"Order.Trade", fmt.Sprintf("is %q: want jsapi, native, app, h5 or code", string(o.Trade))}
	}
	return nil
}

// Check returns a *[FieldError] if WeChat cannot accept the refund.
func (r Refund) Check() error {
	if err := CheckOutRefundNo(r.OutRefundNo); err != nil {
		return within("Refund", err)
	}
	if r.TransactionID == "" && r.OutTradeNo == "" {
		return &FieldError{"Refund.OutTradeNo", "is empty, and so is TransactionID: want one of them"}
	}
	if err := checkFen("Refund.Fen", r.Fen, 1); err != nil {
		return err
	}
	if r.TotalFen < r.Fen {
		return &FieldError{"Refund.TotalFen", fmt.Sprintf("is %d: want the whole amount of the order, which is no less than Fen, %d", r.TotalFen, r.Fen)}
	}
	if err := checkFen("Refund.TotalFen", r.TotalFen, 1); err != nil {
		return err
	}
	for _, name := range []string{"transaction_id", "out_trade_no", "out_refund_no", "sub_mchid", "sub_mch_id"} {
		if _, set := r.Extra[name]; set { // it could name another order
			return &FieldError{"Refund.Extra", "contains " + name + ": want it in its own field, or not at all"}
		}
	}
	if r.OutTradeNo != "" {
		if err := CheckOutTradeNo(r.OutTradeNo); err != nil {
			return within("Refund", err)
		}
	}
	if err := checkText("Refund.Reason", r.Reason); err != nil {
		return err
	}
	return CheckNotifyURL("Refund.NotifyURL", r.NotifyURL)
}

// CheckOutTradeNo returns a *[FieldError] if no is not a valid order number.
func CheckOutTradeNo(no string) error { return checkNumber("OutTradeNo", no, 6, 32) }

// CheckOutRefundNo returns a *[FieldError] if no is not a valid refund number.
func CheckOutRefundNo(no string) error { return checkNumber("OutRefundNo", no, 1, 64) }

func checkNumber(field, no string, least, most int) error {
	wrong := strings.ContainsFunc(no, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("_-|*@", r))
	})
	if wrong || len(no) < least || len(no) > most {
		return &FieldError{field, fmt.Sprintf("is %q: want %d to %d letters, digits and _-|*@", shorten(no), least, most)}
	}
	return nil
}

func shorten(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// checkText refuses characters of more than 3 bytes, which WeChat Pay does not accept.
func checkText(field, text string) error {
	if !utf8.ValidString(text) {
		return &FieldError{field, "is not UTF-8"}
	}
	for _, r := range text {
		if r > 0xffff {
			return &FieldError{field, fmt.Sprintf("has the character %q: WeChat Pay accepts none above U+FFFF, such as emoji", r)}
		}
	}
	return nil
}

// CheckNotifyURL returns a *[FieldError] if WeChat cannot send notifications to an address. It accepts https, and http for localhost
// and private addresses, which leased lines (专线) and tests use. An empty address is valid.
func CheckNotifyURL(field, address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isPrivate(u.Hostname())) {
		return nil
	}
	return &FieldError{field, "is not an https URL"}
}

func isPrivate(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsPrivate())
}

// within prefixes the field of err, which is a *FieldError, with the name of a struct.
func within(outer string, err error) error {
	e := err.(*FieldError)
	return &FieldError{outer + "." + e.Field, e.Reason}
}
