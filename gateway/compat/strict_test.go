package compat_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

// A create that fails stores nothing: not the merchant's key either, which would refuse the corrected request.
func TestAFailedCreateLeavesNoMerchant(t *testing.T) {
	w := newWorld(t)
	create := func(aes, payKey string) string {
		_, body := w.get(input{
			method: "POST", path: "/wechat/app/create", key: adminKey, form: formJSON,
			body: `{"appid":"` + freeID + `","secret":"` + secret + `","token":"tokenofthistest","aesKey":"` + aes + `","mchid":"1900000001","payKey":"` + payKey + `"}`,
		})
		return body
	}
	require.Contains(t, create("short", strings.Repeat("a", 32)), "输入参数有误")
	_, err := w.gateway.Merchants().Get(t.Context(), "1900000001")
	require.ErrorIs(t, err, gateway.ErrNotRegistered, "the merchant of a create that failed is registered")
	require.Equal(t, `{"errcode":0,"errmsg":"success"}`, create(aesKey, strings.Repeat("b", 32)))
}

// A body of JSON with a rest behind it is none.
func TestABodyWithARestIsNoJSON(t *testing.T) {
	w := newWorld(t)
	for _, rest := range []string{"}", "]", "}}} rest", `]{"secret":"x"}`} {
		status, body := w.get(input{method: "POST", path: "/" + shopID + "/wechat/token/get", form: formJSON, body: `{"secret":"` + secret + `"}` + rest})
		require.Equal(t, 400, status, "%s: %s", rest, body)
	}
}

// register_appid answers true only if the app is served.
func TestRegisterOfAnAppThatHasEndedIsNoSuccess(t *testing.T) {
	w := newWorld(t)
	_, body := w.get(input{method: "POST", path: mp + "/register_appid", key: adminKey, form: formJSON, body: `{"appid":"` + goneID + `","secret":"` + secret + `"}`})
	if body == `{"result":true}` {
		_, body = w.get(input{path: mp + "/access_token/" + goneID, key: allKey})
		require.Contains(t, body, "accessToken", "it was registered with success")
	}
}

// A parameter of create that is not stored is an error, and no success.
func TestCreateDropsNoSubAppid(t *testing.T) {
	w := newWorld(t)
	create := func(appID, subAppID string) string {
		_, body := w.get(input{
			method: "POST", path: "/wechat/app/create", key: adminKey, form: formJSON,
			body: `{"appid":"` + appID + `","secret":"` + secret + `","token":"tokenofthistest","mchid":"1900000001","payKey":"` + strings.Repeat("k", 32) + `","subMchid":"1900000009","subAppid":"` + subAppID + `"}`,
		})
		return body
	}
	require.Contains(t, create(freeID, "wx4444444444444444"), "success")
	if strings.Contains(create("wx1111111111111111", "wx5555555555555555"), "success") {
		var all []string
		for _, name := range []string{"1900000001-1900000009"} {
			m, err := w.gateway.Merchants().Get(t.Context(), name)
			require.NoError(t, err)
			all = append(all, m.Merchant.SubAppID)
		}
		require.Contains(t, all, "wx5555555555555555", "success, and the value is nowhere")
	}
}

// A secret has a bound.
func TestCreateTakesNoSecretOfSixtyThousandBytes(t *testing.T) {
	w := newWorld(t)
	_, body := w.get(input{
		method: "POST", path: "/wechat/app/create", key: adminKey, form: formJSON,
		body: `{"appid":"` + freeID + `","secret":"` + strings.Repeat("s", 60_000) + `","token":"tokenofthistest"}`,
	})
	require.Contains(t, body, "输入参数有误")
}

// A whole batch is not refused for one call.
func TestOneRefusedCallDoesNotFailABatch(t *testing.T) {
	w := newWorld(t, func(o *gateway.Options) { o.Config.Compat.Open = []string{"accesstoken"} })
	status, body, _ := send(w.rpc, input{
		method: "POST", path: "/", form: formJSON,
		body: `[{"jsonrpc":"2.0","id":1,"method":"getMpAccessTokenByAppid","params":[{"appid":"` + shopID + `"}]},{"jsonrpc":"2.0","id":2,"method":"registerAppid","params":[{"appid":"` + freeID + `","secret":"x"}]}]`,
	})
	require.Contains(t, body, `"id":1,"result":"`)
	require.Equal(t, 200, status, "jayson's client takes another status for a failure of the whole batch")
}

// Strangers of an open system must not use up the renewals of clients that show the app's secret.
func TestStrangersDoNotSpendTheRationOfTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *gateway.Options) { o.Config.Compat.Open = []string{"accesstoken"} })
		for range 30 {
			time.Sleep(time.Minute)
			_, body := w.get(input{path: mp + "/access_token/" + shopID + "?force=true"}) // without a key
			require.Contains(t, body, "accessToken")
		}
		time.Sleep(time.Minute)
		current := w.tokenOf(shopID)
		w.wx.Refuse(current)
		_, body := w.get(input{path: "/" + shopID + "/wechat/token/get?secret=" + url.QueryEscape(secret) + "&refused=" + current})
		require.Contains(t, body, `"errcode":0`, "10 of the app's 20 are left, and the secret has spent none")
	})
}
