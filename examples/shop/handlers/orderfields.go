package handlers

import (
	"strconv"
	"time"

	"github.com/wetoken/wetoken/examples/shop/shop"
)

var stateText = map[shop.State]string{
	shop.NotPaid: "订单未支付", shop.Paid: "支付成功", shop.Shipped: "已发货", shop.Refunded: "转入退款", shop.Closed: "已关闭",
}

// listed puts each value into a list, as the old program's XML parser did.
func listed(values map[string]string) map[string]any {
	fields := make(map[string]any, len(values))
	for name, value := range values {
		fields[name] = []string{value}
	}
	return fields
}

// tradeState returns WeChat's state of an order, which does not know that it was shipped.
func tradeState(o shop.Order) string {
	if o.State == shop.Shipped {
		return string(shop.Paid)
	}
	return string(o.State)
}

// queried returns an order in the fields of WeChat's query, each a list. The field state tells shipped orders.
func queried(o shop.Order) map[string]any {
	fields := map[string]string{
		"return_code": "SUCCESS", "return_msg": "OK", "result_code": "SUCCESS", "appid": o.AppID, "mch_id": o.MchID,
		"out_trade_no": o.OutTradeNo, "body": o.Body, "total_fee": strconv.FormatInt(o.TotalFee, 10), "trade_type": o.TradeType,
		"trade_state": tradeState(o), "trade_state_desc": stateText[o.State], "state": string(o.State),
	}
	if o.TransactionID != "" {
		fields["transaction_id"], fields["openid"], fields["bank_type"] = o.TransactionID, o.OpenID, o.BankType
		fields["fee_type"], fields["is_subscribe"], fields["cash_fee"] = o.FeeType, o.IsSubscribe, strconv.FormatInt(o.CashFee, 10)
		fields["time_end"] = o.PaidAt.In(shop.Beijing).Format("20060102150405")
	}
	return listed(fields)
}

// describeOrder returns an order for lists.
func describeOrder(o shop.Order) map[string]any {
	return map[string]any{
		"id": o.ID, "out_trade_no": o.OutTradeNo, "user_id": o.UserID, "body": o.Body, "items": o.Items, "total_fee": o.TotalFee,
		"trade_type": o.TradeType, "trade_state": tradeState(o), "state": o.State, "transaction_id": o.TransactionID,
		"created_at": formatInstant(o.CreatedAt), "paid_at": formatInstant(o.PaidAt),
		"express_company": o.ExpressCompany, "tracking_no": o.TrackingNo, "shipped_at": formatInstant(o.ShippedAt), "upload_error": o.UploadError,
	}
}

// formatInstant returns a time in Beijing, or "" for the zero time.
func formatInstant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(shop.Beijing).Format(time.RFC3339)
}
