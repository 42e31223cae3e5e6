package main_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// makeProxy makes a file of wechat-proxy with rows, as its database library does.
func makeProxy(t *testing.T, rows ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "wxproxy.db")
	db, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	defer db.Close()
	for _, command := range append([]string{
		`CREATE TABLE "wx_apps" ("key" varchar(255), "app_id" varchar(255), "secret" varchar(255), "token" varchar(255), "aes_key" varchar(255), "mch_id" varchar(255),
			"mch_key" varchar(255), "ip_address" varchar(255), "calls" varchar(255), "expires" datetime, PRIMARY KEY ("key"))`,
		`CREATE INDEX idx_wx_apps_app_id ON "wx_apps"(app_id)`,
	}, rows...) {
		_, err := db.ExecContext(t.Context(), command)
		require.NoError(t, err, command)
	}
	return file
}

func TestAppsOfWechatProxyAreImported(t *testing.T) {
	t.Parallel()
	i := newImporter(t, "public_url: https://wx.example.com")
	for _, id := range []string{"wx0000000000000001", "wx0000000000000002"} {
		i.wx.AddApp(id, "a-secret-of-"+id)
	}
	year := time.Now().Year()
	file := makeProxy(t,
		`INSERT INTO wx_apps VALUES ('shop', 'wx0000000000000001', 'a-secret-of-wx0000000000000001', 'tok', '`+wholeAESKey+`', '1900000001', '0123456789abcdef0123456789abcdef', '10.0.0.1', '/msg|/api', NULL)`,
		fmt.Sprintf(`INSERT INTO wx_apps VALUES ('小店', 'wx0000000000000002', 'a-secret-of-wx0000000000000002', NULL, NULL, NULL, NULL, NULL, '', '%d-06-01 10:00:00.5+08:00')`, year+2),
		`INSERT INTO wx_apps VALUES ('again', 'wx0000000000000002', 'a-secret-of-wx0000000000000002', '', '', '1900000001', '0123456789abcdef0123456789abcdef', '10.0.0.2', '', NULL)`,
		`INSERT INTO wx_apps VALUES ('over', 'wx0000000000000009', 'a-secret-of-the-past', '', '', '', '', '', '', '2019-01-01 00:00:00+08:00')`,
		`INSERT INTO wx_apps VALUES ('a/b', 'wx0000000000000001', 'a-secret-of-wx0000000000000001', '', '', '', '', '', '', NULL)`,
		`INSERT INTO wx_apps VALUES ('wx0000000000000001', 'wx0000000000000001', 'a-secret-of-wx0000000000000001', '', '', '', '', '', '', NULL)`,
		`INSERT INTO wx_apps VALUES ('soon', 'wx0000000000000001', 'a-secret-of-wx0000000000000001', '', '', '', '', '', '', 'soon')`,
		`INSERT INTO wx_apps VALUES ('blob', 'wx0000000000000003', x'ff00fe', '', '', '', '', '', '', NULL)`,
		`INSERT INTO wx_apps VALUES ('long', 'wx0000000000000004', '`+strings.Repeat("s", 5000)+`', '', '', '', '', '', '', NULL)`,
		`INSERT INTO wx_apps VALUES ('null', NULL, 'a-secret', '', '', '', '', '', '', NULL)`,
	)
	printed := i.run(t, 1, "proxy", file)
	for _, says := range []string{
		`new: app "shop": app_id "wx0000000000000001", secret ********, allow ["/msg" "/api"], message.token ********, message.aes_key ********, pay.merchant "1900000001", forward_signature true`,
		`new: app "小店": app_id "wx0000000000000002", secret ********, expires_at ` + fmt.Sprint(year+2) + `-06-01T02:00:00Z`,
		`skipped: app "over": its registration ended on 2019-01-01`,
		`conflict: app "a/b": invalid name "a/b"`, `choose one with -rename`,
		`conflict: app "wx0000000000000001": invalid name "wx0000000000000001": want one that does not look like an appid`,
		`conflict: app "soon": expires is not a time: "soon"`, `conflict: app "blob": secret is not UTF-8`,
		`conflict: app "long": secret has more than 1024 characters`, `conflict: app "null": app_id is empty`,
		`new: merchant "1900000001": mch_id "1900000001", v2.api_key ********, v2.sign_type "MD5", server_ip "10.0.0.1"`,
		"its server_ip is left out: the merchant has that of another app",
	} {
		require.Contains(t, printed, says)
	}
	require.Equal(t, "4 new, 0 changed, 0 unchanged, 2 skipped, 6 conflicts", i.counts)
	change := []string{"proxy", "sqlite:" + file, "-rename", "a/b=a-b", "-rename", "wx0000000000000001=one"}
	for _, name := range []string{"soon", "blob", "long", "null"} {
		change = append(change, "-skip", name)
	}
	i.run(t, 0, change...)
	require.Equal(t, "6 new, 0 changed, 0 unchanged, 6 skipped, 0 conflicts", i.counts)
	i.run(t, 0, change...)
	require.Equal(t, "0 new, 0 changed, 6 unchanged, 6 skipped, 0 conflicts", i.counts)
	p := i.serve(t, "again", "a-b", "one")
	status, _ := p.ask(t, "/app/shop/token") // allow has no /token
	require.Equal(t, http.StatusNotFound, status)
}

