package gateway_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// signedXML returns a message of APIv2 that is signed with a key, by HMAC-SHA256 or MD5. A sign of the fields stays.
func signedXML(fields map[string]string, by, key string) string {
	fields = maps.Clone(fields)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		list = append(list, name+"="+fields[name])
	}
	text := []byte(strings.Join(append(list, "key="+key), "&"))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(text)
	if fields["sign"] == "" {
		fields["sign"] = fmt.Sprintf("%X", mac.Sum(nil))
		if by == "MD5" {
			fields["sign"] = fmt.Sprintf("%X", md5.Sum(text))
		}
	}
	var b strings.Builder
	b.WriteString("<xml>")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "<%s><![CDATA[%s]]></%s>", name, fields[name], name)
	}
	b.WriteString("</xml>")
	return b.String()
}

// notify posts a body to the notify URL of the app shop as WeChat does.
func (d *till) notify(t *testing.T, body io.Reader) (status int, kind, reply string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", d.public+"/app/shop/pay/notify", body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", "text/xml")
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(raw)
}

func TestHostileNotificationsOfAPIv2AreNotAcknowledged(t *testing.T) {
	for name, version := range map[string]string{"a merchant of APIv2": "", "a merchant that moves": "v2"} {
		t.Run(name, func(t *testing.T) {
			d := openTillV2(t, version)
			d.place(t, payKey, "shop", "order-1")
			key := d.config.Merchants["m1"].V2.APIKey
			paid := func(changes ...string) map[string]string {
				m := map[string]string{
					"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": shopID, "mch_id": mchID, "nonce_str": "n", "openid": "o1", "is_subscribe": "N", "trade_type": "NATIVE",
					"bank_type": "OTHERS", "total_fee": "100", "cash_fee": "100", "fee_type": "CNY", "transaction_id": "4200000000202401010000000001", "out_trade_no": "order-1",
					"time_end": time.Now().In(time.FixedZone("", 8*3600)).Format("20060102150405"), "sign_type": "HMAC-SHA256",
				}
				for i := 0; i < len(changes); i += 2 {
					m[changes[i]] = changes[i+1]
				}
				return m
			}
			good := signedXML(paid(), "HMAC-SHA256", key)
			replace := func(old, new string) string {
				require.Contains(t, good, old)
				return strings.Replace(good, old, new, 1)
			}
			const fee = "<total_fee><![CDATA[100]]></total_fee>"
			laughs := `<!DOCTYPE xml [<!ENTITY a0 "ha">`
			for i := range 30 {
				laughs += fmt.Sprintf(`<!ENTITY a%d "&a%d;&a%d;">`, i+1, i, i)
			}
			for name, c := range map[string]struct {
				body   string
				status int
			}{
				"XXE":                      {`<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + replace("<![CDATA[order-1]]>", "&e;"), http.StatusForbidden},
				"XXE to a host":            {`<!DOCTYPE xml SYSTEM "` + d.backend.URL + `/x.dtd">` + good, http.StatusForbidden},
				"a parameter entity":       {`<!DOCTYPE xml [<!ENTITY % e SYSTEM "` + d.backend.URL + `/x.dtd">%e;]>` + good, http.StatusForbidden},
				"a billion laughs":         {laughs + "]>" + replace("<![CDATA[order-1]]>", "&a30;"), http.StatusForbidden},
				"an unknown entity":        {replace("<![CDATA[order-1]]>", "order&x;1"), http.StatusForbidden},
				"forged":                   {signedXML(paid(), "HMAC-SHA256", strings.Repeat("k", 32)), http.StatusUnauthorized},
				"with the app's secret":    {signedXML(paid(), "HMAC-SHA256", secret), http.StatusUnauthorized},
				"without a key":            {signedXML(paid(), "HMAC-SHA256", ""), http.StatusUnauthorized},
				"unsigned":                 {strings.Replace(signedXML(paid("sign", "X"), "", ""), "<sign><![CDATA[X]]></sign>", "", 1), http.StatusUnauthorized},
				"an empty sign":            {replace(good[strings.Index(good, "<sign>"):strings.Index(good, "</sign>")], "<sign>"), http.StatusUnauthorized},
				"changed":                  {replace(fee, "<total_fee>1</total_fee>"), http.StatusUnauthorized},
				"for another order":        {replace("order-1", "order-2"), http.StatusUnauthorized},
				"truncated":                {good[:len(good)-20], http.StatusForbidden},
				"cut in the middle":        {good[:len(good)/2], http.StatusForbidden},
				"followed by another":      {good + good, http.StatusForbidden},
				"duplicated":               {replace(fee, fee+fee), http.StatusForbidden},
				"duplicated and different": {replace(fee, fee+"<total_fee>1</total_fee>"), http.StatusForbidden},
				"duplicated in other case": {replace(fee, fee+"<TOTAL_FEE>1</TOTAL_FEE>"), http.StatusUnauthorized},
				"nested":                   {replace(fee, "<total_fee><a>100</a></total_fee>"), http.StatusForbidden},
				"nested twice":             {"<xml>" + good + "</xml>", http.StatusForbidden},
				"deep":                     {strings.Repeat("<a>", 30000), http.StatusForbidden},
				"many fields":              {"<xml>" + strings.Repeat("<a/>", 30000) + "</xml>", http.StatusForbidden},
				"a comment":                {replace(fee, "<total_fee>100<!-- 1 --></total_fee>"), http.StatusForbidden},
				"another root":             {strings.ReplaceAll(good, "xml>", "root>"), http.StatusForbidden},
				"an amount too low":        {signedXML(paid("total_fee", "1", "cash_fee", "1"), "HMAC-SHA256", key), http.StatusForbidden},
				"an amount too high":       {signedXML(paid("total_fee", "101"), "HMAC-SHA256", key), http.StatusForbidden},
				"no amount":                {signedXML(paid("total_fee", "0"), "HMAC-SHA256", key), http.StatusForbidden},
				"a negative amount":        {signedXML(paid("total_fee", "-100"), "HMAC-SHA256", key), http.StatusForbidden},
				"an amount in yuan":        {signedXML(paid("total_fee", "1.00"), "HMAC-SHA256", key), http.StatusForbidden},
				"downgraded":               {signedXML(paid("sign_type", "MD5"), "MD5", key), http.StatusUnauthorized},
				"downgraded in silence":    {signedXML(paid(), "MD5", key), http.StatusUnauthorized},
				"an unknown sign_type":     {signedXML(paid("sign_type", "NONE", "sign", "NONE"), "", key), http.StatusUnauthorized},
				"for another merchant":     {signedXML(paid("mch_id", "1900007292"), "HMAC-SHA256", key), 0},
				"for another app":          {signedXML(paid("appid", "wxeeeeeeeeeeeeeeee"), "HMAC-SHA256", key), http.StatusForbidden},
				"a refund":                 {"<xml><return_code>SUCCESS</return_code><appid>" + shopID + "</appid><mch_id>" + mchID + "</mch_id><nonce_str>n</nonce_str><req_info>" + strings.Repeat("A", 64) + "</req_info></xml>", http.StatusForbidden},
				"too long":                 {"<xml>" + strings.Repeat(" ", 300<<10) + "</xml>", http.StatusRequestEntityTooLarge},
				"JSON":                     {`{"id":"1","event_type":"TRANSACTION.SUCCESS"}`, 0},
				"nothing":                  {"", 0},
				"bytes":                    {"<\x00\xff\xfe", http.StatusForbidden},
			} {
				status, kind, reply := d.notify(t, strings.NewReader(c.body))
				if c.status != 0 {
					require.Equal(t, c.status, status, "%s: %s", name, reply)
				}
				require.True(t, status >= 400 && status < 500, "%s: %d %s", name, status, reply)
				require.NotContains(t, reply, "SUCCESS", name)
				require.NotContains(t, reply, key, name)
				require.True(t, strings.Contains(kind, "text/xml") && strings.Contains(reply, "<return_code><![CDATA[FAIL]]></return_code>") ||
					strings.Contains(kind, "application/json") && strings.Contains(reply, `"FAIL"`), "%s: %s %s", name, kind, reply)
			}
			require.Empty(t, d.backend.got())
			status, got := d.call(t, payKey, "GET /app/shop/pay/orders/order-1", "")
			require.Equal(t, http.StatusOK, status, got)
			require.Equal(t, "NOTPAY", got["state"])
			status, got = d.call(t, payKey, "GET /app/shop/pay/refused", "")
			require.Equal(t, http.StatusOK, status, got)
			require.NotEmpty(t, got["refused"], "a wrong amount that WeChat has signed needs a person")

			id, err := d.pay.Pay(mchID, "order-1", "")
			require.NoError(t, err)
			reports, _ := d.waitReports(t, 1)
			require.Equal(t, id, reports[0]["transaction_id"])
			require.Eventually(t, func() bool {
				list := d.pay.Deliveries()
				return len(list) > 0 && list[len(list)-1].Status == http.StatusOK
			}, 10*time.Second, 10*time.Millisecond, "the true one is acknowledged")
			require.NotContains(t, d.log.text(), key)
		})
	}
}
