package wechattest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"
)

// Payment is a payment that a mini program tells WeChat the shipping information of (支付单).
type Payment struct {
	TransactionID string
	MchID         string
	OutTradeNo    string
	OpenID        string // of the payer
	Refunded      bool   // it cannot be shipped any more
}

// Shipment is the shipping information of a payment, as uploaded last (发货信息).
type Shipment struct {
	Payment Payment
	Body    []byte // of the call
	Uploads int    // that changed it: 2 at most once all was shipped
}

// shipment is a Shipment with what the next call is compared with.
type shipment struct {
	Shipment
	content  []byte // of the call, without its upload_time
	uploaded time.Time
	complete bool // all was shipped
	again    bool // the second chance is used
}

func shippingRoutes() []route {
	return []route{
		{path: "/wxa/sec/order/upload_shipping_info", on: apiHost, method: http.MethodPost, body: jsonBody, kinds: []Kind{Mini}, serve: (*Server).uploadShipping},
	}
}

// Limits of shipping information.
const (
	maxParcels   = 15
	maxItemDesc  = 120 // characters
	maxParcelIDs = 128 // bytes of tracking_no and express_company
)

const byExpress = 1 // logistics_type

// shippingBody is the body of upload_shipping_info.
type shippingBody struct {
	OrderKey struct {
		Type          int    `json:"order_number_type"`
		TransactionID string `json:"transaction_id"`
		MchID         string `json:"mchid"`
		OutTradeNo    string `json:"out_trade_no"`
	} `json:"order_key"`
	LogisticsType  int   `json:"logistics_type"`
	DeliveryMode   int   `json:"delivery_mode"`
	IsAllDelivered *bool `json:"is_all_delivered"`
	List           []struct {
		TrackingNo     string `json:"tracking_no"`
		ExpressCompany string `json:"express_company"`
		ItemDesc       string `json:"item_desc"`
		Contact        struct {
			Consignor string `json:"consignor_contact"`
			Receiver  string `json:"receiver_contact"`
		} `json:"contact"`
	} `json:"shipping_list"`
	UploadTime string `json:"upload_time"`
	Payer      struct {
		OpenID string `json:"openid"`
	} `json:"payer"`
}

// Shipments returns the shipping information of the payments, in no order.
func (s *Server) Shipments() []Shipment {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Shipment, 0, len(s.shipments))
	for _, sh := range s.shipments {
		list = append(list, sh.Shipment)
	}
	return list
}

// uploadShipping stores the shipping information of a payment. See
// https://developers.weixin.qq.com/miniprogram/dev/server/API/order_shipping/api_uploadshippinginfo (发货信息录入).
func (s *Server) uploadShipping(c *call) reply {
	var in shippingBody
	if json.Unmarshal(c.body, &in) != nil {
		return c.refuse(47001)
	}
	if code := in.check(); code != 0 {
		return c.refuse(code)
	}
	at, err := time.Parse(time.RFC3339, in.UploadTime)
	if err != nil {
		return c.refuse(268485216)
	}
	p, ok := Payment{TransactionID: in.OrderKey.TransactionID, MchID: in.OrderKey.MchID, OutTradeNo: in.OrderKey.OutTradeNo}, false
	if s.FindPayment != nil {
		p, ok = s.FindPayment(p)
	}
	switch {
	case !ok:
		return c.refuse(10060001)
	case p.OpenID != in.Payer.OpenID:
		return c.refuse(10060031)
	case p.Refunded:
		return c.refuse(10060004)
	}
	return s.saveShipment(c, p, &in, at)
}

// check returns the errcode of a body that is wrong by itself, or 0.
func (in *shippingBody) check() int {
	switch {
	case in.OrderKey.Type != 1 && in.OrderKey.Type != 2:
		return 268485194
	case in.OrderKey.Type == 2 && in.OrderKey.TransactionID == "":
		return 268485195
	case in.OrderKey.Type == 1 && in.OrderKey.MchID == "":
		return 268485196
	case in.OrderKey.Type == 1 && in.OrderKey.OutTradeNo == "":
		return 268485197
	case in.LogisticsType < 1 || in.LogisticsType > 4:
		return 10060005
	case in.DeliveryMode != 1 && in.DeliveryMode != 2:
		return 268485224
	case in.DeliveryMode == 2 && in.LogisticsType != byExpress:
		return 10060006
	case in.DeliveryMode == 2 && in.IsAllDelivered == nil:
		return 10060007
	case in.DeliveryMode == 1 && len(in.List) != 1:
		return 268485228
	case len(in.List) == 0, in.Payer.OpenID == "":
		return 10060014
	case len(in.List) > maxParcels:
		return 10060024
	}
	for _, parcel := range in.List {
		switch {
		case parcel.ItemDesc == "":
			return 10060008
		case utf8.RuneCountInString(parcel.ItemDesc) > maxItemDesc:
			return 10060009
		case in.LogisticsType != byExpress:
		case parcel.TrackingNo == "":
			return 268485226
		case parcel.ExpressCompany == "":
			return 268485227
		case len(parcel.ExpressCompany) > maxParcelIDs:
			return 10060025
		case len(parcel.TrackingNo) > maxParcelIDs:
			return 10060026
		case parcel.ExpressCompany == "SF" && parcel.Contact.Consignor == "" && parcel.Contact.Receiver == "":
			return 10060014
		}
	}
	return 0
}

// saveShipment keeps a shipment. What was shipped completely may be changed once.
func (s *Server) saveShipment(c *call, p Payment, in *shippingBody, at time.Time) reply {
	uploadTime := in.UploadTime
	in.UploadTime = ""
	content, err := json.Marshal(in)
	if err != nil {
		return c.refuse(-1)
	}
	in.UploadTime = uploadTime
	if s.shipments == nil {
		s.shipments = make(map[string]*shipment)
	}
	sh := s.shipments[p.TransactionID]
	switch {
	case sh == nil:
		sh = new(shipment)
		s.shipments[p.TransactionID] = sh
	case bytes.Equal(sh.content, content):
		return c.refuse(10060023)
	case sh.again:
		return c.refuse(10060003)
	case !at.After(sh.uploaded):
		return c.refuse(10060014)
	default:
		sh.again = sh.complete
	}
	sh.Payment, sh.Body, sh.Uploads = p, bytes.Clone(c.body), sh.Uploads+1
	sh.content, sh.uploaded = content, at
	sh.complete = in.DeliveryMode == 1 || *in.IsAllDelivered
	return c.done(nil)
}
