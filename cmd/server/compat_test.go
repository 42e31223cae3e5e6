package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestOldClientsAreServedAndTheirSecretsStayOutOfTheLog(t *testing.T) {
	const secret, appID = "a-secret/of+this=test", "wx0123456789abcdef"
	wx := new(wechattest.Server)
	wx.AddApp(appID, secret)
	srv := httptest.NewServer(wx)
	t.Cleanup(srv.Close)
	rpc := freeAddress(t)
	p := start(t, []string{"WECHAT=" + srv.URL, "SHOP_KEY=" + shopKey, "SHOP_SECRET=" + secret}, "-log-level", "debug", "-config", write(t, config+`
compat: {systems: [wetoken, accesstoken, payment, proxy], jsonrpc: "`+rpc+`", open: [accesstoken, proxy, payment]}
`))
	ask := func(method, at, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	status, body := ask("GET", p.base+"/"+appID+"/wechat/token/get?"+appID+"&secret="+url.QueryEscape(secret), "")
	require.Equal(t, http.StatusOK, status, body)
	value := wx.Tokens(appID)[0].Value
	require.Contains(t, body, `"access_token":"`+value+`"`)
	status, _ = ask("GET", p.base+"/wx/"+appID+"/token/get?wetoken_key="+shopKey, "")
	require.Equal(t, http.StatusOK, status)
	status, _ = ask("GET", p.base+"/wx/"+appID+"/token/get?secret=another-secret", "")
	require.Equal(t, http.StatusUnauthorized, status)
	status, body = ask("GET", p.base+"/apis/v1/wx/mp/access_token/"+appID, "")
	require.Equal(t, http.StatusOK, status, "it is open")
	require.Equal(t, `{"accessToken":"`+value+`"}`, body)
	status, body = ask("POST", "http://"+rpc, `{"jsonrpc":"2.0","id":7,"method":"accessToken","params":[{}]}`)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, `{"jsonrpc":"2.0","id":7,"result":"`+value+`"}`, body)
	status, _ = ask("GET", "http://"+p.public+"/"+appID+"/wechat/token/get?secret="+url.QueryEscape(secret), "")
	require.Equal(t, http.StatusNotFound, status, "the public side has none of it")
	status, _ = ask("POST", p.base+"/wechat/app/create", `{}`)
	require.Equal(t, http.StatusUnauthorized, status, "nothing serves it")
	require.Contains(t, p.log.String(), `level=WARN msg="compat.open: everybody who reaches these addresses gets tokens without a key" system=accesstoken private=`+strings.TrimPrefix(p.base, "http://")+" jsonrpc="+rpc+"\n")
	for system, does := range map[string]string{"proxy": "gets tokens and places orders", "payment": "places orders"} {
		require.Contains(t, p.log.String(), `level=WARN msg="compat.open: everybody who reaches these addresses `+does+` without a key" system=`+system+" private="+strings.TrimPrefix(p.base, "http://")+"\n")
	}
	status, _ = ask("GET", p.base+"/app/shop/api", "")
	require.Equal(t, http.StatusOK, status, "it is open")
	status, _ = ask("GET", p.base+"/register?key=a&appid="+appID+"&secret="+url.QueryEscape(secret), "")
	require.Equal(t, http.StatusUnauthorized, status, "it is never open")
	for _, hidden := range []string{secret, url.QueryEscape(secret), shopKey, "another-secret", value} {
		require.NotContains(t, p.log.String(), hidden)
	}
}

func TestAnAddressOfJSONRPCThatIsTakenIsNamed(t *testing.T) {
	taken := httptest.NewServer(nil)
	t.Cleanup(taken.Close)
	line := refused(t, []string{"WECHAT=https://wx.example.com", "SHOP_KEY=" + shopKey, "SHOP_SECRET=s"}, "-config", write(t, config+`
compat: {systems: [accesstoken], jsonrpc: "`+strings.TrimPrefix(taken.URL, "http://")+`"}
`), "-public", freeAddress(t), "-private", freeAddress(t))
	require.Contains(t, line, "compat.jsonrpc: cannot listen on 127.0.0.1:")
}
