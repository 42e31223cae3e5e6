package compat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestACreatedAppIsFetchedBeforeItsFirstReader(t *testing.T) {
	w := newWorld(t)
	_, body := w.get(input{method: "POST", path: "/wechat/app/create", body: "appid=" + freeID + "&token=tokenofthistest&secret=" + url.QueryEscape(secret), form: formForm, key: adminKey})
	require.Equal(t, `{"errcode":0,"errmsg":"success"}`, body, "three parameters are enough")
	require.Equal(t, 1, w.wx.AppCalls(freeID, "/cgi-bin/stable_token"))
	require.Equal(t, 1, w.wx.AppCalls(freeID, "/cgi-bin/ticket/getticket"))
	require.NotEmpty(t, w.tokenOf(freeID))
	require.Equal(t, 1, w.wx.AppCalls(freeID, "/cgi-bin/stable_token"))
}

func TestValuesOfRealLengthStayWhole(t *testing.T) {
	w := newWorld(t)
	_, body := w.get(input{method: "POST", path: "/wechat/app/create", body: "appid=" + freeID + "&token=tokenofthistest&aesKey=" + aesKey + "&secret=" + url.QueryEscape(secret), form: formForm, key: adminKey})
	require.Equal(t, `{"errcode":0,"errmsg":"success"}`, body)
	r, err := w.gateway.Apps().Get(t.Context(), "app-dddddddddddddddd")
	require.NoError(t, err)
	require.Len(t, r.App.Message.AESKey, 43)
	issued := w.wx.Tokens(freeID)[0].Value
	require.Greater(t, len(issued), 64)
	_, second, _ := w.open() // reads it from the store
	_, body, _ = send(second, input{path: "/" + freeID + "/wechat/token/get", key: allKey})
	require.Contains(t, body, `"access_token":"`+issued+`"`)
}

func TestTwoUsersOfAnAppGetTheirCodes(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"ming", "hong"} {
		w.wx.Follow(shopID, name, true)
		status, body := w.get(input{path: "/" + shopID + "/wechat/wxcode/send?system_name=s&code=1&user_name=" + w.wx.OpenID(shopID, name), key: allKey})
		require.Equal(t, 200, status)
		require.Equal(t, "success", body)
	}
	require.Len(t, w.wx.Sent(), 2)
}

func TestAnErrorOfATicketDoesNotStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/ticket/getticket", Code: -1})
		_, body := w.get(input{path: "/" + shopID + "/wechat/ticket/get", key: allKey})
		require.Equal(t, oldFailure("err:-1 system error", "ticket"), body)
		w.wx.ClearFaults()
		time.Sleep(30 * time.Second)
		_, body = w.get(input{path: "/" + shopID + "/wechat/ticket/get", key: allKey})
		require.Contains(t, body, `{"errcode":0,"errmsg":"success","ticket":"`)
	})
}

func TestNoAnswerOfWeChatIsASuccessWithoutAToken(t *testing.T) {
	for _, said := range []string{`{}`, `{"expires_in":7200}`, `{"access_token":"","expires_in":7200}`, `{"access_token":"t"}`, `{"access_token":"t","expires_in":0}`, `{"access_token":"t","expires_in":-1}`, `{"access_token":"t","expires_in":99999999999}`, `not JSON`} {
		w := newWorld(t)
		w.wx.AddFault(wechattest.Fault{Path: "/cgi-bin/stable_token", Body: said})
		status, body := w.get(input{path: "/" + shopID + "/wechat/token/get", key: allKey})
		require.Equal(t, 200, status)
		require.Contains(t, body, `{"errcode":400,`, said)
		require.Contains(t, body, `"access_token":"","expires_in":0,`, said)
		_, body = w.get(input{path: mp + "/access_token/" + shopID, key: allKey})
		require.NotContains(t, body, "accessToken", said)
	}
}

func TestARefusedTokenIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dead := w.tokenOf(shopID)
		w.wx.Refuse(dead)
		require.Equal(t, dead, w.tokenOf(shopID), "nobody has said so")
		time.Sleep(40 * time.Second)
		base := "/" + shopID + "/wechat/token/get?refused=" + dead
		status, body := w.get(input{path: base, key: readKey})
		require.Equal(t, 403, status)
		require.Equal(t, oldFailure("this key has no scope renew for this app", "access_token"), body)
		var values []string
		for _, in := range []input{
			{path: base + "&secret=" + url.QueryEscape(secret)}, {path: base, key: shopKey},
			{method: "POST", path: "/wx/" + shopID + "/token/get", body: `{"refused":"` + dead + `"}`, form: formJSON, key: allKey},
		} {
			_, body := w.get(in)
			var got struct {
				Token string `json:"access_token"`
			}
			require.NoError(t, json.Unmarshal([]byte(body), &got), body)
			require.Zero(t, w.wx.Check(got.Token), body)
			values = append(values, got.Token)
		}
		require.Equal(t, []string{values[0], values[0], values[0]}, values, "one renewal, since the others name a token that is not current")
		require.Contains(t, w.log.String(), `caller="(no key)" app=shop action=renew`)
	})
}

func TestCreatesAtTheSameTimeMakeOneApp(t *testing.T) {
	w := newWorld(t)
	_, second, _ := w.open()
	var made, taken atomic.Int64
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, body, _ := send([]http.Handler{w.private, second}[i%2], input{
				method: "POST", path: "/wechat/app/create", key: adminKey, form: formForm,
				body: fmt.Sprintf("appid=%s&token=tokenofthistest&secret=secret-%d", freeID, i),
			})
			switch body {
			case `{"errcode":0,"errmsg":"success"}`:
				made.Add(1)
			case `{"errcode":400,"errmsg":"` + freeID + `已经存在"}`:
				taken.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(1), made.Load())
	require.Equal(t, int64(19), taken.Load())
	list, err := w.gateway.Apps().WithAppID(t.Context(), freeID)
	require.NoError(t, err)
	require.Len(t, list, 1)
}
