package shop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/wetoken/wetoken/wechat"
)

// ShipStore stores what was shipped, and what WeChat has to be told of it.
type ShipStore interface {
	// Ship sets the state of an order that is Paid to Shipped, unless it has a refund that is Processing or Abnormal. If upload is set,
	// ClaimUploads returns the order from now on.
	Ship(ctx context.Context, o Order, upload bool) (shipped bool, err error)
	// ClaimUploads returns at most limit orders whose upload is due, and makes them due again at a later time. No other process gets them before.
	ClaimUploads(ctx context.Context, due, again time.Time, limit int) ([]Order, error)
	// EndUpload stores that the upload was done if failed is empty, else why it was not and when it is due again.
	EndUpload(ctx context.Context, outTradeNo, failed string, again time.Time) error
}

// Ship marks a paid order as shipped. The arguments are WeChat's code of an express company and the number of the parcel, or both empty. If WeChat is set and the merchant uses APIv3, it
// uploads the shipping information (发货信息录入), which WeChat requires of mini programs before it pays out the money; Run
// repeats that until WeChat accepts it.
func (s *Shop) Ship(ctx context.Context, outTradeNo, expressCompany, trackingNo string) (Order, error) {
	o, err := s.paidOrder(ctx, outTradeNo)
	if err != nil {
		return o, err
	}
	switch {
	case o.State == Shipped && o.ExpressCompany == expressCompany && o.TrackingNo == trackingNo:
		return o, nil
	case o.State != Paid:
		return o, fmt.Errorf("%w: it is %s", ErrState, o.State)
	case (expressCompany == "") != (trackingNo == ""), len(trackingNo) > 64:
		return o, fmt.Errorf("%w: tracking_no", ErrInvalid)
	case len(expressCompany) > 32:
		return o, fmt.Errorf("%w: express_company", ErrInvalid)
	}
	o.ExpressCompany, o.TrackingNo, o.ShippedAt = expressCompany, trackingNo, now()
	shipped, err := s.Store.Ship(ctx, o, s.uploads())
	if err != nil {
		return o, err
	}
	if !shipped { // another call was faster
		return o, fmt.Errorf("%w: it has changed", ErrState)
	}
	if err := s.uploadDue(ctx); err != nil {
		slog.Warn("shop: upload shipping information", "error", err)
	}
	return s.Store.Order(ctx, outTradeNo)
}

// uploads reports whether shipping information is uploaded.
func (s *Shop) uploads() bool {
	return s.WeChat != nil && strings.HasPrefix(s.Cashier.Name(), "v3/")
}

const (
	uploadTime  = 2 * time.Minute // another process may upload what this one has not finished after that
	uploadAgain = 5 * time.Minute // WeChat needs minutes or hours to know a payment
)

// The errcodes of upload_shipping_info that a program acts on.
const (
	errNoPayment = wechat.Code(10060001) // WeChat does not know the payment yet (支付单不存在)

	// WeChat has the information: from an earlier call whose reply was lost, or from a person.
	errComplete  = wechat.Code(10060002) // 支付单已完成发货
	errChanged   = wechat.Code(10060003) // 支付单已使用重新发货机会
	errUnchanged = wechat.Code(10060023) // 发货信息未更新
)

// uploadDue uploads the shipping information of all orders that are due.
func (s *Shop) uploadDue(ctx context.Context) error {
	if !s.uploads() {
		return nil
	}
	orders, err := s.Store.ClaimUploads(ctx, now(), now().Add(uploadTime), 20)
	for _, o := range orders {
		reason, failed := "", s.upload(ctx, o)
		if failed != nil {
			reason = failed.Error()
		}
		if failed != nil && !errors.Is(failed, errNoPayment) {
			err = errors.Join(err, fmt.Errorf("shop: upload shipping information of order %s: %w", o.OutTradeNo, failed))
		}
		err = errors.Join(err, s.Store.EndUpload(ctx, o.OutTradeNo, reason, now().Add(uploadAgain)))
	}
	return err
}

// upload calls WeChat. See https://developers.weixin.qq.com/miniprogram/dev/server/API/order_shipping/api_uploadshippinginfo (发货信息录入).
func (s *Shop) upload(ctx context.Context, o Order) error {
	parcel := map[string]any{"item_desc": o.Body}
	kind := 3 // without a parcel (虚拟商品)
	if o.TrackingNo != "" {
		kind = 1 // by express
		parcel["express_company"], parcel["tracking_no"] = o.ExpressCompany, o.TrackingNo
		u, err := s.Store.User(ctx, o.UserID)
		if err != nil {
			return err
		}
		if len(u.Mobile) == 11 { // SF requires it
			parcel["contact"] = map[string]any{"receiver_contact": u.Mobile[:3] + "****" + u.Mobile[7:]}
		}
	}
	err := s.WeChat.Post(ctx, "/wxa/sec/order/upload_shipping_info", nil, map[string]any{
		"order_key":      map[string]any{"order_number_type": 2, "transaction_id": o.TransactionID},
		"logistics_type": kind, "delivery_mode": 1, "shipping_list": []any{parcel},
		"upload_time": o.ShippedAt.In(Beijing).Format("2006-01-02T15:04:05.000-07:00"), "payer": map[string]any{"openid": o.OpenID},
	}, nil)
	for _, code := range []wechat.Code{errComplete, errChanged, errUnchanged} {
		if errors.Is(err, code) {
			return nil
		}
	}
	return err
}
