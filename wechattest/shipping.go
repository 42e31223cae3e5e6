package wechattest

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

func shippingRoutes() []route {
	return []route{
		{path: "/wxa/sec/order/upload_shipping_info", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: []Kind{Mini}, serve: (*Server).uploadShipping},
	}
}

// Payment is a payment by WeChat Pay, for [Server.Payments].
type Payment struct {
	MchID         string
	OutTradeNo    string
	TransactionID string
	OpenID        string // of the payer
	Refunded      bool   // in whole
}

// PaidBy returns a function for [Server.Payments] that finds the payments of a simulated WeChat Pay.
func PaidBy(pay *paytest.Server) func(named Payment) (p Payment, ok bool) {
	return func(named Payment) (p Payment, ok bool) {
		var o paytest.Order
		var err error
		if named.TransactionID != "" {
			o, err = pay.Paid(named.TransactionID)
		} else {
			o, err = pay.Order(named.MchID, named.OutTradeNo)
		}
		if err != nil || o.TransactionID == "" {
			return Payment{}, false
		}
		return Payment{
			MchID: o.MchID, OutTradeNo: o.OutTradeNo, TransactionID: o.TransactionID, OpenID: o.OpenID, Refunded: o.Refunded >= o.Total,
		}, true
	}
}

// Shipment is what a mini program has reported about the shipping of a payment (发货信息).
type Shipment struct {
	AppID         string        `json:"app"`
	MchID         string        `json:"mchid"`
	OutTradeNo    string        `json:"out_trade_no"`
	TransactionID string        `json:"transaction_id"`
	OpenID        string        `json:"openid"`
	LogisticsType int           `json:"logistics_type"` // 1 express, 2 within a city, 3 virtual, 4 pick-up
	Delivered     bool          `json:"delivered"`      // all of the order
	List          []ShippedItem `json:"shipping_list"`
	UploadTime    time.Time     `json:"upload_time"`
	Corrected     bool          `json:"corrected"` // the one correction was made
}

// ShippedItem is a parcel.
type ShippedItem struct {
	TrackingNo     string `json:"tracking_no"`
	ExpressCompany string `json:"express_company"`
	ItemDesc       string `json:"item_desc"`
	Contact        struct {
		Consignor string `json:"consignor_contact"`
		Receiver  string `json:"receiver_contact"`
	} `json:"contact"`
}

// Shipments returns the reports of shipping, the oldest first.
func (s *Server) Shipments() []Shipment {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Shipment, 0, len(s.shipments))
	for _, one := range s.shipments {
		copied := *one
		copied.List = slices.Clone(one.List)
		list = append(list, copied)
	}
	return list
}

// shippingReport is the body of upload_shipping_info.
type shippingReport struct {
	OrderKey struct {
		Type          int    `json:"order_number_type"`
		TransactionID string `json:"transaction_id"`
		MchID         string `json:"mchid"`
		OutTradeNo    string `json:"out_trade_no"`
	} `json:"order_key"`
	LogisticsType int           `json:"logistics_type"`
	DeliveryMode  int           `json:"delivery_mode"`
	AllDelivered  *bool         `json:"is_all_delivered"`
	List          []ShippedItem `json:"shipping_list"`
	UploadTime    string        `json:"upload_time"`
	Payer         struct {
		OpenID string `json:"openid"`
	} `json:"payer"`

	uploaded time.Time
}

const (
	byMerchantNumber = 1 // order_number_type
	byTransaction    = 2

	express = 1 // logistics_type

	unified = 1 // delivery_mode
	split   = 2
)

// Limits of a report.
const (
	maxParcels  = 15
	maxItemDesc = 120 // characters
	maxTracking = 128 // bytes of a number or a company
)

