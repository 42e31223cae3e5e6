package paytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Entry is the way in which a person opens a payment on a phone. One of CodeURL, Params and H5URL must be set.
type Entry struct {
	CodeURL string  `json:"code_url"` // the text of a QR code
	Params  *Params `json:"params"`   // of a page in WeChat or a mini program
	H5URL   string  `json:"h5_url"`   // a link in a page in another browser

	OpenID  string `json:"openid"`  // of the person; default any
	Page    string `json:"page"`    // URL of the page that calls with Params
	Referer string `json:"referer"` // the Referer header of the request for H5URL
}

// Params are the parameters of WeixinJSBridge's getBrandWCPayRequest, wx.chooseWXPay and wx.requestPayment (JSAPI调起支付).
type Params struct {
	AppID     string `json:"appId"`
	TimeStamp string `json:"timeStamp"` // a string, which WeChat on iOS requires
	NonceStr  string `json:"nonceStr"`
	Package   string `json:"package"`
	SignType  string `json:"signType"`
	PaySign   string `json:"paySign"`
}

// Sheet is the page for a payment on the phone (收银台), with its outcome.
type Sheet struct {
	ID            string     `json:"id"`
	Shop          string     `json:"shop"`
	MchID         string     `json:"mchid"`
	OutTradeNo    string     `json:"out_trade_no"`
	TradeType     string     `json:"trade_type"`
	Goods         []string   `json:"goods"`
	Total         int64      `json:"total"`  // fen
	OpenID        string     `json:"openid"` // of the payer; empty for any
	State         SheetState `json:"state"`
	TransactionID string     `json:"transaction_id"`
	ReturnURL     string     `json:"return_url"` // redirect_url of an h5_url
}

// SheetState is the outcome of a [Sheet].
type SheetState string

const (
	SheetOpen      SheetState = "open"
	SheetWaiting   SheetState = "waiting" // the person is entering the password; the order cannot be closed
	SheetPaid      SheetState = "paid"
	SheetCancelled SheetState = "cancelled"
	SheetFailed    SheetState = "failed"
)

// Ended reports whether the person has left the sheet.
func (s SheetState) Ended() bool { return s != SheetOpen && s != SheetWaiting }

// sheet is a stored Sheet.
type sheet struct {
	id        string
	order     *order
	openID    string
	returnURL string
	state     SheetState
	ended     chan struct{} // closed when the person has left
}

const maxSheets = 1000 // the oldest sheet is dropped if another is opened

// refusal is the reason why a phone cannot pay, in WeChat's words and in English.
type refusal struct{ text, why string }

func (r *refusal) Error() string { return "paytest: " + r.text + ": " + r.why }

// OpenSheet opens the sheet for a payment, with the checks of WeChat.
func (s *Server) OpenSheet(e Entry) (Sheet, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	o, returnURL, err := s.enterSheet(e, now)
	if err != nil {
		return Sheet{}, err
	}
	for _, part := range o.together() {
		part.settle(now)
		if err := part.payable(e.OpenID, now, false); err != nil {
			return Sheet{}, part.explain(err, e.OpenID, now)
		}
	}
	v := &sheet{id: randomText(22), order: o, openID: e.OpenID, returnURL: returnURL, state: SheetOpen, ended: make(chan struct{})}
	if len(s.sheets) >= maxSheets {
		s.sheets[0].end(SheetCancelled)
		s.sheets = slices.Delete(s.sheets, 0, 1)
	}
	s.sheets = append(s.sheets, v)
	return v.shown(), nil
}

// enterSheet returns the order of an Entry.
func (s *Server) enterSheet(e Entry, now time.Time) (o *order, returnURL string, err error) {
	set := 0
	for _, is := range []bool{e.CodeURL != "", e.Params != nil, e.H5URL != ""} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return nil, "", errors.New("paytest: want one of code_url, params and h5_url")
	case e.CodeURL != "":
		o, err = s.scan(e.CodeURL, now)
	case e.Params != nil:
		o, err = s.checkParams(e.Params, e.Page, now)
	default:
		return s.checkH5(e.H5URL, e.Referer, now)
	}
	return o, "", err
}

// AnswerSheet does an action of the person: do is pay, cancel, fail (wrong password or balance too low) or wait. After wait the
// order cannot be closed until the next action. openID is the payer if neither the order nor the [Entry] has one; default a
// generated one. An error does not change the sheet.
func (s *Server) AnswerSheet(id, do, openID string) (Sheet, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.sheet(id)
	if err != nil {
		return Sheet{}, err
	}
	if v.state.Ended() {
		return v.shown(), &refusal{"页面已失效", "the sheet has ended: its state is " + string(v.state)}
	}
	if openID == "" {
		openID = v.openID
	}
	v.order.settle(now)
	switch do {
	case "pay":
		if err := s.payOrder(v.order, openID, now, false); err != nil {
			return v.shown(), v.order.explain(err, openID, now)
		}
		v.end(SheetPaid)
	case "wait":
		if err := v.order.setPaying(true); err != nil {
			return v.shown(), v.order.explain(err, openID, now)
		}
		v.state = SheetWaiting
	case "cancel", "fail":
		if v.state == SheetWaiting {
			_ = v.order.setPaying(false) // fails if the order is paid or closed
		}
		if do == "fail" {
			v.end(SheetFailed)
		} else {
			v.end(SheetCancelled)
		}
	default:
		return v.shown(), fmt.Errorf("paytest: invalid action %q: want pay, cancel, fail or wait", do)
	}
	return v.shown(), nil
}

// Sheet returns the current state of a sheet.
func (s *Server) Sheet(id string) (Sheet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.sheet(id)
	if err != nil {
		return Sheet{}, err
	}
	return v.shown(), nil
}

// Sheets returns the last 1000 sheets, the oldest first.
func (s *Server) Sheets() []Sheet {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Sheet, 0, len(s.sheets))
	for _, v := range s.sheets {
		list = append(list, v.shown())
	}
	return list
}

// WaitSheet waits until the person has left a sheet or ctx ends, and returns the sheet.
func (s *Server) WaitSheet(ctx context.Context, id string) (Sheet, error) {
	s.mu.Lock()
	v, err := s.sheet(id)
	s.mu.Unlock()
	if err != nil {
		return Sheet{}, err
	}
	select {
	case <-v.ended:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.shown(), nil
}

func (s *Server) sheet(id string) (*sheet, error) {
	for _, v := range s.sheets {
		if v.id == id {
			return v, nil
		}
	}
	return nil, &refusal{"页面已失效", "unknown sheet: want one of the last 1000"}
}

func (v *sheet) end(state SheetState) {
	if !v.state.Ended() {
		v.state = state
		close(v.ended)
	}
}

func (v *sheet) shown() Sheet {
	o := v.order
	out := Sheet{
		ID: v.id, Shop: o.payee.name, MchID: o.payee.id, OutTradeNo: o.outTradeNo, TradeType: o.trade, OpenID: v.openID,
		State: v.state, TransactionID: o.transactionID, ReturnURL: v.returnURL,
	}
	if payer := o.subOpenID; payer != "" || o.openID != "" {
		if payer == "" {
			payer = o.openID
		}
		out.OpenID = payer
	}
	for _, part := range o.together() {
		out.Goods = append(out.Goods, part.description)
		out.Total += part.total
	}
	return out
}
