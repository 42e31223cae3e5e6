package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/wetoken/wetoken/pay"
)

// shop sells socks.
type shop struct {
	cashier *pay.Cashier
	phone   string // URL of the simulated WeChat Pay; empty for the real one
	ledger
}

func (s *shop) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { show(w, "shop", nil) })
	mux.HandleFunc("POST /buy", s.buy)
	mux.HandleFunc("POST /orders", s.placeOrder)
	mux.HandleFunc("GET /orders/{no}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]bool{"paid": s.isPaid(r.PathValue("no"))}, nil)
	})
	mux.HandleFunc("POST /orders/{no}/refund", func(w http.ResponseWriter, r *http.Request) { // a real shop authenticates the caller
		no := r.PathValue("no")
		refund, err := s.cashier.Refund(r.Context(), pay.Refund{OutTradeNo: no, OutRefundNo: no + "-1", Fen: 1200, Reason: "torn"})
		answer(w, refund, err)
	})
	return mux
}

// prepay places an order for a pair of socks. The price and the goods never come from a request.
func (s *shop) prepay(r *http.Request, trade pay.Trade, openID string) (pay.Prepaid, error) {
	order := pay.Order{Trade: trade, OutTradeNo: "socks-" + strings.ToLower(rand.Text()[:12]), Fen: 1200, Description: "socks"}
	switch trade {
	case pay.JSAPI:
		order.OpenID = cmp.Or(openID, "openid-of-the-payer")
	case pay.H5:
		order.ClientIP, _, _ = net.SplitHostPort(r.RemoteAddr) // behind a proxy, use the address in its header
	}
	return s.cashier.Prepay(r.Context(), order)
}

// buy replies with the page for paying an order.
func (s *shop) buy(w http.ResponseWriter, r *http.Request) {
	prepaid, err := s.prepay(r, pay.Trade(r.FormValue("trade")), "")
	if err != nil {
		answer(w, nil, err)
		return
	}
	show(w, "order", map[string]any{"Order": prepaid, "Phone": s.phone})
}

// placeOrder replies with an order as JSON, which includes the arguments of wx.requestPayment.
func (s *shop) placeOrder(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Trade  pay.Trade `json:"trade"`
		OpenID string    `json:"openid"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&body); err != nil && err != io.EOF {
		http.Error(w, "invalid body: want JSON with trade and openid", http.StatusBadRequest)
		return
	}
	prepaid, err := s.prepay(r, cmp.Or(body.Trade, pay.Native), body.OpenID)
	answer(w, prepaid, err)
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		status := http.StatusInternalServerError
		if cause := pay.Cause(""); errors.As(err, &cause) {
			status = cause.Status()
		}
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}

// ledger stores the payments of the shop. It settles each transaction once, even if the Cashier reports it again. A database does
// this with a unique column for the transaction id, written in the same transaction as the order.
type ledger struct {
	mu   sync.Mutex
	paid map[string]pay.Transaction // by transaction id
}

func (l *ledger) settle(_ context.Context, t pay.Transaction) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, done := l.paid[t.TransactionID]; done {
		return nil
	}
	if t.Late != "" || !t.Known {
		log.Printf("order %s was paid late or is unknown: check it by hand or refund it", t.OutTradeNo)
	}
	l.paid[t.TransactionID] = t
	return nil
}

func (l *ledger) isPaid(outTradeNo string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.paid {
		if t.OutTradeNo == outTradeNo && t.Known && t.Late == "" {
			return true
		}
	}
	return false
}
