package paytest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const nowhere = "/v3/pay/transactions/out-trade-no/nothing?mchid=" + mchID

func replace(from, to string) func(string) string {
	return func(v string) string { return strings.Replace(v, from, to, 1) }
}

func TestARefusedSignatureShowsTheMessageToBeSigned(t *testing.T) {
	c := shop(t, newServer(t))
	body := `{"appid":"wx1"}`
	r, err := c.send("POST", "/v3/pay/transactions/jsapi?a=%7c", "application/json", body, body+" ")
	require.NoError(t, err)
	require.Equal(t, 401, r.status)
	require.Equal(t, "SIGN_ERROR", r.text("code"))
	require.Equal(t, "签名错误，请检查后再试", r.text("message"))
	detail := r.fields["detail"].(object)
	require.Equal(t, object{"issue": "sign not match"}, detail["detail"])
	require.Equal(t, "authorization", detail["location"])
	require.Equal(t, "signature", detail["field"])
	info := detail["sign_information"].(object)
	require.Equal(t, "POST", info["method"])
	require.Equal(t, "/v3/pay/transactions/jsapi?a=%7c", info["url"])
	message := info["truncated_sign_message"].(string)
	require.Regexp(t, `^POST\n/v3/pay/transactions/jsapi\?a=%7c\n\d+\n\w{16}\n\{"appid"\n$`, message)
	require.EqualValues(t, len(message)+len(body)-8, info["sign_message_length"])
	require.Empty(t, r.header.Get("Wechatpay-Signature"))
}

func TestASignatureIsTakenAsWeChatTakesIt(t *testing.T) {
	s := newServer(t)
	for name, change := range map[string]func(c *client){
		"as documented":           func(*client) {},
		"a serial in lower case":  func(c *client) { c.m.SerialNo = strings.ToLower(c.m.SerialNo) },
		"another order of values": func(c *client) { c.tamper = reorder },
		"almost 5 minutes late":   func(c *client) { c.now = func() time.Time { return time.Now().Add(-4*time.Minute - 50*time.Second) } },
		"almost 5 minutes early":  func(c *client) { c.now = func() time.Time { return time.Now().Add(4*time.Minute + 50*time.Second) } },
		"a list of types":         func(c *client) { c.header = object2("Accept", "application/json, text/plain, application/x-gzip") },
		"any type":                func(c *client) { c.header = object2("Accept", "*/*") },
		"a weighted type":         func(c *client) { c.header = object2("Accept", "text/html;q=0.5, application/json;q=0.9") },
	} {
		t.Run(name, func(t *testing.T) {
			c := shop(t, s)
			change(c)
			c.t = t
			c.refused(404, "ORDER_NOT_EXIST", "GET", nowhere, nil)
		})
	}
}

func object2(name, value string) map[string]string { return map[string]string{name: value} }

func reorder(v string) string {
	kind, rest, _ := strings.Cut(v, " ")
	parts := strings.Split(rest, ",")
	return kind + " " + strings.Join([]string{parts[4], parts[1], parts[3], parts[0], parts[2]}, ",")
}

