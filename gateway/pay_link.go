package gateway

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/pay"
)

const (
	linkLife    = 2 * time.Hour       // default of expires_at
	maxLinkLife = 30 * 24 * time.Hour // greatest distance of expires_at
	maxLinkText = 8 << 10             // bytes of a link in a query
	maxLinkBody = 16 << 10            // bytes of the request for one
	maxLinkName = 127                 // characters of name and of attach, as WeChat has them
	maxOpenID   = 128                 // characters

	defaultPayName = "微信支付" // of an order without a name, as wechat-proxy has it
)

// payLink is what a signed link to a payment fixes.
type payLink struct {
	ID     string `json:"id"` // random
	Fen    int64  `json:"fee"`
	Name   string `json:"name"`
	Call   string `json:"call,omitempty"`
	OpenID string `json:"openid,omitempty"`

	OutTradeNo string  `json:"no,omitempty"`
	Attach     *string `json:"attach,omitempty"` // nil for that of the request

	End int64 `json:"end"` // Unix seconds
}

// payLinks returns the part that makes links to payments.
func (a *app) payLinks() routeMap {
	return routeMap{"POST /pay/links": a.guardPay("pay")(http.HandlerFunc(a.servePayLinks))}
}

func (a *app) servePayLinks(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Fee        int64      `json:"fee"`
		Name       string     `json:"name"`
		Call       string     `json:"call"`
		OpenID     string     `json:"openid"`
		OutTradeNo string     `json:"out_trade_no"`
		Attach     *string    `json:"attach"`
		ExpiresAt  *time.Time `json:"expires_at"`
	}
	if !a.gateway.hasProxy {
		answer.Refuse(w, http.StatusNotFound, "links need the routes of wechat-proxy: set compat.systems to [proxy]")
		return
	}
	if !answer.Body(w, r, maxLinkBody, `{"fee":100,"name":"…","call":"…","openid":"…","out_trade_no":"…","attach":"…","expires_at":"2026-01-02T15:04:05+08:00"}; only fee is needed`, &in) {
		return
	}
	l := payLink{ID: rand.Text(), Fen: in.Fee, Name: cmp.Or(in.Name, defaultPayName), Call: wholeCall(in.Call), OpenID: in.OpenID, OutTradeNo: in.OutTradeNo, Attach: in.Attach}
	text, err := a.newPayLink(r, l, in.ExpiresAt)
	if err != nil {
		pay.AnswerError(w, err)
		return
	}
	replyJSON(w, http.StatusOK, map[string]string{"url": payURL(a.publicURL, a.name) + "/pay?link=" + text})
}

// newPayLink returns the signed text of a link, after the checks of an order.
func (a *app) newPayLink(r *http.Request, l payLink, end *time.Time) (string, error) {
	if err := a.checkServesPay(); err != nil {
		return "", err
	}
	now := time.Now()
	if end == nil {
		usual := now.Add(linkLife)
		end = &usual
	}
	l.End = end.Unix()
	switch left := end.Sub(now); {
	case a.signKey == "":
		return "", &pay.FieldError{Field: "link", Reason: "needs the app's sign_key, which signs it"}
	case left <= 0 || left > maxLinkLife:
		return "", &pay.FieldError{Field: "expires_at", Reason: "is invalid: want a time within the next 30 days"}
	case utf8.RuneCountInString(l.Name) > maxLinkName:
		return "", &pay.FieldError{Field: "name", Reason: fmt.Sprintf("is too long: want at most %d characters", maxLinkName)}
	case l.Attach != nil && utf8.RuneCountInString(*l.Attach) > maxLinkName:
		return "", &pay.FieldError{Field: "attach", Reason: fmt.Sprintf("is too long: want at most %d characters", maxLinkName)}
	case len(l.OpenID) > maxOpenID:
		return "", &pay.FieldError{Field: "openid", Reason: fmt.Sprintf("is too long: want at most %d characters", maxOpenID)}
	}
	order := pay.Order{Trade: pay.Native, OutTradeNo: cmp.Or(l.OutTradeNo, l.ID), Fen: l.Fen, Description: l.Name}
	if l.Attach != nil {
		order.Attach = *l.Attach
	}
	if err := order.Check(); err != nil {
		if wrong := (*pay.FieldError)(nil); errors.As(err, &wrong) {
			err = &pay.FieldError{Field: cmp.Or(linkFields[wrong.Field], wrong.Field), Reason: wrong.Reason}
		}
		return "", err
	}
	c := payCaller(r.Context())
	call := pay.Call{Action: "order", Number: "link", Fen: l.Fen, NotifyTo: l.Call}
	err := a.checkFlatCall(c, call)
	call.Action, call.Number = "link", l.OutTradeNo
	a.audit(r.Context(), c, call, err)
	if err != nil {
		return "", err
	}
	text := a.signLink(l, a.signKey)
	if len(text) > maxLinkText {
		return "", &pay.FieldError{Field: "call", Reason: "is too long for a link"}
	}
	return text, nil
}

// linkFields are the keys of a link by the fields of its order.
var linkFields = map[string]string{
	"Order.Fen": "fee", "Order.Description": "name", "Order.OutTradeNo": "out_trade_no", "OutTradeNo": "out_trade_no", "Order.Attach": "attach",
}

// errPayLink is the reason why a link is refused. It does not say which part is wrong.
var errPayLink = errors.New("gateway: the link is invalid or has ended: want one of POST /app/{app}/pay/links")

// signLink returns the text of a link: its JSON and the code of that, in base64url.
func (a *app) signLink(l payLink, key string) string {
	body, _ := json.Marshal(l) // texts and numbers always encode
	return base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(a.codeOf("link", string(body), key))
}

// readLink returns the link in a text, if one of the app's keys has signed it and it has not ended.
func (a *app) readLink(text string, now time.Time) (l payLink, err error) {
	body, code, _ := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	given, failed := base64.RawURLEncoding.Strict().DecodeString(code)
	if len(text) > maxLinkText || err != nil || failed != nil || !a.isCode("link", string(raw), given) {
		return l, errPayLink
	}
	if err := json.Unmarshal(raw, &l); err != nil || now.Unix() >= l.End {
		return payLink{}, errPayLink
	}
	return l, nil
}

// codeOf returns the HMAC-SHA256 of a text of the public side. Its key is derived from a sign_key for one use and this app, so that it is
// valid for no other, and no Wetoken-Signature is valid as one. Whoever has the sign_key can make one.
func (a *app) codeOf(use, text, signKey string) []byte {
	derived := hmac.New(sha256.New, []byte(signKey))
	fmt.Fprintf(derived, "wetoken pay %s\n%q\n%q\n", use, a.id, a.appID)
	h := hmac.New(sha256.New, derived.Sum(nil))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// isCode reports whether a code is that of a text, by the present or the previous sign_key.
func (a *app) isCode(use, text string, code []byte) (ok bool) {
	for _, key := range []string{a.signKey, a.previousSignKey} {
		same := hmac.Equal(code, a.codeOf(use, text, key))
		ok = ok || same && key != ""
	}
	return ok
}
