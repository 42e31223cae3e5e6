package handlers

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

// stateWords are the states of an order for people.
var stateWords = map[shop.State]string{
	shop.NotPaid: "待付款", shop.Paid: "已付款", shop.Shipped: "已发货", shop.Refunded: "已退款", shop.Closed: "已关闭",
}

// orderView is what the templates of an order show.
type orderView struct {
	Order shop.Order
	Phone string
}

// version changes with what the template "state" shows.
func version(o shop.Order) string { return fmt.Sprintf("%s-%d", o.State, o.CodeExpires.Unix()) }

// buy places an order. The price in the form is the one that the user has seen: if it is not the price of the shop, nothing is ordered.
func (h *Handlers) buy(w http.ResponseWriter, r *http.Request, u shop.User) {
	p, err := h.product(r, r.PostFormValue("product"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	count := number(r.PostFormValue("count"))
	switch {
	case r.PostFormValue("fen") != strconv.FormatInt(p.Fen, 10):
		err = shop.ErrPrice
	case count < 1 || count > maxCount:
		err = shop.ErrNoGoods
	}
	var o shop.Order
	if err == nil {
		o, err = h.Shop.PlaceOrder(r.Context(), u.ID, clientAddress(r), slices.Repeat([]int64{p.ID}, int(count))...)
	}
	if err != nil {
		status, text := explain(r, err)
		h.renderProduct(w, r, status, strconv.FormatInt(p.ID, 10), text)
		return
	}
	http.Redirect(w, r, "/orders/"+o.OutTradeNo, http.StatusSeeOther)
}

func (h *Handlers) showOrders(w http.ResponseWriter, r *http.Request, u shop.User) {
	orders, next, err := h.Shop.Orders(r.Context(), u.ID, number(r.FormValue("before")))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.render(w, r, http.StatusOK, "orders", page{Title: "我的订单", Data: map[string]any{"Orders": orders, "Next": next}})
}

// showOrder shows an order, with its QR code while it can be paid.
func (h *Handlers) showOrder(w http.ResponseWriter, r *http.Request, u shop.User) {
	o, err := h.Shop.Order(r.Context(), u, r.PathValue("no"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	o = h.withCode(r.Context(), o)
	h.render(w, r, http.StatusOK, "order", page{Title: "订单", Data: orderView{o, h.Phone}})
}

// withCode returns an order with a QR code that lasts, or as it is if WeChat does not give one.
func (h *Handlers) withCode(ctx context.Context, o shop.Order) shop.Order {
	fresh, err := h.Shop.Pay(ctx, o.OutTradeNo)
	if err != nil {
		slog.ErrorContext(ctx, "handlers: QR code of order "+o.OutTradeNo+": "+err.Error())
		return o
	}
	return fresh
}
