package order

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/wechat"
)

// Shipping is how an order is shipped (发货信息). WeChat holds the money of a mini program's orders back until it knows.
type Shipping struct {
	LogisticsType  int    `json:"logistics_type"`            // 1 express, 2 within a city, 3 virtual, 4 pick-up
	TrackingNo     string `json:"tracking_no,omitempty"`     // express
	ExpressCompany string `json:"express_company,omitempty"` // express: WeChat's code, such as SF
	Contact        string `json:"contact,omitempty"`         // SF: the receiver's phone, masked as in 138****0000
	ItemDesc       string `json:"item_desc,omitempty"`       // default the product's name
}

// Shipment is a report of shipping that is sent to WeChat until WeChat has taken it.
type Shipment struct {
	OutTradeNo string        `json:"out_trade_no"`
	Shipping   Shipping      `json:"shipping"`
	State      ShipmentState `json:"state"`
	Tries      int           `json:"tries"`
	NextAt     time.Time     `json:"next_at,omitzero"` // next try, while it is due
	Error      string        `json:"error,omitempty"`  // of the last try
}

// ShipmentState is the state of a report.
type ShipmentState string

const (
	Due    ShipmentState = "due"
	Sent   ShipmentState = "sent"
	Failed ShipmentState = "failed" // WeChat refuses it; report it again with other values
)

// ShipmentStore keeps reports.
type ShipmentStore interface {
	// PutShipment adds a report, or replaces that of the same order.
	PutShipment(ctx context.Context, s Shipment) error
	// Shipment returns the report of an order, or ErrNotFound.
	Shipment(ctx context.Context, outTradeNo string) (Shipment, error)
	// DueShipments returns reports whose next try is due.
	DueShipments(ctx context.Context, now time.Time) ([]Shipment, error)
	// ClaimShipment moves the next try of a report to a later time, and reports whether it was still s.
	ClaimShipment(ctx context.Context, s Shipment, next time.Time) (claimed bool, err error)
	// FinishShipment stores the outcome of a try, unless the report was replaced since ClaimShipment moved it to claimed.
	FinishShipment(ctx context.Context, s Shipment, claimed time.Time) error
}

const (
	claimFor       = time.Minute // another process may try again after that
	shipEvery      = 5 * time.Second
	minShipBackoff = time.Minute
	maxShipBackoff = time.Hour
)

// Ship stores how an order is shipped, and reports it to WeChat. A report that WeChat cannot take yet is sent again: right after a
// payment WeChat may not have it in its books.
func (s *Service) Ship(ctx context.Context, outTradeNo string, how Shipping) (Shipment, error) {
	o, err := s.Store.Order(ctx, outTradeNo)
	switch {
	case err != nil:
		return Shipment{}, err
	case o.State != Paid:
		return Shipment{}, ErrUnpaid
	case o.AppID != s.MiniAppID:
		return Shipment{}, fmt.Errorf("%w: WeChat takes reports of orders of the mini program only", ErrShipping)
	case how.LogisticsType < 1 || how.LogisticsType > 4:
		return Shipment{}, fmt.Errorf("%w: logistics_type: want 1 to 4", ErrShipping)
	case how.LogisticsType == 1 && (how.TrackingNo == "" || how.ExpressCompany == ""):
		return Shipment{}, fmt.Errorf("%w: tracking_no and express_company must be set for logistics_type 1", ErrShipping)
	}
	if how.ItemDesc == "" {
		how.ItemDesc = o.Name
	}
	if utf8.RuneCountInString(how.ItemDesc) > 120 {
		return Shipment{}, fmt.Errorf("%w: item_desc: want at most 120 characters", ErrShipping)
	}
	sh := Shipment{OutTradeNo: outTradeNo, Shipping: how, State: Due, NextAt: now()}
	if err := s.Store.PutShipment(ctx, sh); err != nil {
		return Shipment{}, err
	}
	if err := s.report(ctx, sh); err != nil {
		return Shipment{}, err
	}
	return s.Store.Shipment(ctx, outTradeNo)
}

// Run sends the reports of shipping that are due, until ctx ends. Each process may run it.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(shipEvery)
	defer tick.Stop()
	for {
		due, err := s.Store.DueShipments(ctx, now())
		for _, sh := range due {
			err = errors.Join(err, s.report(ctx, sh))
		}
		if err != nil && ctx.Err() == nil {
			s.log().ErrorContext(ctx, "report shipping", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// report sends a report, unless another process is doing that, and stores the outcome. Its error is that of the database.
func (s *Service) report(ctx context.Context, sh Shipment) error {
	until := now().Add(claimFor)
	claimed, err := s.Store.ClaimShipment(ctx, sh, until)
	if err != nil || !claimed {
		return err
	}
	o, err := s.Store.Order(ctx, sh.OutTradeNo)
	if err != nil {
		return err
	}
	err = s.API.Post(ctx, "/wxa/sec/order/upload_shipping_info", nil, s.shippingBody(o, sh.Shipping), nil)
	sh.Tries++
	sh.State, sh.Error, sh.NextAt = Sent, "", time.Time{}
	if err != nil && !errors.Is(err, errUnchanged) {
		sh.State, sh.Error = Failed, err.Error()
		if mayPass(err) {
			sh.State, sh.NextAt = Due, now().Add(min(minShipBackoff<<min(sh.Tries-1, 10), maxShipBackoff))
		}
	}
	return s.Store.FinishShipment(context.WithoutCancel(ctx), sh, until)
}

// WeChat's codes of reports.
const (
	errNoPayment = wechat.Code(10060001) // also of a payment that is not in its books yet
	errUnchanged = wechat.Code(10060023) // it has this report already
)

// mayPass reports whether the same report may succeed later.
func mayPass(err error) bool {
	var refusal *wechat.Error
	if !errors.As(err, &refusal) {
		return true // WeChat was not reached
	}
	later := []wechat.Code{-1, errNoPayment, 10060012, 10060019, 45009, 45011, wechat.ErrTokenExpired, wechat.ErrInvalidIP}
	return slices.Contains(later, refusal.Code)
}

func (s *Service) shippingBody(o Order, how Shipping) json.RawMessage {
	item := map[string]any{"item_desc": how.ItemDesc}
	if how.LogisticsType == 1 {
		item["tracking_no"], item["express_company"] = how.TrackingNo, how.ExpressCompany
		if how.Contact != "" {
			item["contact"] = map[string]string{"receiver_contact": how.Contact}
		}
	}
	body, err := json.Marshal(map[string]any{
		"order_key":      map[string]any{"order_number_type": 1, "mchid": s.MchID, "out_trade_no": o.OutTradeNo},
		"logistics_type": how.LogisticsType, "delivery_mode": 1, "shipping_list": []any{item},
		"upload_time": time.Now().In(beijing).Format("2006-01-02T15:04:05.000-07:00"), // later than that of a report before
		"payer":       map[string]string{"openid": o.OpenID},
	})
	if err != nil {
		panic(fmt.Sprintf("order: encode report of shipping: %v", err)) // numbers and texts only
	}
	return body
}

var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)
