package compat

import (
	"net/http"
	"strings"

	"github.com/wetoken/wetoken/gateway"
)

// payment serves the routes of windsome/wechat-payment.
type payment struct{ guard }

func newPayment(g *gateway.Gateway, c gateway.Compat) *payment {
	return &payment{guard{g, c.IsOpen(gateway.CompatPayment)}}
}

const paymentPrefix = "/apis/v1/wepay/"

func isPaymentPath(path string) bool { return strings.HasPrefix(path, paymentPrefix) }

// private serves orders, refunds and the sandbox's key.
func (s *payment) private() http.Handler {
	m := http.NewServeMux()
	return paths{m, isPaymentPath}
}

// public serves WeChat's notifications.
func (s *payment) public() http.Handler {
	m := http.NewServeMux()
	return paths{m, isPaymentPath}
}