func TestAppsOfWechatAccessTokenAreImported(t *testing.T) {
	t.Parallel()
	old := newRedis(t)
	client := redis.NewClient(&redis.Options{Addr: old.address})
	t.Cleanup(func() { client.Close() })
	i := newImporter(t, "")
	for _, id := range []string{"wx0000000000000001", "wx0000000000000002"} {
		i.wx.AddApp(id, "a-secret-of-"+id)
	}
	put := func(id, value string) { require.NoError(t, client.HSet(t.Context(), "mp", id, value).Err()) }
	put("wx0000000000000001", `{"appid":"wx0000000000000001","secret":"a-secret-of-wx0000000000000001"}`)
	put("wx0000000000000002", `{"appid":"wx0000000000000002","secret":"a-secret-of-wx0000000000000002","name":"公众号","force":true}`)
	require.NoError(t, client.HSet(t.Context(), "accessTokenMp", "wx0000000000000001", `{"access_token":"a-secret-token","expires_in":7200}`).Err())
	dir := t.TempDir()
	config := func(name, backend string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte("\ufeff"+`{"name":"令牌服务","env":"prod","origin":"https://wx.example.com","appId":"wx0000000000000001","appSecret":"a-secret-of-wx0000000000000001","token":"a-secret-t","encodingAESKey":"`+wholeAESKey+`","backend":`+backend+`}`), 0o600))
		return file
	}
	file := config("config.json", `{"type":"redis","url":"redis://`+old.address+`"}`)
	printed := i.run(t, 0, "accesstoken", file, "-verify")
	require.Contains(t, printed, `new: app "app-0000000000000002": app_id "wx0000000000000002", secret ********`)
	require.Contains(t, printed, `skipped: app "app-0000000000000001": is in the source twice, with the same settings`)
	require.Equal(t, "2 new, 0 changed, 0 unchanged, 1 skipped, 0 conflicts", i.counts)
	i.run(t, 0, "accesstoken", "redis://"+old.address)
	require.Equal(t, "0 new, 0 changed, 2 unchanged, 0 skipped, 0 conflicts", i.counts)
	i.serve(t, "app-0000000000000001", "app-0000000000000002").kill()
	data, err := os.ReadFile(i.config)
	require.NoError(t, err)
	require.NotContains(t, string(data), "a-secret")
	require.Contains(t, i.run(t, 0, "accesstoken", config("memory.json", "null")), "its backend is memory")

	// Values that register_appid took from anybody.
	put("wx0000000000000001", `{"appid":"wx0000000000000001","secret":"a-secret-of-an-attacker"}`)
	put("wx0000000000000003", `{"appid":"wx0000000000000004","secret":"a-secret"}`)
	put("wx0000000000000005", `{"appid":"wx0000000000000005","secret":{"a-secret":1}}`)
	put("wx0000000000000006", "not JSON: a-secret")
	put("wx0000000000000007", `{"appid":"wx0000000000000007","secret":"`+strings.Repeat("s", 70_000)+`"}`)
	put(strings.Repeat("w", 5000), `{}`)
	put("wx0000000000000008", `{"appid":"wx0000000000000008"}`)
	put("wx0000000000000009", `{"appid":"wx0000000000000009","secret":"a-secret-that-wechat-refuses"}`)
	printed = i.run(t, 1, "accesstoken", file, "-verify")
	for _, says := range []string{
		`conflict: app "app-0000000000000001": has the name of another one in the source with other settings`,
		`conflict: app "app-0000000000000003": the value is of another appid`,
		`conflict: app "app-0000000000000005": secret is not a text`,
		`conflict: app "app-0000000000000006": the value is not a JSON object`,
		`conflict: app "app-0000000000000007": the value has more than 65536 bytes`,
		`the field is too long for an appid`,
		`conflict: app "app-0000000000000008": secret is empty`,
		`conflict: app "app-0000000000000009": WeChat refuses it with 40013`,
	} {
		require.Contains(t, printed, says)
	}
	require.Less(t, len(printed), 8000)

	require.NoError(t, client.Del(t.Context(), "mp").Err())
	require.NoError(t, client.Set(t.Context(), "mp", "text", 0).Err())
	require.Contains(t, refused(t, i.env, "import", "accesstoken", "redis://"+old.address, "-config", i.config), "WRONGTYPE")
}

