package jssdk

import (
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Sign is the signature of wx.config and wx.agentConfig, for those who have a ticket of their own. timestamp is in
// seconds; page is the whole address as the browser has it, of which what follows # is left out. It checks nothing.
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
	return sum(b)
}

// SignCard is the signature over a card (卡券): the ticket of kind wx_card and the values that the call takes, in any
// order, empty ones left out. [Signer.AddCard] and [Signer.ChooseCard] know which values those are.
func SignCard(values ...string) string {
	values = slices.Clone(values)
	slices.Sort(values)
	var space [512]byte
	b := space[:0]
	for _, v := range values {
		b = append(b, v...)
	}
	return sum(b)
}

func sum(b []byte) string {
	digest := sha1.Sum(b)
	var text [2 * sha1.Size]byte
	hex.Encode(text[:], digest[:])
	return string(text[:])
}
