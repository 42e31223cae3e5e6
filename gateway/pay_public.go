package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/peer"
	"github.com/wetoken/wetoken/pay"
)

const (
	minPublicLife    = 2 * time.Minute    // of an order of a link that ends soon: WeChat takes no shorter one than a minute
	publicLife       = 2 * time.Hour      // of an order that a browser places; its code_url and prepay_id live as long
	numberedLife     = 7 * 24 * time.Hour // longest life of the order of a link with a number; WeChat takes a payment for as long
	publicRefresh    = time.Minute        // after which a repeated order asks WeChat again
	maxOpenOfBrowser = 5                  // orders of one browser that are not paid, unless a link fixes them
	maxOpenOfAddress = 200                // orders of one address that are not paid

	browserCookie = "wetoken_pay_" // and a part that follows from the app
	browserLife   = 24 * time.Hour
)

// PrepayPublic is Prepay for a browser on the public side. A link, made by POST /app/{app}/pay/links, replaces the amount, the
// description and the target of the order, and its openid, OutTradeNo and Attach if it has them. Without a link the amount is at most the
// app's open_pay.max_fen, and a browser, known by a cookie that PrepayPublic sets, has at most 5 orders that are not paid. An address has
// at most 200 with links and without. Other orders return an error with [pay.ErrBusy], and a wrong link or amount one with [pay.ErrDenied].
//
// The number of an order is that of its link, or a new one. The OutTradeNo of a request only says which requests are for the same order:
// a stranger must not take a number that the merchant is about to use.
//
// An order ends after 2 hours, or with its link if that has a number, at most after 7 days. The same request returns the same order until
// then, also at the same time, and after an answer was lost: by anybody if it or its link has an OutTradeNo, else by the same browser. It
// returns [pay.ErrPaid] once that is paid; without a link and an OutTradeNo it then places a new order.
func (a ServedApp) PrepayPublic(w http.ResponseWriter, r *http.Request, link string, o pay.Order) (pay.Prepaid, error) {
	app, now := a.app, time.Now()
	if err := app.checkServesPay(); err != nil {
		return pay.Prepaid{}, err
	}
	p := publicOrder{app: app, named: o.OutTradeNo != "", order: o}
	if err := p.fix(link, now); err != nil {
		return pay.Prepaid{}, err
	}
	if p.named || p.numbered {
		if err := pay.CheckOutTradeNo(p.order.OutTradeNo); err != nil {
			return pay.Prepaid{}, err
		}
	}
	browser := app.findBrowser(w, r)
	p.memory, p.lists = p.memoryKey(browser), p.slotLists(r, browser)
	p.complete(r, now)
	if err := p.order.Check(); err != nil { // before it counts, and is logged
		return pay.Prepaid{}, err
	}
	if err := app.checkFlatCall(noCaller, pay.Call{Action: "order", Number: p.order.OutTradeNo, Fen: p.order.Fen, NotifyTo: wholeCall(p.order.NotifyTo)}); err != nil {
		return pay.Prepaid{}, err
	}
	return p.place(r.Context(), now)
}

// publicOrder is an order that a browser asks for.
type publicOrder struct {
	app      *app
	link     string // id of the link; empty without one
	numbered bool   // the link has the number of the order
	named    bool   // the request has a number, by which it finds the order again
	order    pay.Order
	memory   string // key of the begunOrder
	lists    []slotList

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
	if l.OutTradeNo != "" {
		p.numbered, p.named, o.OutTradeNo, o.ExpiresAt = true, false, l.OutTradeNo, time.Time{}
	}
	if l.Attach != nil {
		o.Attach = *l.Attach
	}
	return nil
}

// memoryKey returns the key of the begunOrder for an order as it was asked for. All links with the same number and terms are for one.
func (p *publicOrder) memoryKey(browser string) string {
	link := p.link
	switch {
	case p.numbered:
		link, browser = "", ""
	case p.named:
		browser = ""
	}
	asked, _ := json.Marshal(p.order) // texts, numbers and times always encode
	sum := sha256.Sum256(fmt.Appendf(nil, "%t %q %q %s", p.numbered, link, browser, asked))
	return p.app.publicKey("made", hex.EncodeToString(sum[:16]))
}

func (a *app) publicKey(kind, id string) string {
	return "pay/public/" + url.PathEscape(a.id) + "/" + kind + "/" + id
}

// complete sets what the request leaves open: the payer's address, the number and the end.
func (p *publicOrder) complete(r *http.Request, now time.Time) {
	o := &p.order
	if payer := peer.Parse(r.RemoteAddr); o.ClientIP == "" && payer.IsValid() {
		o.ClientIP = payer.Unmap().WithZone("").String()
	}
	life := numberedLife
	if !p.numbered {
		life, o.OutTradeNo = publicLife, newOutTradeNo(now, o.OpenID)
	}
	end := now.Add(life)
	if !p.linkEnd.IsZero() && p.linkEnd.Before(end) {
		end = p.linkEnd
		if least := now.Add(minPublicLife); end.Before(least) {
			end = least
		}
	}
	if end = end.Truncate(time.Second); o.ExpiresAt.IsZero() || o.ExpiresAt.After(end) {
		o.ExpiresAt = end
	}
}

// slotLists returns the lists that count the order: that of its address, and that of its browser, unless a link fixes it. The address is
// first, since a stranger may be any number of browsers.
func (p *publicOrder) slotLists(r *http.Request, browser string) (lists []slotList) {
	if limited, _ := peer.Limited(r); limited {
		network := peer.Network(peer.Parse(r.RemoteAddr)).String()
		lists = append(lists, slotList{p.app.publicKey("address", network), maxOpenOfAddress})
	}
	if p.link == "" {
		lists = append(lists, slotList{p.app.publicKey("browser", browser), maxOpenOfBrowser})
	}
	return lists
}

// findBrowser returns the id of a browser, by its cookie. A browser without one gets one.
func (a *app) findBrowser(w http.ResponseWriter, r *http.Request) (id string) {
	sum := sha256.Sum256([]byte(a.id)) // some browsers send a cookie whose path has a name in Chinese, and some do not
	name := browserCookie + hex.EncodeToString(sum[:4])
	if cookie, err := r.Cookie(name); err == nil {
		id, text, _ := strings.Cut(cookie.Value, ".")
		code, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil && len(id) <= 64 && a.isCode("browser", id, code) {
			return id
		}
	}
	id = rand.Text()
	if a.signKey == "" { // then neither links nor open_pay admit orders
		return id
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
	return id
}