func TestARefusedAuthorizationNamesItsCause(t *testing.T) {
	const (
		malformed = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
		failed    = "签名信息错误，验签失败"
		serial    = "商户证书序列号有误。请使用签名私钥匹配的证书序列号"
		clock     = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
	)
	s := newServer(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	other := newClient(t, s, paytest.Merchant{MchID: "1900000009", Key: key})
	for name, test := range map[string]struct {
		orders, others string
		change         func(c *client)
	}{
		"none":            {failed, malformed, func(c *client) { c.header = object2("Authorization", "") }},
		"another scheme":  {"HTTP头Authorization认证类型不正确", "", func(c *client) { c.tamper = replace("RSA2048", "RSA") }},
		"no quotes":       {failed, malformed, func(c *client) { c.tamper = replace(`"`+mchID+`"`, mchID) }},
		"blanks":          {failed, malformed, func(c *client) { c.tamper = func(v string) string { return strings.ReplaceAll(v, ",", ", ") } }},
		"no nonce":        {failed, malformed, func(c *client) { c.tamper = replace("nonce_str", "nonce") }},
		"a value twice":   {failed, malformed, func(c *client) { c.tamper = func(v string) string { return v + `,mchid="1"` } }},
		"a time in words": {failed, malformed, func(c *client) { c.tamper = replace(`timestamp="`, `timestamp="a`) }},
		"a long nonce":    {failed, malformed, func(c *client) { c.tamper = replace(`nonce_str="`, `nonce_str="`+strings.Repeat("a", 17)) }},
		"too late":        {clock, "", func(c *client) { c.now = func() time.Time { return time.Now().Add(-6 * time.Minute) } }},
		"too early":       {clock, "", func(c *client) { c.now = func() time.Time { return time.Now().Add(6 * time.Minute) } }},
		"late, wrong serial": {clock, "", func(c *client) {
			c.m.SerialNo = "00"
			c.now = func() time.Time { return time.Now().Add(-6 * time.Minute) }
		}},
		"another's serial":  {serial, "", func(c *client) { c.m.SerialNo = other.m.SerialNo }},
		"an unknown mchid":  {serial, "", func(c *client) { c.tamper = replace(mchID, "1900009999") }},
		"another's mchid":   {serial, "", func(c *client) { c.tamper = replace(mchID, "1900000009") }},
		"another's key":     {"签名错误，请检查后再试", "", func(c *client) { c.m.Key = other.m.Key }},
		"not base64":        {"签名错误，请检查后再试", "", func(c *client) { c.tamper = replace(`signature="`, `signature="*`) }},
		"not of this query": {"签名错误，请检查后再试", "", func(c *client) { c.tamper = resigned(c) }},
	} {
		t.Run(name, func(t *testing.T) {
			for uri, want := range map[string]string{nowhere: test.orders, "/v3/refund/domestic/refunds/nothing": test.others} {
				if want == "" {
					want = test.orders
				}
				c := shop(t, s)
				c.t = t
				test.change(c)
				require.Equal(t, want, c.refused(401, "SIGN_ERROR", "GET", uri, nil).text("message"))
			}
		})
	}
}

// resigned signs another address than the one that is called.
func resigned(c *client) func(string) string {
	return func(v string) string {
		stamp, nonce := fmt.Sprint(time.Now().Unix()), "n"
		head, _, _ := strings.Cut(v, "nonce_str")
		return head + fmt.Sprintf(`nonce_str="%s",timestamp="%s",serial_no="%s",signature="%s"`, nonce, stamp, c.m.SerialNo, signature(c.t, c.m.Key, "GET", "/v3/other", stamp, nonce, ""))
	}
}

func TestAnAPICertificateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := shop(t, newServer(t))
		time.Sleep(time.Until(time.Now().AddDate(5, 0, 0)))
		c.refused(404, "ORDER_NOT_EXIST", "GET", nowhere, nil)
		time.Sleep(time.Second)
		require.Equal(t, "商户证书已过期", c.refused(401, "SIGN_ERROR", "GET", nowhere, nil).text("message"))
	})
}

func TestANonceOfOneCharacterIsEnough(t *testing.T) {
	c := shop(t, newServer(t))
	c.tamper = func(v string) string {
		stamp := fmt.Sprint(time.Now().Unix())
		return fmt.Sprintf(`WECHATPAY2-SHA256-RSA2048 mchid="%s",nonce_str="n",timestamp="%s",serial_no="%s",signature="%s"`, mchID, stamp, c.m.SerialNo, signature(t, c.m.Key, "GET", nowhere, stamp, "n", ""))
	}
	c.refused(404, "ORDER_NOT_EXIST", "GET", nowhere, nil)
}

func TestACallNeedsAcceptAndUserAgent(t *testing.T) {
	for name, header := range map[string]map[string]string{
		"no Accept": object2("Accept", ""), "no User-Agent": object2("User-Agent", ""), "HTML": object2("Accept", "text/html"),
	} {
		t.Run(name, func(t *testing.T) {
			c := shop(t, newServer(t))
			c.header = header
			c.tamper = replace("W", "w") // a missing field is named first
			require.Equal(t, "Http头缺少Accept或User-Agent", c.refused(400, "INVALID_REQUEST", "GET", "/v3/certificates", nil).text("message"))
			c.refused(400, "INVALID_REQUEST", "GET", "/v3/refund/domestic/refunds/nothing", nil)
			c.refused(401, "SIGN_ERROR", "GET", nowhere, nil)
		})
	}
}

