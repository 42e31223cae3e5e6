package sms_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/sms"
)

// The example of Tencent Cloud's page on the signature v3, which calls DescribeInstances of CVM at 1551113065. Its keys end in
// asterisks on the page too. Earlier editions of the page signed two headers.
//
// https://cloud.tencent.com/document/api/362/4208
func TestSignaturesAreThoseOfTencentCloudsPage(t *testing.T) {
	const (
		id, key = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******", "Gu5t9xGARNpq86cd98joQYCN3*******"
		body    = `{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`
	)
	two := []string{"content-type", "application/json; charset=utf-8", "host", "cvm.tencentcloudapi.com"}
	for _, c := range []struct {
		headers                                   []string
		signedHeaders, hashOfCanonical, signature string
	}{
		{
			append(two, "x-tc-action", "DescribeInstances"), "content-type;host;x-tc-action",
			"7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84",
			"be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3",
		}, {
			two, "content-type;host",
			"5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031",
			"2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c",
		},
	} {
		authorization, canonical := sms.Authorize(id, key, "cvm", time.Unix(1551113065, 0), []byte(body), c.headers...)
		require.True(t, strings.HasSuffix(canonical, "\n35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064"))
		require.Equal(t, c.hashOfCanonical, fmt.Sprintf("%x", sha256.Sum256([]byte(canonical))))
		require.Equal(t, "TC3-HMAC-SHA256 Credential="+id+"/2019-02-25/cvm/tc3_request, SignedHeaders="+c.signedHeaders+
			", Signature="+c.signature, authorization)
	}
}

func TestTheDateOfTheScopeIsInUTC(t *testing.T) {
	beijing := time.FixedZone("CST", 8*3600)
	authorization, _ := sms.Authorize("id", "key", "sms", time.Date(2026, 11, 28, 7, 59, 59, 0, beijing), nil, "host", "h")
	require.Contains(t, authorization, "Credential=id/2026-11-27/sms/tc3_request,")
}
