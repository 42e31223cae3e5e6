package gateway

import (
	"net/http"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/internal/answer"
	"github.com/wetoken/wetoken/pay"
)

// privatePart returns the part for our own services.
func (p *appPay) privatePart(a *app) wetoken.Part {
	if p.refused == nil {
		return p.newHandler(a)
	}
	return p.refuse(a, new(pay.Handler), a.guardPay("pay", "refund", "transfer"))
}

// publicPart returns the part for WeChat and browsers.
func (p *appPay) publicPart(a *app) wetoken.Part {
	if p.cashier != nil {
		return p.cashier
	}
	return p.refuse(a, &pay.Cashier{QR: encodeQR}, nil)
}

// refuse returns a part with the routes of another one, that replies 503 to all requests: WeChat sends notifications again. Only
// callers that a guard admits learn the reason.
func (p *appPay) refuse(a *app, part wetoken.Part, guard func(http.Handler) http.Handler) wetoken.Part {
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reason := "payments are not served: try again"
		if guard != nil {
			reason = p.refused.Error()
		}
		answer.Refuse(w, http.StatusServiceUnavailable, reason)
		a.dropRefused()
	})
	if guard != nil {
		h = guard(h)
	}
	routes := make(routeMap)
	for pattern := range part.Routes() {
		routes[pattern] = h
	}
	return routes
}
