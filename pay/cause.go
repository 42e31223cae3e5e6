package pay

import (
	"net/http"
	"strings"
)

// Cause is the reason why a call failed or a notification was refused. It is the same for both versions of the API, and is an
// error for use with errors.Is.
type Cause string

// The causes of calls.
const (
	// ErrUnknown means that the outcome is unknown. Query it, or repeat the same call with the same number, never with a new one.
	ErrUnknown   Cause = "unknown"
	ErrPaid      Cause = "paid"       // the order is paid: query it
	ErrClosed    Cause = "closed"     // the order is closed or reversed: use a new number
	ErrNotFound  Cause = "not_found"  // WeChat does not have it: the same number may be used
	ErrChanged   Cause = "changed"    // the number was used with other values: query and close it, then use a new one
	ErrPaying    Cause = "paying"     // the payer is confirming: wait 5 s and query
	ErrNotEnough Cause = "not_enough" // the balance is too low: top it up, then use the same number
	ErrBusy      Cause = "busy"       // nothing was done: repeat it later with the same number
	ErrSettings  Cause = "settings"   // keys, ids or permissions are wrong: a person must look
	ErrDenied    Cause = "denied"     // the caller is not allowed to do this, or exceeds a limit of its key
)

// The causes of refused notifications.
const (
	ErrProbe      Cause = "probe"      // WeChat's test of our verification, with a wrong signature on purpose; expected
	ErrClock      Cause = "clock"      // the timestamp differs from our clock by 5 minutes or more
	ErrSerial     Cause = "serial"     // signed with a key that this Merchant does not have; errors.Is reports ErrOther too
	ErrSignature  Cause = "signature"  // the signature is missing or wrong
	ErrMerchant   Cause = "merchant"   // valid signature, but its appid, mchid or sub-merchant is not ours
	ErrAmount     Cause = "amount"     // valid signature, but its amount differs from the order
	ErrUnreadable Cause = "unreadable" // cannot be decrypted or decoded; in v3 its signature is valid
	ErrTooLarge   Cause = "too_large"  // more than 256 KiB
	ErrOther      Cause = "other"      // for another Merchant, or for the other API version
)

// causes has the text and the HTTP status of each Cause.
var causes = map[Cause]struct {
	text   string
	status int
}{
	ErrUnknown:    {"outcome unknown", http.StatusServiceUnavailable},
	ErrDenied:     {"not allowed", http.StatusForbidden},
	ErrPaid:       {"order is paid", http.StatusConflict},
	ErrClosed:     {"order is closed", http.StatusConflict},
	ErrNotFound:   {"not found", http.StatusNotFound},
	ErrChanged:    {"number was used with other values", http.StatusConflict},
	ErrPaying:     {"payer is paying", http.StatusConflict},
	ErrNotEnough:  {"balance is too low", http.StatusPaymentRequired},
	ErrBusy:       {"busy", http.StatusTooManyRequests},
	ErrSettings:   {"settings are wrong", http.StatusBadGateway},
	ErrProbe:      {"signature is WeChat's own probe", http.StatusUnauthorized},
	ErrClock:      {"timestamp is 5 minutes or more from our clock", http.StatusUnauthorized},
	ErrSerial:     {"serial is of no key held", http.StatusServiceUnavailable},
	ErrSignature:  {"signature is missing or wrong", http.StatusUnauthorized},
	ErrMerchant:   {"message is for another merchant", http.StatusForbidden},
	ErrAmount:     {"amount is not that of the order", http.StatusForbidden},
	ErrUnreadable: {"message cannot be read", http.StatusForbidden},
	ErrTooLarge:   {"message is larger than 256 KiB", http.StatusRequestEntityTooLarge},
	ErrOther:      {"message is not for this merchant", http.StatusUnauthorized},
}

// Error describes c.
func (c Cause) Error() string {
	if known, ok := causes[c]; ok {
		return "pay: " + known.text
	}
	return "pay: " + string(c)
}

// Status returns the HTTP status of the reply to our caller or to WeChat.
func (c Cause) Status() int {
	if known, ok := causes[c]; ok {
		return known.status
	}
	return http.StatusServiceUnavailable
}

// CauseOf returns the cause of a WeChat code of either API version and its message, or "". It does not consider the HTTP status,
// the method or the path.
func CauseOf(code, message string) Cause {
	for _, t := range texts {
		if strings.Contains(message, t.part) {
			return t.cause
		}
	}
	return codes[code]
}

// texts has parts of messages that decide the cause, before the code.
var texts = []struct {
	part  string
	cause Cause
}{
	{"订单重入", ErrChanged},
	{"商户订单号重复", ErrChanged},
	{"单号已存在但信息不一致", ErrChanged},
	{"请求参数与订单信息不一致", ErrChanged},
	{"与之前请求不一致", ErrChanged},
	{"No Bill Exist", ErrNotFound},
	{"Bill Creating", ErrBusy},
	{"此IP地址不允许调用", ErrSettings},
	{"受理机构必须传入sub_mch", ErrSettings},
}

// codes has the codes of both API versions. Those of v3 contain an underscore, most of v2 do not.
var codes = map[string]Cause{
	"SYSTEM_ERROR": ErrUnknown, "SYSTEMERROR": ErrUnknown, "BANKERROR": ErrUnknown, "BANK_ERROR": ErrUnknown,
	"PROCESSING": ErrUnknown, "SEND_FAILED": ErrUnknown, // of payouts by v2

	"FREQUENCY_LIMITED": ErrBusy, "FREQUENCY_LIMIT_EXCEED": ErrBusy, "RATELIMIT_EXCEEDED": ErrBusy, "RATE_LIMITED": ErrBusy,
	"INVALID_REQ_TOO_MUCH": ErrBusy, "BIZERR_NEED_RETRY": ErrBusy, "SERVICE_UNAVAILABLE": ErrBusy, "STATEMENT_CREATING": ErrBusy, "FREQ_LIMIT": ErrBusy,

	"USER_PAYING": ErrPaying, "USERPAYING": ErrPaying,

	"ORDER_PAID": ErrPaid, "ORDERPAID": ErrPaid,

	"ORDER_CLOSED": ErrClosed, "ORDERCLOSED": ErrClosed, "ORDER_REVERSED": ErrClosed, "ORDERREVERSED": ErrClosed,

	"OUT_TRADE_NO_USED": ErrChanged, "REFUND_FEE_MISMATCH": ErrChanged,

	"ORDER_NOT_EXIST": ErrNotFound, "ORDERNOTEXIST": ErrNotFound, "RESOURCE_NOT_EXISTS": ErrNotFound, "NOT_FOUND": ErrNotFound,
	"REFUNDNOTEXIST": ErrNotFound, "INVALID_TRANSACTIONID": ErrNotFound, "NO_STATEMENT_EXIST": ErrNotFound, "20002": ErrNotFound,

	"NOT_ENOUGH": ErrNotEnough, "NOTENOUGH": ErrNotEnough,

	"SIGN_ERROR": ErrSettings, "SIGNERROR": ErrSettings, "NO_AUTH": ErrSettings, "NOAUTH": ErrSettings,
	"APPID_MCHID_NOT_MATCH": ErrSettings, "MCH_NOT_EXISTS": ErrSettings, "MCHID_NOT_EXIST": ErrSettings, "APPID_NOT_EXIST": ErrSettings,
	"CA_ERROR": ErrSettings,
}
