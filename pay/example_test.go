package pay_test

import (
	"errors"
	"fmt"

	"github.com/wetoken/wetoken/pay"
)

// An invalid order is refused before WeChat is asked.
func ExampleOrder_Check() {
	err := pay.Order{Trade: pay.JSAPI, OutTradeNo: "order-1", Fen: 1200, Description: "socks"}.Check()
	fmt.Println(err)
	var wrong *pay.FieldError
	fmt.Println(errors.As(err, &wrong), wrong.Field)
	// Output:
	// pay: Order.OpenID is empty: an order of trade jsapi needs that of the payer
	// true Order.OpenID
}

// Codes of both versions have the same causes.
func ExampleCauseOf() {
	for _, code := range []string{"ORDER_PAID", "ORDERPAID"} {
		cause := pay.CauseOf(code, "该订单已支付")
		fmt.Println(cause == pay.ErrPaid, cause.Status())
	}
	// Output:
	// true 409
	// true 409
}
