package paytest

import (
	"crypto/rand"
	"encoding/hex"
	"regexp"
	"strings"
)

// digits returns n digits, made of those in text.
func digits(text string, n int) string {
	var b strings.Builder
	for _, r := range text {
		if r >= '0' && r <= '9' {
			b.WriteRune(r)
		}
	}
	found := b.String()
	if len(found) > n {
		return found[len(found)-n:]
	}
	return strings.Repeat("0", n-len(found)) + found
}

func randomDigits(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i, v := range b {
		b[i] = '0' + v%10
	}
	return string(b)
}

// randomHex returns n hex digits, in capitals.
func randomHex(n int) string {
	b := make([]byte, (n+1)/2)
	_, _ = rand.Read(b) // never fails
	return strings.ToUpper(hex.EncodeToString(b)[:n])
}

var (
	tradeNo  = regexp.MustCompile(`^[0-9A-Za-z_\-|*@]{6,32}$`)
	refundNo = regexp.MustCompile(`^[0-9A-Za-z_\-|*@]{1,64}$`)
)
