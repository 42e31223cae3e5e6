package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/peer"
	"github.com/wetoken/wetoken/pay"
)

const (
	minPublicLife    = 2 * time.Minute // of an order of a link that ends soon: WeChat takes no shorter one than a minute
	publicLife       = 2 * time.Hour   // of an order that a browser places; its code_url and prepay_id live as long
	publicRefresh    = time.Minute     // after which a repeated order asks WeChat again
	maxOpenOfBrowser = 5               // orders of one browser that are not paid, unless a link fixes them
	maxOpenOfAddress = 200             // orders of one address that are not paid

	browserCookie = "wetoken_pay_" // and a part that follows from the app
	browserLife   = 24 * time.Hour
)

// PrepayPublic is Prepay for a browser on the public side. A link, made by POST /app/{app}/pay/links, replaces the amount, the
// description, the target and, if it has one, the openid of the order. Without a link the amount is at most the app's open_pay.max_fen,
// and a browser, known by a cookie that PrepayPublic sets, has at most 5 orders that are not paid. An address has at most 200 with
// links and without. Other orders return an error with [pay.ErrBusy], and a wrong link or amount one with [pay.ErrDenied].
//
// An order ends after 2 hours. The same request returns the same order until then: by anybody if it names an OutTradeNo, else by the same
// browser. It returns [pay.ErrPaid] once that is paid; without a link and an OutTradeNo it then places a new order.
func (a ServedApp) PrepayPublic(w http.ResponseWriter, r *http.Request, link string, o pay.Order) (pay.Prepaid, error) {
	app, ctx, now := a.app, r.Context(), time.Now()
	if err := app.checkServesPay(); err != nil {
		return pay.Prepaid{}, err
	}
	p := publicOrder{app: app, named: o.OutTradeNo != "", order: o}
	if err := p.fix(link, now); err != nil {
		return pay.Prepaid{}, err
	}
	browser, known := app.findBrowser(w, r)
	p.memory = p.memoryKey(browser)
	if known || p.named {
		if prepaid, found, err := p.repeat(ctx, now); found || err != nil {
			return prepaid, err
		}
	}
	if payer := peer.Parse(r.RemoteAddr); p.order.ClientIP == "" && payer.IsValid() {
		p.order.ClientIP = payer.Unmap().WithZone("").String()
	}
	if !p.named {
		p.order.OutTradeNo = newOutTradeNo(now, p.order.OpenID)
	}
	end := now.Add(publicLife)
	if !p.linkEnd.IsZero() && p.linkEnd.Before(end) {
		end = p.linkEnd
		if least := now.Add(minPublicLife); end.Before(least) {
			end = least
		}
	}
	if end = end.Truncate(time.Second); p.order.ExpiresAt.IsZero() || p.order.ExpiresAt.After(end) {
		p.order.ExpiresAt = end
	}
	if err := p.order.Check(); err != nil { // before it counts, and is logged
		return pay.Prepaid{}, err
	}
	if err := app.checkFlatCall(noCaller, pay.Call{Action: "order", Number: p.order.OutTradeNo, Fen: p.order.Fen, NotifyTo: wholeCall(p.order.NotifyTo)}); err != nil {
		return pay.Prepaid{}, err
	}
	if err := p.reserve(r, browser, now); err != nil {
		return pay.Prepaid{}, err
	}
	prepaid, err := app.placeFlat(ctx, noCaller, p.order)
	if err == nil {
		p.remember(ctx, prepaid, now)
	}
	return prepaid, err
}

// publicOrder is an order that a browser asks for.
type publicOrder struct {
	app    *app
	link   string // id of the link; empty without one
	named  bool   // the request names the number
	order  pay.Order
	memory string // key of what is remembered of it

	linkEnd time.Time // zero without a link
}

// fix sets what the link fixes, or checks the amount of an order without one.
func (p *publicOrder) fix(link string, now time.Time) error {
	o := &p.order
	if link == "" {
		if most := p.app.openMaxFen; o.Fen > most {
			why := "the amount needs a link of POST /app/{app}/pay/links"
			if most > 0 {
				why = fmt.Sprintf("more than %d fen need a link of POST /app/{app}/pay/links", most)
			}
			return &pay.Error{Op: "order", Cause: pay.ErrDenied, Message: why}
		}
		return nil
	}
	l, err := p.app.readLink(link, now)
	if err != nil {
		return &pay.Error{Op: "order", Cause: pay.ErrDenied, Message: strings.TrimPrefix(err.Error(), "gateway: ")}
	}
	p.link, p.linkEnd, o.Fen, o.Description, o.NotifyTo = l.ID, time.Unix(l.End, 0), l.Fen, l.Name, l.Call
	if l.OpenID != "" {
		o.OpenID = l.OpenID
	}
	return nil
}

