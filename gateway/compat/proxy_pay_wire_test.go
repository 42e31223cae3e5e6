package compat_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

// readFlat returns the fields of a flat XML document, with its root as the field "".
func readFlat(document []byte) map[string]string {
	fields, name := make(map[string]string), ""
	for x := xml.NewDecoder(bytes.NewReader(document)); ; {
		token, err := x.Token()
		if err != nil {
			return fields
		}
		switch token := token.(type) {
		case xml.StartElement:
			if name = token.Name.Local; len(fields) == 0 {
				fields[""], name = name, "-"
			}
		case xml.CharData:
			fields[name] += string(token)
		case xml.EndElement:
			name = "-"
		}
	}
}

// placeElsewhere places an order of the old merchant with another program, as the old system did, to be notified at an address.
func (d *cashDesk) placeElsewhere(notifyURL, no string) {
	d.t.Helper()
	m, err := payv2.New(payv2.Config{
		AppID: shopID, MchID: oldMchID, APIKey: d.options.Config.Merchants["old"].V2.APIKey, SignType: payv2.MD5, NotifyURL: notifyURL, HTTP: d.pay.Client(),
	})
	require.NoError(d.t, err)
	_, err = m.Prepay(d.t.Context(), pay.Order{Trade: pay.Native, OutTradeNo: no, Fen: 100, Description: "socks"})
	require.NoError(d.t, err)
}

// note returns a handler that passes on what it gets.
func note(to chan told) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got := told{path: r.URL.RequestURI(), header: r.Header.Clone(), raw: raw}
		_ = json.Unmarshal(raw, &got.body)
		to <- got
	}
}