// uploadShipping takes a report of shipping. An order is reported once, in parts where it is split, and corrected once.
// See https://developers.weixin.qq.com/miniprogram/dev/platform-capabilities/business-capabilities/order-shipping/order-shipping.html
func (s *Server) uploadShipping(c *call) reply {
	var in shippingReport
	if json.Unmarshal(c.body, &in) != nil {
		return c.refuse(47001)
	}
	if errcode := in.check(); errcode != 0 {
		return c.refuse(errcode)
	}
	p, errcode := s.paymentOf(&in)
	if errcode != 0 {
		return c.refuse(errcode)
	}
	fresh := &Shipment{
		AppID: c.app.ID, MchID: p.MchID, OutTradeNo: p.OutTradeNo, TransactionID: p.TransactionID, OpenID: p.OpenID,
		LogisticsType: in.LogisticsType, Delivered: in.DeliveryMode == unified || *in.AllDelivered, List: in.List, UploadTime: in.uploaded,
	}
	at := slices.IndexFunc(s.shipments, func(old *Shipment) bool { return old.isOf(p) })
	if at < 0 {
		s.shipments = append(s.shipments, fresh)
		return c.done(nil)
	}
	old := s.shipments[at]
	switch {
	case old.Corrected:
		return c.refuse(10060003)
	case !fresh.UploadTime.After(old.UploadTime), fresh.LogisticsType == old.LogisticsType && reflect.DeepEqual(fresh.List, old.List):
		return c.refuse(10060023)
	}
	fresh.Corrected = old.Delivered
	s.shipments[at] = fresh
	return c.done(nil)
}

func (s *Shipment) isOf(p Payment) bool {
	if p.TransactionID != "" && s.TransactionID != "" {
		return s.TransactionID == p.TransactionID
	}
	return s.MchID == p.MchID && s.OutTradeNo == p.OutTradeNo
}

// check returns the errcode of an invalid report, or 0.
func (r *shippingReport) check() (errcode int) {
	key := r.OrderKey
	switch {
	case key.Type != byMerchantNumber && key.Type != byTransaction:
		return 268485194
	case key.Type == byTransaction && key.TransactionID == "":
		return 268485195
	case key.Type == byMerchantNumber && key.MchID == "":
		return 268485196
	case key.Type == byMerchantNumber && key.OutTradeNo == "":
		return 268485197
	case r.LogisticsType < 1 || r.LogisticsType > 4:
		return 10060005
	case r.DeliveryMode != unified && r.DeliveryMode != split:
		return 268485224
	case r.DeliveryMode == split && r.LogisticsType != express:
		return 10060006
	case r.DeliveryMode == split && r.AllDelivered == nil:
		return 10060007
	case r.DeliveryMode == unified && len(r.List) != 1:
		return 268485228
	case len(r.List) == 0 || r.Payer.OpenID == "":
		return 10060014
	case len(r.List) > maxParcels:
		return 10060024
	}
	var err error
	if r.uploaded, err = time.Parse(time.RFC3339, r.UploadTime); err != nil {
		return 268485216
	}
	for _, item := range r.List {
		if errcode := item.check(r.LogisticsType); errcode != 0 {
			return errcode
		}
	}
	return 0
}

func (i ShippedItem) check(logistics int) (errcode int) {
	switch {
	case i.ItemDesc == "":
		return 10060008
	case utf8.RuneCountInString(i.ItemDesc) > maxItemDesc:
		return 10060009
	case logistics != express:
		return 0
	case i.TrackingNo == "":
		return 268485226
	case i.ExpressCompany == "":
		return 268485227
	case len(i.TrackingNo) > maxTracking:
		return 10060026
	case len(i.ExpressCompany) > maxTracking:
		return 10060025
	case i.ExpressCompany == "SF" && i.Contact.Consignor == "" && i.Contact.Receiver == "":
		return 10060014
	}
	return 0
}

// paymentOf returns the payment that a report names. errcode is 0 if its payer and its state fit.
func (s *Server) paymentOf(r *shippingReport) (p Payment, errcode int) {
	named := Payment{MchID: r.OrderKey.MchID, OutTradeNo: r.OrderKey.OutTradeNo}
	if r.OrderKey.Type == byTransaction {
		named = Payment{TransactionID: r.OrderKey.TransactionID}
	}
	if s.Payments == nil {
		named.OpenID = r.Payer.OpenID
		return named, 0
	}
	p, ok := s.Payments(named)
	switch {
	case !ok:
		return p, 10060001
	case p.Refunded:
		return p, 10060004
	case p.OpenID != r.Payer.OpenID:
		return p, 10060031
	}
	return p, 0
}