// memoryKey returns the key of what is remembered of an order as it was asked for.
func (p *publicOrder) memoryKey(browser string) string {
	if p.named {
		browser = ""
	}
	asked, _ := json.Marshal(p.order) // texts, numbers and times always encode
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %s", p.link, browser, asked))
	return p.app.publicKey("made", hex.EncodeToString(sum[:16]))
}

func (a *app) publicKey(kind, id string) string {
	return "pay/public/" + url.PathEscape(a.id) + "/" + kind + "/" + id
}

// madeOrder is a stored order that a browser placed.
type madeOrder struct {
	At      time.Time       `json:"at"`
	Order   pay.Order       `json:"order"`
	Prepaid pay.Prepaid     `json:"prepaid"`
	Raw     json.RawMessage `json:"raw,omitempty"`
}

// repeat returns the order that was placed for the same request, if it can still be paid or a new one must not replace it.
func (p *publicOrder) repeat(ctx context.Context, now time.Time) (prepaid pay.Prepaid, found bool, err error) {
	raw, ok, err := p.app.gateway.store.Get(ctx, p.memory)
	if err != nil {
		return prepaid, false, fmt.Errorf("gateway: find an order: %w", err)
	}
	var made madeOrder
	if !ok || json.Unmarshal(raw, &made) != nil {
		return prepaid, false, nil
	}
	t, err := p.app.pay.cashier.Recorded(ctx, made.Order.OutTradeNo)
	kept := p.link != "" || p.named // a new order would not be what the request asks for
	switch {
	case errors.Is(err, pay.ErrNotFound):
		return prepaid, false, nil
	case err != nil:
		return prepaid, false, err
	case t.Paid() && kept:
		return prepaid, true, &pay.Error{Op: "order", Cause: pay.ErrPaid, Transaction: &t}
	case t.State != pay.NotPaid && p.named:
		return prepaid, true, &pay.Error{Op: "order", Cause: pay.ErrClosed}
	case t.State != pay.NotPaid || !now.Before(made.Order.ExpiresAt):
		return prepaid, false, nil
	case now.Sub(made.At) < publicRefresh:
		made.Prepaid.Raw = made.Raw
		return made.Prepaid, true, nil
	}
	p.order = made.Order
	if prepaid, err = p.app.placeFlat(ctx, noCaller, p.order); err == nil {
		p.remember(ctx, prepaid, now)
	}
	return prepaid, true, err
}

// remember stores an order for the same request. Without it, the next one is another order.
func (p *publicOrder) remember(ctx context.Context, prepaid pay.Prepaid, now time.Time) {
	raw, err := json.Marshal(madeOrder{now, p.order, prepaid, prepaid.Raw})
	if err == nil {
		err = p.app.gateway.store.Set(context.WithoutCancel(ctx), p.memory, raw, max(p.order.ExpiresAt.Sub(now), time.Second))
	}
	if err != nil {
		p.app.logPayError(ctx, fmt.Errorf("gateway: remember an order: %w", err))
	}
}

// reserve counts an order that is about to be placed, unless its browser or its address has too many.
func (p *publicOrder) reserve(r *http.Request, browser string, now time.Time) error {
	ctx, no := r.Context(), p.order.OutTradeNo
	if p.link == "" {
		if err := p.app.reserveOrder(ctx, p.app.publicKey("browser", browser), no, maxOpenOfBrowser, now); err != nil {
			return err
		}
	}
	if limited, _ := peer.Limited(r); !limited {
		return nil
	}
	network := peer.Network(peer.Parse(r.RemoteAddr)).String()
	return p.app.reserveOrder(ctx, p.app.publicKey("address", network), no, maxOpenOfAddress, now)
}

// findBrowser returns the id of a browser, by its cookie. A browser without one is not known, and gets one.
func (a *app) findBrowser(w http.ResponseWriter, r *http.Request) (id string, known bool) {
	sum := sha256.Sum256([]byte(a.id)) // some browsers send a cookie whose path has a name in Chinese, and some do not
	name := browserCookie + hex.EncodeToString(sum[:4])
	if cookie, err := r.Cookie(name); err == nil {
		id, text, _ := strings.Cut(cookie.Value, ".")
		code, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil && len(id) <= 64 && a.isCode("browser", id, code) {
			return id, true
		}
	}
	id = rand.Text()
	if a.signKey == "" { // then neither links nor open_pay admit orders
		return id, false
	}
	path := "/app/"
	if u, err := url.Parse(a.publicURL); err == nil {
		path = strings.TrimSuffix(u.EscapedPath(), "/") + path
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: id + "." + base64.RawURLEncoding.EncodeToString(a.codeOf("browser", id, a.signKey)),
		Path: path, MaxAge: int(browserLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(a.publicURL, "https:"),
	})
	return id, false
}
