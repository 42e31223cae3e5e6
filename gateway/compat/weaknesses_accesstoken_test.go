package compat_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestForceIsRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.tokenOf(shopID)
		time.Sleep(time.Minute)
		get := func(force string) string {
			status, body := w.get(input{path: mp + "/access_token/" + shopID + "?force=" + force, key: shopKey})
			require.Equal(t, 200, status)
			var got struct {
				Token string `json:"accessToken"`
			}
			require.NoError(t, json.Unmarshal([]byte(body), &got), body)
			require.Zero(t, w.wx.Check(got.Token))
			return got.Token
		}
		require.Equal(t, first, get("false"))
		second := get("True")
		require.NotEqual(t, first, second)
		calls := w.wx.Calls("/cgi-bin/stable_token")
		for range 50 {
			require.Equal(t, second, get("true"), "the current one, while another renewal is not allowed")
		}
		require.LessOrEqual(t, w.wx.Calls("/cgi-bin/stable_token")-calls, 1)
		forced := map[string]bool{first: true, second: true}
		for range 100 {
			time.Sleep(31 * time.Second)
			forced[get("true")] = true
		}
		require.LessOrEqual(t, len(forced), 20)
		require.Contains(t, w.log.String(), "caller=shop app=shop action=renew")
	})
}

func TestAnotherAppsSecretIsNeverUsed(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/access_token/" + noneID + "?appid=" + shopID, "/access_token?appid=" + noneID, "/access_token/" + freeID + "?secret=" + url.QueryEscape(secret)} {
		for _, key := range []string{allKey} {
			_, body := w.get(input{path: mp + path, key: key})
			require.Contains(t, body, `"errcode":40003`)
		}
	}
	_, body := w.get(input{path: mp + "/access_token?appid=" + noneID, key: shopKey})
	require.Contains(t, body, `"errcode":40003`, "not the only app of the key")
	require.Zero(t, w.wx.Calls("/cgi-bin/stable_token"))
}

func TestAStoreThatFailsIsNoHang(t *testing.T) {
	w := newWorld(t)
	w.store.away.Store(true)
	w.records.away.Store(true)
	status, body := w.get(input{path: mp + "/access_token/" + shopID, key: allKey})
	require.Equal(t, 200, status)
	require.Contains(t, body, `{"accessToken":"`)
	_, body = w.get(input{path: mp + "/access_token/" + freeID, key: allKey})
	require.Equal(t, `{"errcode":-1,"message":"the records cannot be read: try again","xOrigMsg":"the records cannot be read: try again"}`, body)
	_, body = w.get(input{path: "/" + freeID + "/wechat/token/get?secret=x"})
	require.Equal(t, oldFailure("the records cannot be read: try again", "access_token"), body)
}

func TestAWeChatThatHangsIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.wx.AddFault(wechattest.Fault{Hang: true})
		began := time.Now()
		_, body := w.get(input{path: mp + "/access_token/" + shopID, key: allKey})
		require.Contains(t, body, `"errcode":-1`)
		_, body = w.get(input{path: "/" + shopID + "/wechat/token/get", key: allKey})
		require.Contains(t, body, `"errcode":400`)
		require.Less(t, time.Since(began), time.Minute)
		synctest.Wait()
	})
}
