package handlers

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"slices"

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
func version(o shop.Order) string { return string(o.State) + " " + o.CodeURL }

// buy places an order. The price in the form is the one that the user has seen: if the shop has another one, nothing is ordered.
func (s *site) buy(w http.ResponseWriter, r *http.Request, u shop.User) {
	id, count, fen := number(r.PostFormValue("product")), number(r.PostFormValue("count")), number(r.PostFormValue("fen"))
	var o shop.Order
	var err error
	switch {
	case count < 1 || count > maxCount:
		err = shop.ErrNoGoods
	case fen < 1 || fen > math.MaxInt64/maxCount:
		err = shop.ErrPrice
	default:
		o, err = s.Shop.PlaceCart(r.Context(), u.ID, address(r), shop.Cart{ProductIDs: slices.Repeat([]int64{id}, int(count)), TotalFee: fen * count})
	}
	if err != nil {
		status, text := explainFault(r, err)
		s.renderProduct(w, r, status, id, text)
		return
	}
	http.Redirect(w, r, "/orders/"+o.OutTradeNo, http.StatusSeeOther)
}

func (s *site) showOrders(w http.ResponseWriter, r *http.Request, u shop.User) {
	orders, next, err := s.Shop.Orders(r.Context(), u.ID, number(r.FormValue("before")))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "orders", page{Title: "我的订单", Data: map[string]any{"Orders": orders, "Next": next}})
}

// showOrder shows an order, with its QR code while it can be paid.
func (s *site) showOrder(w http.ResponseWriter, r *http.Request, u shop.User) {
	o, err := s.Shop.Order(r.Context(), u, r.PathValue("no"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	o = s.withCode(r.Context(), o)
	s.render(w, r, http.StatusOK, "order", page{Title: "订单", Data: orderView{o, s.Phone}})
}

// withCode returns an order with a QR code that lasts, or as it is if WeChat does not give one.
func (s *site) withCode(ctx context.Context, o shop.Order) shop.Order {
	fresh, err := s.Shop.Pay(ctx, o.OutTradeNo)
	if err != nil {
		slog.ErrorContext(ctx, "handlers: QR code of order "+o.OutTradeNo+": "+err.Error())
		return o
	}
	return fresh
}
