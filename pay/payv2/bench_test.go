package payv2_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/bench"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv2"
)

// times does something n times, which must succeed.
func times(b *testing.B, do func() bool) func(n int) {
	return func(n int) {
		for range n {
			if !do() {
				b.Error("it failed")
				return
			}
		}
	}
}

func benchMerchant(t testing.TB) *payv2.Merchant {
	c := config()
	c.SignType = payv2.MD5
	return newMerchant(t, c)
}

func benchOrder() pay.Order {
	o := order(pay.JSAPI)
	o.Description, o.Attach = "Image形象店-深圳腾大-QQ公仔", "支付测试"
	return o
}

// BenchmarkOrder compares the body of an order with writing the same fields and one MD5, by hand.
func BenchmarkOrder(b *testing.B) {
	m, o := benchMerchant(b), benchOrder()
	body, err := payv2.EncodeOrder(m, o)
	require.NoError(b, err)
	in, err := payv2.Read(string(body), "xml")
	require.NoError(b, err)
	delete(in, "sign")
	type pair struct{ name, value string }
	var sorted []pair
	for name, value := range in {
		sorted = append(sorted, pair{name, value})
	}
	slices.SortFunc(sorted, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	floor := times(b, func() bool {
		var text, xml bytes.Buffer
		xml.WriteString("<xml>")
		for _, p := range sorted {
			text.WriteString(p.name)
			text.WriteByte('=')
			text.WriteString(p.value)
			text.WriteByte('&')
			xml.WriteByte('<')
			xml.WriteString(p.name)
			xml.WriteString("><![CDATA[")
			xml.WriteString(p.value)
			xml.WriteString("]]></")
			xml.WriteString(p.name)
			xml.WriteByte('>')
		}
		text.WriteString("key=" + apiKey)
		sum := md5.Sum(text.Bytes())
		xml.WriteString("<sign>" + strings.ToUpper(hex.EncodeToString(sum[:])) + "</sign></xml>")
		return xml.Len() > 0
	})
	bench.Ratio(b, 1, floor, times(b, func() bool {
		_, err := payv2.EncodeOrder(m, o)
		return err == nil
	}))
}

// BenchmarkNotification compares Parse with a scan for the fields by hand, a sort and one MD5.
func BenchmarkNotification(b *testing.B) {
	m := benchMerchant(b)
	body := usualNotification()
	require.True(b, scan(body))
	bench.Ratio(b, 1, times(b, func() bool { return scan(body) }), times(b, func() bool {
		n, err := m.Parse(context.Background(), nil, body)
		return err == nil && n.Transaction.MchID == mchID
	}))
}

// usualNotification returns one with a plain attach, and without fields that are not documented.
func usualNotification() []byte {
	p := paid("order-1")
	p["attach"] = "支付测试"
	return signed(p, payv2.MD5, apiKey)
}

// scan verifies a document that is known to be well-formed.
func scan(body []byte) bool {
	type pair struct{ name, value string }
	text := strings.TrimSuffix(strings.TrimPrefix(string(body), "<xml>"), "</xml>")
	pairs := make([]pair, 0, 32)
	sign := ""
	for text != "" {
		end := strings.IndexByte(text, '>')
		name := text[1:end]
		value, rest, ok := strings.Cut(text[end+1:], "</"+name+">")
		if !ok {
			return false
		}
		text = rest
		value = strings.TrimSuffix(strings.TrimPrefix(value, "<![CDATA["), "]]>")
		if name == "sign" {
			sign = value
			continue
		}
		pairs = append(pairs, pair{name, value})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	for _, p := range pairs {
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(p.value)
		b.WriteByte('&')
	}
	b.WriteString("key=" + apiKey)
	sum := md5.Sum(b.Bytes())
	return strings.ToUpper(hex.EncodeToString(sum[:])) == sign
}

// The numbers of allocations are fixed; the benchmarks above report times.
func TestCallsAndNotificationsTakeFewAllocations(t *testing.T) {
	m, o := benchMerchant(t), benchOrder()
	allocations := testing.AllocsPerRun(100, func() { _, _ = payv2.EncodeOrder(m, o) })
	t.Log("an order:", allocations)
	body := usualNotification()
	of := testing.AllocsPerRun(100, func() { _, _ = m.Parse(context.Background(), nil, body) })
	t.Log("a notification:", of)
	require.LessOrEqual(t, of, 12.0)
	require.LessOrEqual(t, allocations, 5.0)
}
