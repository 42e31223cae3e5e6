package gateway

import "strings"

// safeWrites are the paths of APIv3 whose POST, PUT, PATCH and DELETE certainly move no money out. A * is one segment. The list is
// closed: WeChat has hundreds of paths and adds new ones, so one that is not listed needs the scope transfer.
var safeWrites = newPathSet(
	// Orders.
	"/v3/pay/transactions/jsapi", "/v3/pay/transactions/native", "/v3/pay/transactions/app", "/v3/pay/transactions/h5", "/v3/pay/transactions/codepay",
	"/v3/pay/transactions/out-trade-no/*/close",
	"/v3/pay/partner/transactions/jsapi", "/v3/pay/partner/transactions/native", "/v3/pay/partner/transactions/app", "/v3/pay/partner/transactions/h5",
	"/v3/pay/partner/transactions/codepay", "/v3/pay/partner/transactions/out-trade-no/*/close",
	"/v3/combine-transactions/jsapi", "/v3/combine-transactions/native", "/v3/combine-transactions/app", "/v3/combine-transactions/h5",
	"/v3/combine-transactions/out-trade-no/*/close",
	// Complaints (消费者投诉).
	"/v3/merchant-service/complaint-notifications", "/v3/merchant-service/complaints-v2/*/response", "/v3/merchant-service/complaints-v2/*/complete",
	// Payscore (微信支付分): service orders, and the permissions of users.
	"/v3/payscore/serviceorder", "/v3/payscore/serviceorder/*/cancel", "/v3/payscore/serviceorder/*/modify", "/v3/payscore/serviceorder/*/complete",
	"/v3/payscore/serviceorder/*/sync", "/v3/payscore/permissions", "/v3/payscore/permissions/authorization-code/*/terminate", "/v3/payscore/permissions/openid/*/terminate",
	// Parking (停车服务).
	"/v3/vehicle/parking/parkings", "/v3/vehicle/transactions/parking",
)

// orderWrites are those of safeWrites that place an order, whose amount max_fen cannot be compared with.
var orderWrites = newPathSet(
	"/v3/pay/transactions/*", "/v3/pay/partner/transactions/*", "/v3/combine-transactions/*", "/v3/payscore/serviceorder", "/v3/payscore/serviceorder/*/modify",
	"/v3/payscore/serviceorder/*/complete", "/v3/vehicle/transactions/parking",
)

// refundWrites are the paths that return money to the payer of an order.
var refundWrites = newPathSet(
	"/v3/refund/domestic/refunds", "/v3/refund/domestic/refunds/*/apply-abnormal-refund", "/v3/ecommerce/refunds/apply", "/v3/ecommerce/refunds/*/apply-abnormal-refund",
	"/v3/pay/transactions/out-trade-no/*/reverse", "/v3/pay/partner/transactions/out-trade-no/*/reverse", "/v3/merchant-service/complaints-v2/*/update-refund-progress",
)

// pathSet is a set of paths, by the number of their segments.
type pathSet map[int][][]string

func newPathSet(patterns ...string) pathSet {
	set := make(pathSet)
	for _, p := range patterns {
		parts := strings.Split(p, "/")
		set[len(parts)] = append(set[len(parts)], parts)
	}
	return set
}

// has reports whether p is one of the paths, in exact case.
func (s pathSet) has(p string) bool {
	parts := strings.Split(p, "/")
	for _, pattern := range s[len(parts)] {
		if matchesParts(parts, pattern) {
			return true
		}
	}
	return false
}

func matchesParts(parts, pattern []string) bool {
	for i, want := range pattern {
		if want != "*" && parts[i] != want || parts[i] == "" && i > 0 {
			return false
		}
	}
	return true
}

// scopeOfWrite returns the scope that a POST, PUT, PATCH or DELETE of a path needs in addition to pay-api, or "".
func scopeOfWrite(p string) string {
	switch {
	case safeWrites.has(p):
		return ""
	case refundWrites.has(p):
		return "refund"
	}
	return "transfer"
}
