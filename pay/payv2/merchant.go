package payv2

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/wetoken/wetoken/pay"
)

// Merchant is a [pay.Merchant] over APIv2. It is safe for concurrent use, needs no goroutine and is never closed.
type Merchant struct {
	wire      *wire
	appID     string
	appIDs    []string // appID among them
	notifyURL string
	serverIP  string
	sub       sub
	invalid   *pay.FieldError // the reason why a shop makes no call

	redacted
}

var _ pay.Merchant = (*Merchant)(nil)

// sub is the shop of a service provider. Its zero value is none.
type sub struct{ mchID, appID string }

// Sub returns the Merchant of a shop (特约商户, sub_mch_id) of this service provider (服务商). All of its calls name the shop.
// appID is the shop's own (sub_appid), and may be empty. The shop shares keys and the certificate with m. If mchID is not a
// merchant number all calls return a *[pay.FieldError], and Parse returns pay.ErrMerchant.
func (m *Merchant) Sub(mchID, appID string) *Merchant {
	shop := *m
	shop.sub, shop.invalid = sub{mchID, appID}, nil
	if !isMchID(mchID) {
		shop.invalid = &pay.FieldError{Field: "sub_mch_id", Reason: fmt.Sprintf("is %.40q: want the digits of the shop's merchant number (特约商户号)", mchID)}
	}
	return &shop
}

func isMchID(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// do sends r and returns the fields of its answer. A refusal may have fields too.
func (m *Merchant) do(ctx context.Context, r *request) (message, error) {
	if m.invalid != nil {
		return nil, m.invalid
	}
	return m.wire.do(ctx, r)
}

// Name returns v2/ and the merchant number, with that of the shop behind it.
func (m *Merchant) Name() string {
	if m.sub.mchID != "" {
		return "v2/" + m.wire.mchID + "/" + m.sub.mchID
	}
	return "v2/" + m.wire.mchID
}

// ours reports whether appID is one of those that were configured.
func (m *Merchant) ours(appID string) bool { return slices.Contains(m.appIDs, appID) }

// wire is the part of a Merchant that its shops share.
type wire struct {
	mchID        string
	keys         []string // the first one signs; all verify and decrypt
	signType     SignType
	sandbox      Sandbox
	sandboxKey   atomic.Pointer[string] // nil until it is downloaded
	base, backup string
	http         *http.Client
	certified    *http.Client // presents the certificate; nil without one
	rand         io.Reader
	queryRefund  func(context.Context, string) (pay.Refund, error)

	redacted
}
