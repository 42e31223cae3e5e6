package paytest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// A foreign client, npm's wechatpay-axios-plugin, orders, queries, closes, refunds, combines, transfers,
// uploads and fetches bills over real HTTP, and reads the notifications. The test needs node, npm and a registry. Where
// they are missing it is skipped, or fails if WETOKEN_TEST_REQUIRE is 1. The short form leaves it out.
func TestNpmsClientPaysAndReadsNotifications(t *testing.T) {
	testform.NeedFull(t)
	dir := npm(t, "npm")
	s := newServer(t)
	s.Transport = nil // over sockets
	server := httptest.NewServer(s)
	defer server.Close()
	list := []*paytest.Merchant{
		s.AddMerchant(paytest.Merchant{MchID: mchID, AppIDs: []string{appID}}),
		s.AddMerchant(paytest.Merchant{MchID: "1900000002", AppIDs: []string{appID}, Mode: paytest.Certificates}),
	}
	in, err := json.Marshal(object{"base": server.URL, "appid": appID, "openid": payer, "merchants": list})
	require.NoError(t, err)
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "interop.js")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(in), &out, &problems
	require.NoError(t, cmd.Run(), "%s", &problems)

	var all []map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &all))
	require.Len(t, all, len(list))
	for _, seen := range all {
		get := func(name string) object {
			v, ok := seen[name].(object)
			require.True(t, ok, "%s: %v", name, seen[name])
			return v
		}
		require.Regexp(t, `^wx`, seen["prepay_id"])
		require.Equal(t, true, get("paid")["true"])
		require.Equal(t, "TRANSACTION.SUCCESS", get("paid")["event"])
		require.Equal(t, "jsapi-1", get("paid")["out_trade_no"])
		require.Equal(t, get("paid")["transaction_id"], get("transaction")["transaction_id"])
		require.Regexp(t, `^weixin://wxpay/bizpayurl`, seen["code_url"])
		require.Equal(t, "aaa|b*c", get("bar")["out_trade_no"])
		require.Equal(t, "NOTPAY", get("bar")["trade_state"])
		require.EqualValues(t, 204, seen["closed"])
		require.Equal(t, "CLOSED", seen["closed_state"])
		require.Equal(t, "ORDER_NOT_EXIST", get("none")["code"])
		require.Equal(t, "PROCESSING", get("refund")["status"])
		require.Equal(t, "REFUND.SUCCESS", get("refunded")["event"])
		require.Equal(t, "SUCCESS", get("refunded")["refund_status"])
		require.Equal(t, "SUCCESS", seen["refund_state"])
		require.Equal(t, "combined-1", get("combined")["combine_out_trade_no"])
		require.Len(t, get("combined_query")["sub_orders"], 2)
		require.Equal(t, "WAIT_USER_CONFIRM", get("transfer")["state"])
		require.Equal(t, "MCHTRANSFER.BILL.FINISHED", get("transferred")["event"])
		require.NotEmpty(t, seen["media_id"])
		require.Equal(t, true, seen["bill"])
		require.Contains(t, get("forged")["message"], "signature")
		require.Contains(t, get("unsigned")["message"], "Headers incomplete")
		require.Equal(t, false, get("forged_notice")["true"])
		require.Equal(t, "thing", get("forged_notice")["any"])
	}
}

// npm installs the clients of a folder of testdata into one of the test's own.
func npm(t *testing.T, from string, tools ...string) string {
	missing := func(format string, a ...any) {
		reason := fmt.Sprintf(format, a...)
		if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
			require.Fail(t, "interoperability with npm's clients cannot be tested", reason)
		}
		t.Skipf("SKIPPED, NOT TESTED: interoperability with npm's clients: %s", reason)
	}
	for _, tool := range append(tools, "node", "npm") {
		if _, err := exec.LookPath(tool); err != nil {
			missing("%v", err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "interop.js"} {
		data, err := os.ReadFile(filepath.Join("testdata", from, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock",
		"--fetch-retries=0", "--fetch-timeout=10000")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing("npm install: %v\n%s", err, out)
	}
	return dir
}
