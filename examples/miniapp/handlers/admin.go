package handlers

import (
	"cmp"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/wetoken/wetoken/examples/miniapp/order"
)

// ship stores how an order is shipped, and reports it to WeChat.
func (h *Handlers) ship(w http.ResponseWriter, r *http.Request) {
	var how order.Shipping
	if !h.read(w, r, &how) {
		return
	}
	sh, err := h.Orders.Ship(r.Context(), r.PathValue("no"), how)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, sh)
}

func (h *Handlers) showShipping(w http.ResponseWriter, r *http.Request) {
	sh, err := h.Orders.Store.Shipment(r.Context(), r.PathValue("no"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, sh)
}

var billKind = regexp.MustCompile(`^[A-Z_]{1,32}$`)

// readBill returns the day and the kind of bill that a request names, or refuses it.
func (h *Handlers) readBill(w http.ResponseWriter, r *http.Request) (day time.Time, kind string, ok bool) {
	day, err := time.ParseInLocation(time.DateOnly, r.PathValue("day"), time.FixedZone("Asia/Shanghai", 8*60*60))
	kind = cmp.Or(r.URL.Query().Get("kind"), "ALL")
	if err != nil || !billKind.MatchString(kind) {
		h.refuse(w, r, errDay)
		return day, kind, false
	}
	return day, kind, true
}

// queryBill answers the totals of a bill.
func (h *Handlers) queryBill(w http.ResponseWriter, r *http.Request) {
	day, kind, ok := h.readBill(w, r)
	if !ok {
		return
	}
	b, err := h.Orders.Query(r.Context(), kind, day)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	answer(w, b)
}

// downloadBill answers a bill, which was complete before the first byte is sent.
func (h *Handlers) downloadBill(w http.ResponseWriter, r *http.Request) {
	day, kind, ok := h.readBill(w, r)
	if !ok {
		return
	}
	f, err := h.Orders.Download(r.Context(), kind, day)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	defer func() { // a temporary file that was only read
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="bill-`+day.Format(time.DateOnly)+`-`+kind+`.csv"`)
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, f)
}
