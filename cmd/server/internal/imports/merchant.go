package imports

import (
	"net/netip"
	"strings"

	"github.com/wetoken/wetoken/gateway"
)

// signMD5 is the type of signature of all old systems. WeChat signs the notifications of their orders so.
const signMD5 = "MD5"

// newMerchant returns the merchant of an app, or nil and a note if it cannot be used.
func newMerchant(from, appID, mchID, subMchID, subAppID, apiKey string) (m *Merchant, note string) {
	switch {
	case mchID == "" && apiKey == "":
		return nil, ""
	case mchID == "":
		return nil, "its pay key is left out, since it has no mch_id"
	case apiKey == "":
		return nil, "its mch_id is left out, since it has no key"
	}
	name := mchID
	if subMchID != "" {
		name += "-" + subMchID
	} else {
		subAppID = ""
	}
	return &Merchant{
		From: from, Name: name, AppID: appID,
		Settings: gateway.Merchant{MchID: mchID, SubMchID: subMchID, SubAppID: subAppID, V2: &gateway.APIv2{APIKey: apiKey, SignType: signMD5}},
	}, ""
}

// setServerIP sets the address that orders name. Rows of one merchant may have several: the first is used.
func (m *Merchant) setServerIP(text string, earlier []Merchant) (notes []string) {
	text = strings.TrimSpace(text)
	if _, err := netip.ParseAddr(text); text != "" && err != nil {
		text, notes = "", []string{"its server_ip is left out, since it is no IP address"}
	}
	for i := range earlier {
		used := &earlier[i].Settings.ServerIP
		switch {
		case earlier[i].Name != m.Name:
			continue
		case *used == "":
			*used = text
		case text != "" && text != *used:
			notes = []string{"its server_ip is left out: the merchant has that of another app"}
		}
		text = *used
	}
	m.Settings.ServerIP = text
	return notes
}
