package paytest_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// Two foreign clients of v2, npm's tenpay and wechatpay-axios-plugin, order, pay, query, close, refund with a client
// certificate, fetch bills, and read the notifications, over TLS. The test needs node, npm, openssl and a registry. Where
// they are missing it is skipped, or fails if WETOKEN_TEST_REQUIRE is 1. The short form leaves it out.
func TestNpmsClientsOfV2PayAndReadNotifications(t *testing.T) {
	testform.NeedFull(t)
	dir := npm(t, "npm-v2", "openssl")
	s := newServer(t)
	s.Transport = nil // over sockets
	server := httptest.NewUnstartedServer(s)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()
	m := s.AddMerchant(paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, Balance: 100_000})
	writeBundle(t, dir, m)
	authority := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(authority, toPEM("CERTIFICATE", server.Certificate().Raw), 0o600))

	in, err := json.Marshal(object{"base": server.URL, "appid": appID, "openid": payer, "merchant": m})
	require.NoError(t, err)
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "interop.js")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(in), &out, &problems
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authority)
	require.NoError(t, cmd.Run(), "%s", &problems)

	var all map[string]map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &all))
	for name, kind := range map[string]string{"MD5": "MD5", "HMAC": "HMAC-SHA256"} {
		sawTenpay(t, all[name], kind)
	}
	sawMore(t, all["more"])
	sawPlugin(t, all["plugin"])
}

// writeBundle writes the merchant's certificate and key as apiclient_cert.p12, whose password is the mchid.
func writeBundle(t *testing.T, dir string, m *paytest.Merchant) {
	require.NoError(t, os.WriteFile(filepath.Join(dir, "apiclient.pem"), []byte(m.PrivateKey+m.Certificate), 0o600))
	cmd := exec.CommandContext(t.Context(), "openssl", "pkcs12", "-export", "-in", "apiclient.pem", "-out", "apiclient_cert.p12", "-passout", "pass:"+m.MchID)
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
}

// within returns an object of what a client saw.
func within(t *testing.T, seen map[string]any, name string) object {
	t.Helper()
	v, ok := seen[name].(object)
	require.True(t, ok, "%s: %v", name, seen[name])
	return v
}

func sawTenpay(t *testing.T, seen map[string]any, kind string) {
	require.Equal(t, kind, within(t, seen, "params")["signType"])
	require.Equal(t, "paid", within(t, seen, "sheet")["state"])
	require.Equal(t, "100", within(t, seen, "paid")["total_fee"])
	require.Equal(t, "SUCCESS", within(t, seen, "query")["trade_state"])
	require.Equal(t, within(t, seen, "paid")["transaction_id"], within(t, seen, "query")["transaction_id"])
	require.Regexp(t, `^weixin://wxpay/bizpayurl`, within(t, seen, "native")["code_url"])
	require.Equal(t, "SUCCESS", seen["closed"])
	require.Equal(t, "ORDERNOTEXIST", seen["none"])
	require.Equal(t, "30", within(t, seen, "refund")["refund_fee"])
	require.Equal(t, "SUCCESS", within(t, seen, "refunded")["refund_status"])
	require.Equal(t, "SUCCESS", within(t, seen, "refunds")["refund_status_0"])
	require.Equal(t, "request fail", seen["bare"]) // its words for another status than 200
	require.Equal(t, []any{"1", "1.00"}, within(t, seen, "bill")["total_data"])
	require.Equal(t, "No Bill Exist", seen["noBill"])
	require.Equal(t, "MICROPAY", within(t, seen, "code")["trade_type"])
	require.Equal(t, "N", seen["reversed"])
	require.Contains(t, seen["forged"], "sign签名错误")
	require.Equal(t, "sign签名错误", seen["forgedAnswer"])
}

func sawMore(t *testing.T, seen map[string]any) {
	require.NotEmpty(t, within(t, seen, "transfer")["payment_no"])
	require.Equal(t, "SUCCESS", seen["transferred"])
	require.NotEmpty(t, within(t, seen, "packet")["send_listid"])
	require.Equal(t, "SENT", seen["packetState"])
	require.Regexp(t, `^wx`, within(t, seen, "boxed")["prepay_id"])
	require.Equal(t, "boxed-1", seen["boxedPaid"])
	require.Equal(t, "SUCCESS", seen["boxedState"])
	require.Equal(t, "SUCCESS", seen["boxedRefund"])
	require.Contains(t, seen["boxedFee"], "沙箱支付金额(5000)无效")
}

func sawPlugin(t *testing.T, seen map[string]any) {
	require.Regexp(t, `^wx`, within(t, seen, "order")["prepay_id"])
	require.Equal(t, true, within(t, seen, "paid")["true"])
	require.Equal(t, "HMAC-SHA256", within(t, seen, "paid")["sign_type"])
	require.Equal(t, "SUCCESS", within(t, seen, "query")["trade_state"])
	require.Equal(t, "7", within(t, seen, "refund")["refund_fee"])
	require.Equal(t, "CHANGE", within(t, seen, "refunded")["refund_status"])
	require.Equal(t, "CHANGE", within(t, seen, "refunds")["refund_status_0"])
	require.Contains(t, seen["bill"], "`2019-06-11 12:00:00,`wx1")
	require.Contains(t, seen["none"], "result_code")
	require.Contains(t, seen["forged"], "sign")
	require.Len(t, seen["signkey"], 32)
}
