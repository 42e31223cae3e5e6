package handlers

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"rsc.io/qr"

	"github.com/wetoken/wetoken/examples/shop/shop"
	"github.com/wetoken/wetoken/pay"
)

// orderRoutes returns the routes of orders.
func (h *Handlers) orderRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /order":          h.protected(h.placeOrder),
		"POST /wx/order":       h.protected(h.placeOrder),
		"GET /order":           h.protected(h.listOrders),
		"POST /queryorder":     h.protected(h.queryOrder),
		"POST /pay/queryorder": h.protected(h.queryOrder),
		"POST /pay/native":     h.protected(h.confirmPaid),

		"POST /orders/{no}/refund":   h.admin(h.refundOrder),
		"POST /orders/{no}/ship":     h.admin(h.shipOrder),
		"GET /bills/{day}":           h.admin(h.compareBill),
		"GET /payments":              h.admin(h.listProblems),
		"POST /payments/{id}/accept": h.admin(h.acceptPayment),
		"POST /payments/{id}/refund": h.admin(h.refundPayment),
	}
}

const statusRefused = 1050 // the old program's status of a failed order

// placeOrder serves POST /order and /wx/order. The body has goods, a list of product ids; or the body and total_fee of one product, as the
// old program's; or out_trade_no, for a new QR code of an old order.
func (h *Handlers) placeOrder(w http.ResponseWriter, r *http.Request, u shop.User) {
	fields, err := readFields(w, r, "goods")
	if err != nil {
		h.failAccount(w, r, err)
		return
	}
	var o shop.Order
	if no := fields["out_trade_no"]; no != "" {
		o, err = h.Shop.Order(r.Context(), u, no)
	} else if kind := fields["trade_type"]; kind != "" && kind != "NATIVE" {
		err = fmt.Errorf("%w: trade_type", shop.ErrInvalid)
	} else {
		var c shop.Cart
		if c, err = readCart(fields); err == nil {
			o, err = h.Shop.PlaceCart(r.Context(), u.ID, address(r), c)
		}
	}
	if err == nil {
		o, err = h.Shop.Pay(r.Context(), o.OutTradeNo)
	}
	if err == nil && o.State != shop.NotPaid {
		err = fmt.Errorf("%w: it is %s", shop.ErrState, o.State)
	}
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	data := listed(map[string]string{
		"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": o.AppID, "mch_id": o.MchID,
		"trade_type": o.TradeType, "code_url": o.CodeURL,
	})
	if data["payUrl"], err = pngURL(o.CodeURL); err != nil {
		h.failOrder(w, r, err)
		return
	}
	data["nonce_str"], data["out_trade_no"] = o.NonceStr, o.OutTradeNo
	reply(w, http.StatusOK, http.StatusOK, "下单成功", map[string]any{"data": data})
}

// readCart returns what a body orders.
func readCart(fields map[string]string) (c shop.Cart, err error) {
	if text := fields["goods"]; text != "" {
		for part := range strings.SplitSeq(text, ",") {
			id, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
			if err != nil {
				return c, fmt.Errorf("%w: goods", shop.ErrInvalid)
			}
			c.ProductIDs = append(c.ProductIDs, id)
		}
	}
	c.Body = fields["body"]
	if text := fields["total_fee"]; text != "" {
		if c.TotalFee, err = strconv.ParseInt(text, 10, 64); err != nil || c.TotalFee < 1 {
			return c, fmt.Errorf("%w: total_fee", shop.ErrInvalid)
		}
	}
	return c, nil
}

