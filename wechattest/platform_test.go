package wechattest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

const (
	platformID = "wxplatform00000001"
	pushKey    = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	component  = api + "/cgi-bin/component/"
)

// componentAnswer is what a component call answered.
type componentAnswer struct {
	Code      int    `json:"errcode"`
	Component string `json:"component_access_token"`
	PreAuth   string `json:"pre_auth_code"`
	Token     string `json:"authorizer_access_token"`
	Refresh   string `json:"authorizer_refresh_token"`
	Total     int    `json:"total_count"`
	List      []struct {
		AppID   string `json:"authorizer_appid"`
		Refresh string `json:"refresh_token"`
	} `json:"list"`
	Info struct {
		AppID   string `json:"authorizer_appid"`
		Token   string `json:"authorizer_access_token"`
		Refresh string `json:"authorizer_refresh_token"`
	} `json:"authorization_info"`
	Account struct {
		Mini json.RawMessage `json:"MiniProgramInfo"`
	} `json:"authorizer_info"`
}

func componentCall(t testing.TB, wx *wechattest.Server, call, token, body string) (a componentAnswer) {
	t.Helper()
	raw := post(t, wx, component+call+"?component_access_token="+token, body).Raw
	require.NoError(t, json.Unmarshal([]byte(raw), &a), raw)
	return a
}

// success answers every notice as a platform has to.
var success = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "success") })

func newPlatform(t testing.TB, change func(*wechattest.Platform)) (wx *wechattest.Server, token string) {
	wx = new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.Add(wechattest.App{ID: "wxmini", Secret: "s2", Kind: wechattest.Mini})
	p := wechattest.Platform{ID: platformID, Secret: "platform secret", Token: "tok", EncodingAESKey: pushKey, Handler: success}
	if change != nil {
		change(&p)
	}
	wx.AddPlatform(p)
	return wx, componentToken(t, wx)
}

func componentToken(t testing.TB, wx *wechattest.Server) string {
	result, err := wx.PushTicket(t.Context(), platformID)
	require.NoError(t, err)
	require.Empty(t, result.Fault)
	a := askComponentToken(t, wx, wx.Tickets(platformID)[0])
	require.NotEmpty(t, a.Component)
	return a.Component
}

func askComponentToken(t testing.TB, wx *wechattest.Server, ticket string) componentAnswer {
	return componentCall(t, wx, "api_component_token", "",
		fmt.Sprintf(`{"component_appid":%q,"component_appsecret":"platform secret","component_verify_ticket":%q}`, platformID, ticket))
}

func own(more string) string { return fmt.Sprintf(`{"component_appid":%q%s}`, platformID, more) }

func refresh(t testing.TB, wx *wechattest.Server, token, appID, refreshToken string) componentAnswer {
	return componentCall(t, wx, "api_authorizer_token", token, own(fmt.Sprintf(`,"authorizer_appid":%q,"authorizer_refresh_token":%q`, appID, refreshToken)))
}

func TestAnAccountAuthorizesAPlatform(t *testing.T) {
	wx, token := newPlatform(t, nil)
	code, err := wx.Authorize(t.Context(), platformID, "wx1")
	require.NoError(t, err)
	exchange := own(fmt.Sprintf(`,"authorization_code":%q`, code))
	got := componentCall(t, wx, "api_query_auth", token, exchange)
	require.Equal(t, "wx1", got.Info.AppID)
	require.Zero(t, wx.Check(got.Info.Token))
	again := componentCall(t, wx, "api_query_auth", token, exchange)
	require.Equal(t, got.Info.Refresh, again.Info.Refresh)

	next := refresh(t, wx, token, "wx1", got.Info.Refresh)
	require.NotEqual(t, got.Info.Token, next.Token)
	require.Equal(t, got.Info.Refresh, next.Refresh)
	require.Zero(t, wx.Check(got.Info.Token), "the one before stays valid for the window")
	require.Equal(t, 0, get(t, wx, api+"/cgi-bin/getcallbackip?access_token="+next.Token).Code)

	require.Equal(t, next.Refresh, componentCall(t, wx, "api_get_authorizer_info", token, own(`,"authorizer_appid":"wx1"`)).Info.Refresh)
	page := componentCall(t, wx, "api_get_authorizer_list", token, own(`,"offset":0,"count":500`))
	require.Equal(t, 1, page.Total)
	require.Equal(t, next.Refresh, page.List[0].Refresh)

	_, err = wx.Unauthorize(t.Context(), platformID, "wx1")
	require.NoError(t, err)
	require.Equal(t, 40001, wx.Check(next.Token))
	require.Equal(t, 61003, refresh(t, wx, token, "wx1", next.Refresh).Code)
	notices := wx.Notices(platformID)
	require.Contains(t, notices[1].Document, "<InfoType><![CDATA[authorized]]>")
	require.Contains(t, notices[2].Document, "<InfoType><![CDATA[unauthorized]]>")
}

