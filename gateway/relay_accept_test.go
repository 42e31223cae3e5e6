package gateway_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestARefusalIsFoundAnywhereInAResponse(t *testing.T) {
	for _, response := range []string{
		`{"errcode":40001}`, `{"errcode":"40001","errmsg":"no"}`, `{"errcode":-1}`, `{"errcode" : 1}`, `{"ERRCODE":1}`, `{'errcode': 5}`,
		"\ufeff" + `{"errcode":1}`,
		"<br />\n<b>Warning</b>:  Undefined variable $x in <b>/srv/paid.php</b> on line <b>3</b><br />\n" + `{"errcode":500,"errmsg":"db down"}`,
		"Notice: x in y\n" + `{"errcode":1}` + "\n<!-- 3 ms -->",
		`{"errcode":0,"errcode":1}`, `{"data":{"errcode":7}}`, `[{"errcode":0},{"errcode":7}]`, `{"errcode":1`, `{"errcode":true}`, `{"errcode":{"a":1}}`,
		`{"code":"FAIL","message":"no"}`, "\ufeff" + `{"code":"FAIL"}`, `{"code":"ERROR"}`, `{"success":false}`, `{"success":"false"}`,
		`"{\"errcode\":40001,\"errmsg\":\"not now\"}"`, `"{\"success\":false}"`,
		`<xml><return_code><![CDATA[FAIL]]></return_code></xml>`, `<xml><errcode>5</errcode></xml>`,
		"fail", "FAIL\n", `"fail"`, "error",
		"<br />\n<b>Fatal error</b>:  Uncaught PDOException: gone in /srv/paid.php:9", "PHP Fatal error:  x", "\nParse error: syntax error in x",
	} {
		err := gateway.CheckAccepted([]byte(response))
		require.Error(t, err, response)
		require.Less(t, len(err.Error()), 200)
	}
	for _, response := range []string{
		"", "ok", "success", "SUCCESS", "garbage", "\x00\xff", "null", "[]", "{}", `{"errcode":0}`, `{"errcode":"0","errmsg":"ok"}`, `{"errcode":null}`, `{"errcode":0.0}`,
		`{"code":"SUCCESS"}`, `{"code":0}`, `{"code":200,"msg":"ok"}`, `{"success":true}`, "\ufeff" + `{"errcode":0}`,
		"<b>Warning</b>: x\n" + `{"errcode":0}`, `<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>`,
		`{"errcode":0,"note":"{\"errcode\":1}"}`, `{"failed":0}`, "no failure", "<html><title>error page of another program</title></html>",
	} {
		require.NoError(t, gateway.CheckAccepted([]byte(response)), response)
	}
	long := strings.Repeat(`"errcode"`, 1<<17)
	require.NoError(t, gateway.CheckAccepted([]byte(long[:1<<20])))
	require.Error(t, gateway.CheckAccepted([]byte(long[:1<<19]+`{"errcode":1}`)))
}

func FuzzCheckAccepted(f *testing.F) {
	f.Add("<b>Warning</b>", "1", "trailer")
	f.Add("\ufeff", "-1", "")
	f.Add("{", `"x"`, "}")
	f.Fuzz(func(t *testing.T, before, code, after string) {
		_ = gateway.CheckAccepted([]byte(before + code + after))
		require.Error(t, gateway.CheckAccepted([]byte(before+`{"errcode":40001}`+after)))
	})
}