// pngURL returns a QR code as a data URL.
func pngURL(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("handlers: QR code: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG()), nil
}

// queryOrder serves POST /queryOrder and /pay/queryOrder, with the fields of WeChat's query.
func (h *Handlers) queryOrder(w http.ResponseWriter, r *http.Request, u shop.User) {
	o, err := h.namedOrder(w, r, u)
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	reply(w, http.StatusOK, http.StatusOK, "查询成功", map[string]any{"data": queried(o)})
}

// confirmPaid serves POST /pay/native, which clients call after the payment. It only reads.
func (h *Handlers) confirmPaid(w http.ResponseWriter, r *http.Request, u shop.User) {
	o, err := h.namedOrder(w, r, u)
	switch {
	case err != nil:
		h.failOrder(w, r, err)
	case o.State == shop.Paid, o.State == shop.Shipped:
		data := map[string]any{"message": "支付成功", "out_trade_no": o.OutTradeNo, "trade_state": tradeState(o)}
		reply(w, http.StatusOK, http.StatusOK, "支付成功", map[string]any{"data": data})
	default:
		reply(w, http.StatusOK, statusRefused, stateText[o.State], map[string]any{"data": stateText[o.State]})
	}
}

// namedOrder returns the order of out_trade_no, or the user's latest one, after a query to WeChat.
func (h *Handlers) namedOrder(w http.ResponseWriter, r *http.Request, u shop.User) (o shop.Order, err error) {
	fields, err := readFields(w, r)
	if err != nil {
		return o, err
	}
	if no := fields["out_trade_no"]; no != "" {
		o, err = h.Shop.Order(r.Context(), u, no)
	} else {
		o, err = h.Shop.Store.LatestOrder(r.Context(), u.ID)
	}
	if err != nil {
		return o, err
	}
	return h.Shop.Query(r.Context(), o.OutTradeNo)
}

// listOrders serves GET /order?cursor=, and ?all=true for admins.
func (h *Handlers) listOrders(w http.ResponseWriter, r *http.Request, u shop.User) {
	var cursor int64
	var err error
	if text := r.FormValue("cursor"); text != "" {
		if cursor, err = strconv.ParseInt(text, 10, 64); err != nil || cursor < 0 {
			h.failOrder(w, r, fmt.Errorf("%w: cursor", shop.ErrInvalid))
			return
		}
	}
	userID := u.ID
	if r.FormValue("all") == "true" {
		if !u.Admin {
			h.failOrder(w, r, shop.ErrForbidden)
			return
		}
		userID = 0
	}
	orders, next, err := h.Shop.Orders(r.Context(), userID, cursor)
	if err != nil {
		h.failOrder(w, r, err)
		return
	}
	list := make([]any, len(orders))
	for i, o := range orders {
		list[i] = describeOrder(o)
	}
	reply(w, http.StatusOK, http.StatusOK, "查询成功", map[string]any{"orders": list, "next": next})
}

// failOrder answers {"status":1050,"data":reason}, and with an error status what is no refusal.
func (h *Handlers) failOrder(w http.ResponseWriter, r *http.Request, err error) {
	var text string
	status := http.StatusOK
	var refused *pay.Error
	switch {
	case errors.Is(err, shop.ErrNotFound):
		text = "订单不存在"
	case errors.Is(err, shop.ErrNoGoods):
		text = "商品不存在"
	case errors.Is(err, shop.ErrPrice):
		text = "金额与商品价格不符"
	case errors.Is(err, shop.ErrState):
		text = "订单的状态不允许此操作"
	case errors.Is(err, shop.ErrInvalid):
		text = "参数不正确"
	case errors.Is(err, shop.ErrForbidden):
		text, status = "仅限管理员", http.StatusForbidden
	case errors.Is(err, pay.ErrUnknown), errors.Is(err, pay.ErrBusy), errors.Is(err, pay.ErrPaying):
		text = "微信支付暂时没有结果，请稍后再试"
	case errors.As(err, &refused) && refused.Message != "":
		text = refused.Message
	default:
		h.failAccount(w, r, err)
		return
	}
	if refused != nil || errors.As(err, &refused) {
		slog.WarnContext(r.Context(), "order", "path", r.Pattern, "error", err)
	}
	reply(w, status, statusRefused, text, map[string]any{"data": text})
}