func TestAnUnknownPathOrMethodHasAnEmptyAnswer(t *testing.T) {
	c := shop(t, newServer(t))
	for call, status := range map[string]int{
		"GET /v3/nothing": 404, "GET /pay/nothing": 404, "GET /v3/pay/transactions/jsapi": 405, "POST /v3/certificates": 405,
		"POST /v3/pay/transactions/out-trade-no//close": 404, "GET /": 404,
	} {
		method, uri, _ := strings.Cut(call, " ")
		r := c.try(method, uri, nil)
		require.Equal(t, status, r.status, call)
		require.Empty(t, r.body)
	}
}

func TestACallNamesTheMerchantThatSigns(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	newClient(t, s, paytest.Merchant{MchID: "1900000009"})
	r := c.refused(400, "PARAM_ERROR", "POST", "/v3/pay/transactions/jsapi", with(order("order-1", 1), "mchid", "1900000009"))
	require.Equal(t, "http header中的mchid与post payload中的mchid不匹配", r.text("message"))
	c.refused(400, "PARAM_ERROR", "GET", "/v3/pay/transactions/out-trade-no/order-1?mchid=1900000009", nil)
	c.refused(400, "PARAM_ERROR", "GET", "/v3/pay/transactions/out-trade-no/order-1", nil)
	c.refused(400, "PARAM_ERROR", "POST", "/v3/pay/transactions/jsapi", with(order("order-1", 1), "mchid", nil))
}

func TestTheBytesAreSignedAsTheyWereSent(t *testing.T) {
	c := shop(t, newServer(t))
	for _, no := range []string{"a|b*c-1", "a@b_c*1"} {
		c.do("POST", "/v3/pay/transactions/jsapi", order(no, 1))
		for _, path := range []string{strings.ReplaceAll(no, "|", "%7C"), strings.ReplaceAll(no, "|", "%7c"), strings.ReplaceAll(strings.ReplaceAll(no, "|", "%7C"), "*", "%2A")} {
			r := c.do("GET", "/v3/pay/transactions/out-trade-no/"+path+"?mchid="+mchID, nil)
			require.Equal(t, no, r.text("out_trade_no"))
		}
	}
	spaced := ` {"mchid" : "` + mchID + `" }` + "\n"
	r, err := c.send("POST", "/v3/pay/transactions/out-trade-no/a@b_c*1/close", "application/json", spaced, spaced)
	require.NoError(t, err)
	require.Equal(t, 204, r.status)
}

func TestAnAnswerIsSignedUnlessItIsARefusal(t *testing.T) {
	c := shop(t, newServer(t))
	r := c.do("POST", "/v3/pay/transactions/jsapi", order("order-1", 1))
	require.Equal(t, c.m.PublicKeyID, r.header.Get("Wechatpay-Serial"))
	require.Equal(t, "WECHATPAY2-SHA256-RSA2048", r.header.Get("Wechatpay-Signature-Type"))
	require.NotEmpty(t, r.header.Get("Request-Id"))
	require.Error(t, c.verify(r.header, append(r.body, ' ')))
	r = c.do("POST", "/v3/pay/transactions/out-trade-no/order-1/close", object{"mchid": mchID})
	require.Equal(t, 204, r.status)
	_, err := base64.StdEncoding.DecodeString(r.header.Get("Wechatpay-Signature"))
	require.NoError(t, err)
}

func TestABodyHasCharactersOfOneToThreeBytes(t *testing.T) {
	c := shop(t, newServer(t))
	c.do("POST", "/v3/pay/transactions/jsapi", with(order("order-1", 1), "description", "袜子€"))
	c.refused(400, "PARAM_ERROR", "POST", "/v3/pay/transactions/jsapi", with(order("order-2", 1), "description", "💖"))
	for _, body := range []string{"", "[", `"a"`, "\xff", `{"amount":{"total":"1"}}`} {
		r, err := c.send("POST", "/v3/pay/transactions/jsapi", "application/json", body, body)
		require.NoError(t, err)
		require.Equal(t, 400, r.status, body)
		require.Equal(t, "PARAM_ERROR", r.text("code"))
	}
}
