package jssdk

import (
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Sign returns the signature of wx.config and wx.agentConfig, for programs with a ticket of their own. timestamp is in
// seconds. page is the whole address that the browser shows; the part from # on is ignored. Sign does not check its
// arguments.
func Sign(ticket, nonce string, timestamp int64, page string) string {
	page, _, _ = strings.Cut(page, "#")
	var space [512]byte
	b := append(space[:0], "jsapi_ticket="...)
	b = append(b, ticket...)
	b = append(b, "&noncestr="...)
	b = append(b, nonce...)
	b = append(b, "&timestamp="...)
	b = strconv.AppendInt(b, timestamp, 10)
	b = append(b, "&url="...)
	b = append(b, page...)
	return hexSHA1(b)
}

// SignCard returns the signature of a card (卡券) over values: the wx_card ticket and the values of the call, in any
// order. Empty values make no difference. [Signer.AddCard] and [Signer.ChooseCard] use it with the right values.
func SignCard(values ...string) string {
	values = slices.Clone(values)
	slices.Sort(values)
	var space [512]byte
	b := space[:0]
	for _, v := range values {
		b = append(b, v...)
	}
	return hexSHA1(b)
}

func hexSHA1(b []byte) string {
	digest := sha1.Sum(b)
	var text [2 * sha1.Size]byte
	hex.Encode(text[:], digest[:])
	return string(text[:])
}
