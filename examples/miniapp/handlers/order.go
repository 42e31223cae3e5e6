package handlers

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/account"
	"github.com/wetoken/wetoken/examples/miniapp/order"
)

func (h *Handlers) products(w http.ResponseWriter, _ *http.Request) { answer(w, h.Orders.Products) }

// placeOrder places an order in the app that the person uses, and answers the arguments of wx.requestPayment.
func (h *Handlers) placeOrder(w http.ResponseWriter, r *http.Request, s account.Session) {
	var body struct {
		ProductID string `json:"product_id"`
	}
	if !h.read(w, r, &body) {
		return
	}
	o, params, err := h.Orders.Place(r.Context(), order.Buyer{AccountID: s.Account.ID, AppID: s.AppID, OpenID: s.OpenID}, body.ProductID)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, map[string]any{"order": o, "params": params})
}

const maxWait = 25 * time.Second

// showOrder answers an order. With wait in seconds it answers when the order is paid or closed, or after this time: the result of
// wx.requestPayment proves no payment.
func (h *Handlers) showOrder(w http.ResponseWriter, r *http.Request, s account.Session) {
	seconds, _ := strconv.Atoi(r.URL.Query().Get("wait")) // 0: no wait
	ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(seconds)*time.Second, maxWait))
	defer cancel()
	o, err := h.Orders.Wait(ctx, s.Account.ID, r.PathValue("no"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, o)
}

func (h *Handlers) cancelOrder(w http.ResponseWriter, r *http.Request, s account.Session) {
	o, err := h.Orders.Cancel(r.Context(), s.Account.ID, r.PathValue("no"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, o)
}
