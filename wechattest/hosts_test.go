package wechattest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// TestSharedPathsGoByTheTokensOwner makes each call under an address of its own, where the host tells nothing.
func TestSharedPathsGoByTheTokensOwner(t *testing.T) {
	wx, official, _, corp := trio(t)
	web := httptest.NewServer(wx)
	defer web.Close()
	call := func(method, path, token, more, kind, body string) answer {
		return send(t, web.Client(), method, web.URL+path+"?access_token="+token+more, kind, body)
	}
	const menu = `{"button":[{"type":"click","name":"a","key":"k"}]}`
	require.Contains(t, call("GET", "/cgi-bin/user/get", official, "", "", "").Raw, `"total":1`)
	require.Contains(t, call("GET", "/cgi-bin/user/get", corp, "&userid=zhang", "", "").Raw, `"userid":"zhang"`)

	require.Zero(t, call("POST", "/cgi-bin/menu/create", official, "", "", menu).Code)
	require.Equal(t, 41011, call("POST", "/cgi-bin/menu/create", corp, "", "", menu).Code)
	require.Equal(t, 40056, call("POST", "/cgi-bin/menu/create", corp, "&agentid=x", "", menu).Code)
	require.Equal(t, 301002, call("POST", "/cgi-bin/menu/create", corp, "&agentid=8", "", menu).Code)
	require.Equal(t, 46003, call("GET", "/cgi-bin/menu/get", corp, "&agentid=7", "", "").Code, "the menu is the other app's")
	require.Zero(t, call("POST", "/cgi-bin/menu/create", corp, "&agentid=7", "", menu).Code)
	require.JSONEq(t, `{"menu":{"button":[{"type":"click","name":"a","key":"k","sub_button":[]}]}}`, call("GET", "/cgi-bin/menu/get", official, "", "", "").Raw)
	require.JSONEq(t, `{"errcode":0,"errmsg":"ok","button":[{"type":"click","name":"a","key":"k","sub_button":[]}]}`, call("GET", "/cgi-bin/menu/get", corp, "&agentid=7", "", "").Raw)
	require.Zero(t, call("GET", "/cgi-bin/menu/delete", corp, "&agentid=7", "", "").Code)
	require.Zero(t, call("GET", "/cgi-bin/menu/get", official, "", "", "").Code)

	kind, body := upload(t, "media", "a.png", "image/png", []byte("\x89PNG\r\n\x1a\n"))
	ours := call("POST", "/cgi-bin/media/upload", official, "&type=image", kind, body)
	theirs := call("POST", "/cgi-bin/media/upload", corp, "&type=image", kind, body)
	require.NotContains(t, ours.Raw, "errcode")
	require.Regexp(t, `"created_at":"\d+","errcode":0`, theirs.Raw)
	get := func(token, id string) answer {
		return call("GET", "/cgi-bin/media/get", token, "&media_id="+id, "", "")
	}
	require.Equal(t, "image/png", get(official, ours.MediaID).Type)
	require.Equal(t, "image/png", get(corp, theirs.MediaID).Type)
	require.Equal(t, 40007, get(official, theirs.MediaID).Code)
	require.Equal(t, 40007, get(corp, ours.MediaID).Code)

	kind, body = upload(t, "media", "a.jpg", "image/jpeg", []byte("\xff\xd8\xff..."))
	require.Contains(t, call("POST", "/cgi-bin/media/uploadimg", official, "", kind, body).Raw, "mmbiz.qpic.cn")
	require.Contains(t, call("POST", "/cgi-bin/media/uploadimg", corp, "", kind, body).Raw, "p.qpic.cn")

	require.Contains(t, call("GET", "/cgi-bin/getcallbackip", corp, "", "", "").Raw, "errcode")
	require.Equal(t, 40014, call("GET", "/cgi-bin/user/info", corp, "&openid=o", "", "").Code, "not a path of WeCom")
}

func TestAWhitelistMayBeForAllCalls(t *testing.T) {
	wx := new(wechattest.Server)
	wx.ClientIP = "203.0.113.9"
	add := func(ips ...string) {
		all := len(ips) > 0
		wx.Add(wechattest.App{ID: "wx1", Secret: "s1", IPs: ips, IPsForAll: all})
		wx.Add(wechattest.App{ID: "mini", Secret: "s1", Kind: wechattest.Mini, IPs: ips, IPsForAll: all})
		wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7, IPs: ips, IPsForAll: all})
	}
	add()
	official, mini, corp := stable(t, wx).Token, get(t, wx, classicURL("mini", "s1")).Token, get(t, wx, workURL("ww1", "s1")).Token
	calls := func() []int {
		web := "appid=wx1&secret=s1&grant_type=authorization_code&code=x"
		return []int{
			get(t, wx, api+"/cgi-bin/get_api_domain_ip?access_token="+official).Code,
			get(t, wx, work+"/cgi-bin/get_api_domain_ip?access_token="+corp).Code,
			get(t, wx, api+"/sns/oauth2/access_token?"+web).Code,
			post(t, wx, api+"/cgi-bin/clear_quota/v2?appid=wx1&appsecret=s1", "").Code,
			get(t, wx, api+"/cgi-bin/get_api_domain_ip?access_token="+mini).Code,
			get(t, wx, api+"/sns/jscode2session?appid=mini&secret=s1&grant_type=authorization_code&js_code=x").Code,
		}
	}
	allowed := []int{0, 0, 40029, 0, 0, 40029}
	require.Equal(t, allowed, calls())
	add("198.51.100.0/24")
	require.Equal(t, []int{40164, 60020, 40164, 40164, 0, 40164}, calls(), "a mini program's are those with its secret")
	require.Contains(t, get(t, wx, api+"/cgi-bin/user/info?openid=o&access_token="+official).Msg, "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: ")
	require.Contains(t, get(t, wx, work+"/cgi-bin/user/get?userid=u&access_token="+corp).Msg, "not allow to access from your ip, hint: [")
	require.Equal(t, 40014, get(t, wx, api+"/cgi-bin/user/info?access_token=x").Code, "the token comes first: it tells the app")
	add("203.0.113.9")
	require.Equal(t, allowed, calls())
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", IPs: []string{"198.51.100.1"}})
	require.Zero(t, get(t, wx, api+"/cgi-bin/get_api_domain_ip?access_token="+official).Code, "without the switch it is for token calls")
	require.Equal(t, http.StatusOK, get(t, wx, api+"/cgi-bin/get_api_domain_ip?access_token="+official).Status)
}
