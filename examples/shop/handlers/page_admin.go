package handlers

import (
	"cmp"
	"net/http"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

// showAdmin shows the orders of all users.
func (s *site) showAdmin(w http.ResponseWriter, r *http.Request) {
	s.renderAdmin(w, r, http.StatusOK, page{Said: adminNews[r.FormValue("done")]})
}

// adminNews are the messages after a change.
var adminNews = map[string]string{
	"refund": "退款已提交，微信完成后订单显示为已退款。",
	"ship":   "订单已发货。",
	"accept": "已接受付款，请发货。",
}

func (s *site) renderAdmin(w http.ResponseWriter, r *http.Request, status int, p page) {
	orders, next, err := s.Shop.Orders(r.Context(), 0, number(r.FormValue("before")))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	problems, err := s.Shop.Problems(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p.Title, p.Data = "全部订单", map[string]any{"Orders": orders, "Next": next, "Problems": problems}
	s.render(w, r, status, "admin", p)
}

// refund returns the money of an order.
func (s *site) refund(w http.ResponseWriter, r *http.Request) {
	_, err := s.Shop.Refund(r.Context(), r.PathValue("no"), r.PostFormValue("reason"))
	s.afterChange(w, r, "refund", err)
}

// ship marks an order as shipped.
func (s *site) ship(w http.ResponseWriter, r *http.Request) {
	company, tracking := r.PostFormValue("company"), r.PostFormValue("tracking")
	if (company == "") != (tracking == "") {
		s.renderAdmin(w, r, http.StatusBadRequest, page{Wrong: "快递公司和运单号须同时填写，或者都不填。"})
		return
	}
	_, err := s.Shop.Ship(r.Context(), r.PathValue("no"), company, tracking)
	s.afterChange(w, r, "ship", err)
}

// accept takes a payment with a problem for that of its order.
func (s *site) accept(w http.ResponseWriter, r *http.Request) {
	s.afterChange(w, r, "accept", s.Shop.AcceptPayment(r.Context(), r.PathValue("id")))
}

// refundPayment returns the money of a payment with a problem.
func (s *site) refundPayment(w http.ResponseWriter, r *http.Request) {
	s.afterChange(w, r, "refund", s.Shop.RefundPayment(r.Context(), r.PathValue("id"), r.PostFormValue("reason")))
}

func (s *site) afterChange(w http.ResponseWriter, r *http.Request, done string, err error) {
	if err != nil {
		status, text := explainFault(r, err)
		s.renderAdmin(w, r, status, page{Wrong: text})
		return
	}
	http.Redirect(w, r, "/admin?done="+done, http.StatusSeeOther)
}

// showBill compares a day with WeChat's bill, which WeChat makes until 10:00 of the next day.
func (s *site) showBill(w http.ResponseWriter, r *http.Request) {
	last := time.Now().In(shop.Beijing).Add(-10*time.Hour).AddDate(0, 0, -1).Format(time.DateOnly)
	text := cmp.Or(r.FormValue("day"), last)
	data := map[string]any{"Day": last, "Last": last}
	p, status := page{Title: "对账", Data: data}, http.StatusOK
	day, err := time.ParseInLocation(time.DateOnly, text, shop.Beijing)
	switch {
	case err != nil:
		status, p.Wrong = http.StatusBadRequest, "日期不正确。"
	case r.FormValue("day") != "":
		data["Day"] = text
		bill, err := s.Shop.Bill(r.Context(), day)
		if err != nil {
			status, p.Wrong = explainFault(r, err)
			break
		}
		data["Bill"] = bill
	}
	s.render(w, r, status, "bill", p)
}