func TestALostReplyLosesTheRotatedRefreshToken(t *testing.T) {
	wx, token := newPlatform(t, func(p *wechattest.Platform) { p.Rotate = true })
	code, err := wx.Authorize(t.Context(), platformID, "wx1")
	require.NoError(t, err)
	got := componentCall(t, wx, "api_query_auth", token, own(fmt.Sprintf(`,"authorization_code":%q`, code)))
	wx.AddFault(wechattest.Fault{Path: "/cgi-bin/component/api_authorizer_token", AfterWork: true, Cut: true, Times: 1})
	_, err = wx.Client().Post(component+"api_authorizer_token?component_access_token="+token, "application/json",
		strings.NewReader(own(fmt.Sprintf(`,"authorizer_appid":"wx1","authorizer_refresh_token":%q`, got.Info.Refresh))))
	require.Error(t, err)
	require.Equal(t, 61023, refresh(t, wx, token, "wx1", got.Info.Refresh).Code)
	found := componentCall(t, wx, "api_get_authorizer_info", token, own(`,"authorizer_appid":"wx1"`)).Info.Refresh
	require.NotEmpty(t, refresh(t, wx, token, "wx1", found).Token)
}

func TestRefusalsOfAPlatform(t *testing.T) {
	wx, token := newPlatform(t, func(p *wechattest.Platform) { p.CodesOnce, p.Denied = true, []string{"/cgi-bin/menu/get"} })
	require.Equal(t, 61006, askComponentToken(t, wx, "unknown").Code)
	wx.EndTicket(platformID, wx.Tickets(platformID)[0])
	require.Equal(t, 61005, askComponentToken(t, wx, wx.Tickets(platformID)[0]).Code)
	require.Equal(t, 61003, refresh(t, wx, token, "wx1", "any").Code)
	require.Equal(t, 61009, componentCall(t, wx, "api_query_auth", token, own(`,"authorization_code":"x"`)).Code)
	require.Equal(t, 40014, componentCall(t, wx, "api_create_preauthcode", "x", own("")).Code)
	require.Equal(t, 41021, componentCall(t, wx, "api_create_preauthcode", "", own("")).Code)
	require.Equal(t, 41018, componentCall(t, wx, "api_create_preauthcode", token, `{"a":1}`).Code)
	require.Equal(t, 61011, componentCall(t, wx, "api_create_preauthcode", token, `{"component_appid":"wx2"}`).Code)
	require.Equal(t, 40097, componentCall(t, wx, "api_get_authorizer_list", token, own(`,"offset":0,"count":501`)).Code)
	require.Equal(t, 61024, get(t, wx, classicURL(platformID, "platform secret")).Code)
	require.Equal(t, 48001, get(t, wx, api+"/cgi-bin/getcallbackip?access_token="+token).Code)

	code, err := wx.Authorize(t.Context(), platformID, "wx1")
	require.NoError(t, err)
	exchange := own(fmt.Sprintf(`,"authorization_code":%q`, code))
	got := componentCall(t, wx, "api_query_auth", token, exchange)
	require.Equal(t, 61009, componentCall(t, wx, "api_query_auth", token, exchange).Code)
	require.Equal(t, 61023, refresh(t, wx, token, "wx1", "another").Code)
	require.Equal(t, 61007, get(t, wx, api+"/cgi-bin/menu/get?access_token="+got.Info.Token).Code)
	wx.Expire(token)
	require.Equal(t, 42006, componentCall(t, wx, "api_create_preauthcode", token, own("")).Code)

	wx.AddPlatform(wechattest.Platform{ID: platformID, Secret: "platform secret", Token: "tok", EncodingAESKey: pushKey, IPs: []string{"10.0.0.1"}})
	require.Equal(t, 61004, askComponentToken(t, wx, "unknown").Code)
	require.Equal(t, 61004, get(t, wx, api+"/cgi-bin/getcallbackip?access_token="+got.Info.Token).Code)
}

func TestTicketsArePushedEveryTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, _ := newPlatform(t, nil)
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = wx.Run(ctx) }()
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		require.Len(t, wx.Tickets(platformID), 1+7)
		wx.StopTickets(platformID)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, wx.Tickets(platformID), 1+7)
		require.Zero(t, componentCall(t, wx, "api_start_push_ticket", "", fmt.Sprintf(`{"component_appid":%q,"component_secret":"platform secret"}`, platformID)).Code)
		wx.Wait()
		require.Len(t, wx.Tickets(platformID), 1+8)
		last := wx.Tickets(platformID)[0]
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		require.Len(t, wx.Tickets(platformID), 1+9)
		stop()
		time.Sleep(12 * time.Hour)
		require.Equal(t, 61005, askComponentToken(t, wx, last).Code)
	})
}

