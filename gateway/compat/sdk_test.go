package compat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

// oldSDK reads tokens like wetoken's client: by GET on each call, with the appid as a key of the query, and with the secret.
type oldSDK struct {
	url  string
	http *http.Client
}

func (c oldSDK) token(appID, secret string) (string, error) {
	at := c.url
	if !strings.Contains(at, "?") {
		at += "?"
	}
	resp, err := c.http.Get(at + url.QueryEscape(appID) + "&secret=" + url.QueryEscape(secret))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("http.Status: %s", resp.Status)
	}
	var got struct {
		ErrCode   int64  `json:"errcode"`
		ErrMsg    string `json:"errmsg"`
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return "", err
	}
	switch {
	case got.ErrCode != 0:
		return "", fmt.Errorf("errcode: %d, errmsg: %s", got.ErrCode, got.ErrMsg)
	case got.ExpiresIn <= 60 || got.ExpiresIn > 31556952:
		return "", fmt.Errorf("expires_in: %d", got.ExpiresIn)
	}
	return got.Token, nil
}

func TestAnOldSDKIsServedAsItIs(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(w.private)
	defer srv.Close()
	for name, c := range map[string]struct{ path, secret, err string }{
		"documented URL":       {"/" + shopID + "/wechat/token/get", secret, ""},
		"third generation":     {"/wx/" + shopID + "/token/get", secret, ""},
		"URL with a key":       {"/wx/" + shopID + "/token/get?wetoken_key=" + readKey + "&appid=", "wrong", ""},
		"another secret":       {"/" + shopID + "/wechat/token/get", "wrong", "http.Status: 401 Unauthorized"},
		"unknown app, a key":   {"/" + noneID + "/wechat/token/get?wetoken_key=" + allKey + "&appid=", secret, "errcode: 400, errmsg: 从数据库中获取secret失败:[" + noneID + "] app配置出错(0)"},
		"a secret with digits": {"/" + noneID + "/wechat/token/get", secret, "http.Status: 401 Unauthorized"},
	} {
		got, err := oldSDK{srv.URL + c.path, srv.Client()}.token(shopID, c.secret)
		if c.err != "" {
			require.EqualError(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, w.tokenOf(shopID), got, name)
	}
}

// warmReads are the requests that old clients send on each call.
func warmReads(appID string) map[string]input {
	return map[string]input{
		"wetoken, secret":  {path: "/" + appID + "/wechat/token/get?" + appID + "&secret=" + url.QueryEscape(secret)},
		"wetoken, key":     {path: "/wx/" + appID + "/token/get?wetoken_key=" + allKey + "&appid=" + appID},
		"wetoken, ticket":  {path: "/wx/" + appID + "/ticket/get", key: allKey},
		"accesstoken":      {path: mp + "/access_token/" + appID, key: allKey},
		"accesstoken, RPC": {method: "POST", path: "/", key: allKey, form: formJSON, body: `{"jsonrpc":"2.0","id":1,"method":"getMpAccessTokenByAppid","params":[{"appid":"` + appID + `"}]}`},
	}
}

func TestTenThousandReadsAskNobody(t *testing.T) {
	for _, appID := range []string{shopID, freeID} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.gateway.Apps().Put(t.Context(), "free", gateway.App{AppID: freeID, Secret: secret}, "")
			require.NoError(t, err)
			for name, in := range warmReads(appID) {
				h := w.private
				if strings.HasSuffix(name, "RPC") {
					h = w.rpc
				}
				status, first, _ := send(h, in)
				require.Equal(t, 200, status, first)
				time.Sleep(time.Second) // what it fetched is settled
				_, first, _ = send(h, in)
				synctest.Wait()
				store, records := w.store.gets.Load(), w.records.gets.Load()
				calls := w.wx.Calls("/cgi-bin/stable_token") + w.wx.Calls("/cgi-bin/ticket/getticket")
				for range 10_000 {
					status, body, _ := send(h, in)
					if status != 200 || body != first {
						require.Equal(t, first, body)
					}
				}
				require.Equal(t, store, w.store.gets.Load(), name)
				require.Equal(t, records, w.records.gets.Load(), name)
				require.Equal(t, calls, w.wx.Calls("/cgi-bin/stable_token")+w.wx.Calls("/cgi-bin/ticket/getticket"), name)
			}
			require.Equal(t, 1, w.wx.AppCalls(appID, "/cgi-bin/stable_token"))
		})
	}
}
