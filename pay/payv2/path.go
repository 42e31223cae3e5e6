package payv2

import "strings"

const (
	payoutPath     = "/mmpaymkttransfers/"
	transfersPath  = "/mmpaymkttransfers/promotion/transfers"
	fundFlowPath   = "/pay/downloadfundflow"
	billPath       = "/pay/downloadbill"
	orderQueryPath = "/pay/orderquery"
)

// isPayout reports whether a path sends money to users (红包, 企业付款). Such calls have no sign_type, and their answers no
// signature.
func isPayout(path string) bool { return strings.HasPrefix(path, payoutPath) }

// isUnsigned reports whether WeChat does not sign the answers of a path.
func isUnsigned(path string) bool { return isPayout(path) || strings.HasSuffix(path, "/getsignkey") }

// needsCertificate reports whether WeChat wants our certificate on a path.
func needsCertificate(path string) bool {
	for _, prefix := range []string{"/secapi/", payoutPath, "/mmpaysptrans/", fundFlowPath, "/billcommentsp/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// isQuery reports whether a path changes nothing.
func isQuery(path string) bool {
	last := path[strings.LastIndexByte(path, '/')+1:]
	for _, prefix := range []string{"query", "get", "download", "batchquery"} {
		if strings.HasPrefix(last, prefix) {
			return true
		}
	}
	return strings.HasSuffix(last, "query")
}

// numbers are the fields that hold our own numbers, the most specific last.
var numbers = []string{"out_trade_no", "out_order_no", "out_request_no", "out_return_no", "out_refund_no", "partner_trade_no", "mch_billno"}

// numberIn returns our number that a call names, such as "out_trade_no order-1", or "".
func numberIn(fields message) (number string) {
	most := -1
	for i := range fields {
		for rank := most + 1; rank < len(numbers); rank++ {
			if fields[i].name == numbers[rank] {
				number, most = numbers[rank]+" "+printable(fields[i].value, 64), rank
			}
		}
	}
	return number
}