func TestTheMerchantOfWechatPaymentIsImported(t *testing.T) {
	t.Parallel()
	payments := new(paytest.Server)
	t.Cleanup(payments.Close)
	const key = "0123456789abcdef0123456789abcdef"
	account := payments.AddMerchant(paytest.Merchant{MchID: payMchID, APIKey: key})
	srv := httptest.NewServer(payments)
	t.Cleanup(srv.Close)
	i := newImporter(t, "public_url: http://127.0.0.1:1")
	text, err := os.ReadFile(i.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(i.config, []byte(strings.Replace(string(text), "endpoints: {", "endpoints: {pay: \""+srv.URL+"\", ", 1)), 0o600))

	dir := t.TempDir()
	signer, err := payv3.ParseKey([]byte(account.PrivateKey))
	require.NoError(t, err)
	certificate, err := payv3.ParseCertificate([]byte(account.Certificate))
	require.NoError(t, err)
	p12, err := pkcs12.LegacyRC2.Encode(signer, certificate, nil, payMchID)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "apiclient_cert.p12"), p12, 0o600))
	file := filepath.Join(dir, "config.json")
	configure := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	config := `{"name":"支付","env":"H5","type":"普通商户","appId":"wx0000000000000001","mchId":1900000001,"notifyUrl":"https://pay.example.com/apis/v1/wepay/pay_notify",
		"partnerKey":"` + key + `","pfx":"apiclient_cert.p12","cbNotifyUrl":"http://127.0.0.1:9/paid"}`
	configure(config)
	require.Contains(t, i.run(t, 1, "payment", file), `no app is registered with appid "wx0000000000000001", and wechat-payment does not have its secret`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.json"), []byte(`{"appId":"wx0000000000000001","appSecret":"a-secret-of-wx0000000000000001"}`), 0o600))
	i.run(t, 0, "accesstoken", filepath.Join(dir, "app.json"))

	printed := i.run(t, 0, "payment", file, "-verify")
	require.Contains(t, printed, `new: merchant "1900000001": mch_id "1900000001", v2.api_key ********, v2.sign_type "MD5", v2.cert in PEM, v2.private_key ********`)
	require.Contains(t, printed, "WeChat knows it with these keys")
	require.Contains(t, printed, `changed: app "app-0000000000000001": pay.merchant "1900000001", pay.notify_to "http://127.0.0.1:9/paid"`)
	require.Contains(t, printed, "https://pay.example.com/apis/v1/wepay/pay_notify")
	require.Equal(t, "1 new, 1 changed, 0 unchanged, 0 skipped, 0 conflicts", i.counts)
	configure("[" + config + ", {}]")
	require.Contains(t, i.run(t, 0, "payment", file), "1 more objects are in the list")
	require.Equal(t, "0 new, 0 changed, 2 unchanged, 0 skipped, 0 conflicts", i.counts)
	p := start(t, i.env, "-config", i.config)
	status, body := p.ask(t, "/app/app-0000000000000001/pay/orders/none")
	require.NotEqual(t, http.StatusServiceUnavailable, status, body)

	for _, c := range []struct{ old, new, says string }{
		{`"pfx":"apiclient_cert.p12"`, `"pfx":"other.p12"`, "no such file"},
		{`"pfx":`, `"passphrase":"a-secret","pfx":`, "pfx: cannot be decoded with passphrase"},
		{key, "0123456789abcdef0123456789abcde0", `is registered with other settings: v2.api_key`},
		{"普通商户", "服务商", "subMchId is empty, and type is 服务商"},
		{"普通商户", "个人", "type is neither 普通商户 nor 服务商"},
		{`"mchId":1900000001`, `"mchId":""`, "mchId is empty"},
		{"http://127.0.0.1:9/paid", "http://127.0.0.1:9/other", `app "app-0000000000000001": is registered with other settings: pay.notify_to`},
	} {
		configure(strings.Replace(config, c.old, c.new, 1))
		require.Contains(t, i.run(t, 1, "payment", file), c.says)
	}
}