func TestTheAuthorizationPageReturnsWithACode(t *testing.T) {
	wx, token := newPlatform(t, func(p *wechattest.Platform) { p.Domain = "wx.example.com" })
	preauth := componentCall(t, wx, "api_create_preauthcode", token, own("")).PreAuth
	open := func(path, more, referer string) *http.Response {
		q := url.Values{"component_appid": {platformID}, "pre_auth_code": {preauth}, "redirect_uri": {"https://wx.example.com/back?state=1"}}
		r, err := http.NewRequest(http.MethodGet, "https://mp.weixin.qq.com"+path+"?"+q.Encode()+more, nil)
		require.NoError(t, err)
		r.Header.Set("Referer", referer)
		client := wx.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		res, err := client.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	const desktop, mobile = "/cgi-bin/componentloginpage", "/safe/bindcomponent"
	text := func(res *http.Response) string {
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(b)
	}
	require.Contains(t, text(open(desktop, "", "https://other.example.com/")), "请确认授权入口页所在域名")
	require.Contains(t, text(open(mobile, "", "https://wx.example.com/")), "参数错误")
	page := text(open(desktop, "&auth_type=2", "https://wx.example.com/"))
	require.Contains(t, page, "wxmini")
	require.NotContains(t, page, "<option>wx1<")

	wx.Browse("", wechattest.Allow)
	res := open(mobile, "&action=bindcomponent&no_scan=1&biz_appid=wx1", "https://wx.example.com/")
	require.Equal(t, http.StatusFound, res.StatusCode)
	back, err := res.Location()
	require.NoError(t, err)
	require.Equal(t, "1", back.Query().Get("state"))
	require.Equal(t, "3600", back.Query().Get("expires_in"))
	got := componentCall(t, wx, "api_query_auth", token, own(fmt.Sprintf(`,"authorization_code":%q`, back.Query().Get("auth_code"))))
	require.Equal(t, "wx1", got.Info.AppID)
	wx.Wait()
	require.Contains(t, wx.Notices(platformID)[1].Document, back.Query().Get("auth_code"))
	require.Contains(t, text(open(desktop, "", "https://wx.example.com/")), "预授权码已失效", "an authorization uses it up")
}

func TestALoginOfAnAccountIsThePlatforms(t *testing.T) {
	wx, token := newPlatform(t, nil)
	_, err := wx.Authorize(t.Context(), platformID, "wx1")
	require.NoError(t, err)
	client := wx.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Get("https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1&redirect_uri=https%3A%2F%2Fx%2F&response_type=code&scope=snsapi_base&state=s&component_appid=" + platformID)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	back, err := res.Location()
	require.NoError(t, err)
	require.Equal(t, "wx1", back.Query().Get("appid"))
	code := back.Query().Get("code")
	require.Equal(t, 40029, get(t, wx, api+"/sns/oauth2/access_token?appid=wx1&secret=s1&grant_type=authorization_code&code="+code).Code)
	by := "&component_appid=" + platformID + "&component_access_token=" + token
	got := get(t, wx, api+"/sns/oauth2/component/access_token?appid=wx1&grant_type=authorization_code&code="+code+by)
	require.NotEmpty(t, got.Token, got.Raw)
	require.Equal(t, 61003, get(t, wx, api+"/sns/oauth2/component/access_token?appid=wxmini&grant_type=authorization_code&code=x"+by).Code)

	_, err = wx.Authorize(t.Context(), platformID, "wxmini")
	require.NoError(t, err)
	session := get(t, wx, api+"/sns/component/jscode2session?appid=wxmini&grant_type=authorization_code&js_code="+wx.MiniCode("wxmini", "ming")+by)
	require.Contains(t, session.Raw, "session_key")
}

func TestTheReleaseCheckReportsWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, _ := newPlatform(t, func(p *wechattest.Platform) { p.MessageURL = "http://platform.example/message/$APPID$" })
		steps, err := wx.CheckRelease(t.Context(), platformID)
		require.NoError(t, err)
		var failed []string
		for _, step := range steps {
			if step.Fault != "" {
				failed = append(failed, step.Name)
			}
		}
		require.Equal(t, []string{"text", "event", "customer_service"}, failed)
		require.Len(t, steps, 6)
	})
}

func TestANoticeMustBeAnsweredWithSuccess(t *testing.T) {
	wx, _ := newPlatform(t, nil)
	to := push.Callback{AppID: platformID, Token: "tok", EncodingAESKey: pushKey, Handler: http.NotFoundHandler(), Tries: 1}
	result, err := to.Push(t.Context(), push.Message{InfoType: "unauthorized"})
	require.NoError(t, err)
	require.NotEmpty(t, result.Fault)
	to.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		require.Contains(t, string(body), "<AppId><![CDATA["+platformID)
		require.Equal(t, "aes", r.URL.Query().Get("encrypt_type"))
		require.False(t, r.URL.Query().Has("openid"))
	})
	result, err = to.Push(t.Context(), push.Message{InfoType: "unauthorized"})
	require.NoError(t, err)
	require.Contains(t, result.Fault, "not success")
	to.Mode = "plain"
	_, err = to.Push(t.Context(), push.Message{InfoType: "unauthorized"})
	require.Error(t, err)
	require.Len(t, wx.Tickets(platformID), 1)
}
