package compat

import (
	"cmp"
	"net/netip"
	"strings"

	"github.com/wetoken/wetoken/internal/peer"
	"github.com/wetoken/wetoken/pay"
)

// The most characters of the texts of an order. The old system cut longer ones.
const (
	maxDescription = 127
	maxDetail      = 600
	maxAttach      = 127
)

// order places an order of trade JSAPI, also that of a mini program, or APP. It returns the arguments with which the program of the payer
// starts the payment.
func (s *payment) order(in paymentRequest) (map[string]string, error) {
	id := in.text("id")
	if id == "" {
		return nil, errParameter("id is missing")
	}
	fen, err := parseFen("fee", in.text("fee"))
	if err != nil {
		return nil, err
	}
	o := pay.Order{
		Trade: trades[strings.ToUpper(cmp.Or(in.text("trade_type"), "JSAPI"))], OutTradeNo: id, Fen: fen, Description: cut(in.text("body"), maxDescription),
		Attach: cut(in.text("attach"), maxAttach),
	}
	if o.ClientIP, err = in.address(); err != nil {
		return nil, err
	}
	if o.Trade != pay.JSAPI && o.Trade != pay.APP {
		return nil, errFailed("trade_type: want JSAPI or APP")
	}
	var missing []string
	if o.Description == "" {
		missing = append(missing, "body")
	}
	if o.Trade == pay.JSAPI {
		if o.OpenID = in.text("openid"); o.OpenID == "" {
			missing = append(missing, "openid")
		}
	}
	if len(missing) > 0 {
		return nil, errMissing(missing)
	}
	if detail := in.text("detail"); detail != "" && strings.HasPrefix(in.app.Merchant(), "v2/") { // APIv3 has it in another form
		o.Extra = map[string]any{"detail": cut(detail, maxDetail)}
	}
	p, err := in.app.Prepay(in.Context(), in.caller, o)
	if err != nil {
		return nil, err
	}
	result := make(map[string]string, len(p.Params)+1)
	for name, value := range p.Params {
		result[name] = value
	}
	if at := result["timeStamp"]; at != "" {
		result["timestamp"] = at // which is not signed
	}
	return result, nil
}

// address returns the address of the payer: the parameter ip, or that of the caller.
func (in paymentRequest) address() (string, error) {
	ip := peer.Parse(in.RemoteAddr)
	if given := in.text("ip"); given != "" {
		var err error
		if ip, err = netip.ParseAddr(given); err != nil {
			return "", errFailed("ip: is no IP address")
		}
	}
	if !ip.IsValid() {
		return "", nil
	}
	return ip.Unmap().WithZone("").String(), nil
}

// cut returns the first characters of a text.
func cut(text string, most int) string {
	if all := []rune(text); len(all) > most {
		return string(all[:most])
	}
	return text
}
