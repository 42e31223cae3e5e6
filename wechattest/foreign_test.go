package wechattest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

// foreign is a program of somebody else: it knows an address, and calls it as WeChat's pages say.
type foreign struct {
	t     *testing.T
	base  string
	token string
}

// call decodes an answer into out and fails on an errcode. It takes any Content-Type, as clients of WeChat must.
func (f foreign) call(method, path string, query url.Values, kind string, body io.Reader, out any) {
	f.t.Helper()
	if query == nil {
		query = url.Values{}
	}
	query.Set("access_token", f.token)
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.base+path+"?"+query.Encode(), body)
	require.NoError(f.t, err)
	r.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(r)
	require.NoError(f.t, err)
	defer res.Body.Close()
	require.Equal(f.t, 200, res.StatusCode)
	raw, err := io.ReadAll(res.Body)
	require.NoError(f.t, err)
	if file, ok := out.(*[]byte); ok {
		require.NotContains(f.t, res.Header.Get("Content-Type"), "json", "%s", raw)
		*file = raw
		return
	}
	var failed struct {
		Code int    `json:"errcode"`
		Msg  string `json:"errmsg"`
	}
	require.NoError(f.t, json.Unmarshal(raw, &failed), "%s", raw)
	require.Zero(f.t, failed.Code, "%s: %s", path, failed.Msg)
	require.NoError(f.t, json.Unmarshal(raw, out), "%s", raw)
}

func (f foreign) get(path string, query url.Values, out any) {
	f.t.Helper()
	f.call(http.MethodGet, path, query, "", nil, out)
}

func (f foreign) post(path, body string, out any) {
	f.t.Helper()
	f.call(http.MethodPost, path, nil, "application/json", strings.NewReader(body), out)
}

// upload sends a file as `curl -F media=@name` does.
func (f foreign) upload(path string, query url.Values, name, data, description string, out any) {
	f.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile("media", name)
	require.NoError(f.t, err)
	_, err = io.WriteString(part, data)
	require.NoError(f.t, err)
	if description != "" {
		require.NoError(f.t, form.WriteField("description", description))
	}
	require.NoError(f.t, form.Close())
	f.call(http.MethodPost, path, query, form.FormDataContentType(), &b, out)
}

// abroad serves a Server, and gives a foreign program a token of the app added.
func abroad(t *testing.T, a wechattest.App) (*wechattest.Server, foreign) {
	wx := new(wechattest.Server)
	wx.Add(a)
	web := httptest.NewServer(wx)
	t.Cleanup(web.Close)
	f := foreign{t: t, base: web.URL}
	var token struct {
		Value string `json:"access_token"`
	}
	if a.Kind == wechattest.Work {
		f.get("/cgi-bin/gettoken", url.Values{"corpid": {a.ID}, "corpsecret": {a.Secret}}, &token)
	} else {
		f.get("/cgi-bin/token", url.Values{"grant_type": {"client_credential"}, "appid": {a.ID}, "secret": {a.Secret}}, &token)
	}
	f.token = token.Value
	return wx, f
}

func TestAForeignProgramOfAnOfficialAccount(t *testing.T) {
	wx, f := abroad(t, wechattest.App{ID: "wx1", Secret: "s1"})
	var users struct {
		Total int `json:"total"`
		Data  struct {
			OpenID []string `json:"openid"`
		} `json:"data"`
	}
	f.get("/cgi-bin/user/get", url.Values{"next_openid": {""}}, &users)
	require.Equal(t, 1, users.Total)
	list, err := json.Marshal(map[string]any{"user_list": []map[string]string{{"openid": users.Data.OpenID[0], "lang": "zh_CN"}}})
	require.NoError(t, err)
	var infos struct {
		List []struct {
			Subscribe int    `json:"subscribe"`
			OpenID    string `json:"openid"`
		} `json:"user_info_list"`
	}
	f.post("/cgi-bin/user/info/batchget", string(list), &infos)
	require.Equal(t, wx.OpenID("wx1", "ming"), infos.List[0].OpenID)
	require.Equal(t, 1, infos.List[0].Subscribe)

	var code struct {
		Ticket        string `json:"ticket"`
		ExpireSeconds int    `json:"expire_seconds"`
		URL           string `json:"url"`
	}
	f.post("/cgi-bin/qrcode/create", `{"expire_seconds": 604800, "action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 123}}}`, &code)
	require.Equal(t, 604800, code.ExpireSeconds)
	var picture []byte
	f.get("/cgi-bin/showqrcode", url.Values{"ticket": {code.Ticket}}, &picture)
	require.Equal(t, "image/jpeg", http.DetectContentType(picture))
	pushed, err := wx.Scan(t.Context(), &push.Callback{AppID: "wx1", Token: "tok", Handler: answering("")}, code.Ticket, "")
	require.NoError(t, err)
	require.Contains(t, pushed.Document, "<EventKey><![CDATA[123]]>")

	var image struct {
		URL string `json:"url"`
	}
	f.upload("/cgi-bin/media/uploadimg", nil, "test.jpg", jpegHead, "", &image)
	require.NotEmpty(t, image.URL)
	var material struct {
		MediaID string `json:"media_id"`
		URL     string `json:"url"`
	}
	f.upload("/cgi-bin/material/add_material", url.Values{"type": {"image"}}, "test.jpg", jpegHead, "", &material)
	require.NotEmpty(t, material.MediaID)
	require.NotEmpty(t, material.URL)
	f.upload("/cgi-bin/material/add_material", url.Values{"type": {"video"}}, "test.mp4", "video", `{"title":"VIDEO_TITLE","introduction":"INTRODUCTION"}`, &material)

	var done struct{}
	f.post("/cgi-bin/menu/create", `{"button":[{"type":"click","name":"今日歌曲","key":"V1001_TODAY_MUSIC"},{"name":"菜单","sub_button":[{"type":"view","name":"搜索","url":"http://www.soso.com/"}]}]}`, &done)
	type button struct {
		Name string    `json:"name"`
		Sub  *[]button `json:"sub_button"`
	}
	var menu struct {
		Menu struct {
			Button []button `json:"button"`
		} `json:"menu"`
	}
	f.get("/cgi-bin/menu/get", nil, &menu)
	require.Empty(t, *menu.Menu.Button[0].Sub)
	require.Empty(t, *(*menu.Menu.Button[1].Sub)[0].Sub)
}

func TestAForeignProgramOfAMiniProgram(t *testing.T) {
	wx, f := abroad(t, wechattest.App{ID: "mini", Secret: "s1", Kind: wechattest.Mini})
	for path, body := range map[string]string{
		"/wxa/getwxacode":        `{"path":"page/index/index","width":430}`,
		"/wxa/getwxacodeunlimit": `{"scene":"a=1","page":"pages/index/index","check_path":true,"env_version":"release"}`,
	} {
		var picture []byte
		f.call(http.MethodPost, path, nil, "application/json", strings.NewReader(body), &picture)
		require.Equal(t, "image/jpeg", http.DetectContentType(picture))
	}
	var phone struct {
		Info struct {
			CountryCode string `json:"countryCode"`
		} `json:"phone_info"`
	}
	f.post("/wxa/business/getuserphonenumber", `{"code":"`+wx.PhoneCode("mini", "")+`"}`, &phone)
	require.Equal(t, "86", phone.Info.CountryCode)
}

func TestAForeignProgramOfWeCom(t *testing.T) {
	wx, f := abroad(t, wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7})
	wx.AddPerson(wechattest.Person{Name: "zhangsan", Departments: []int{1, 2}})
	wx.AddDepartment("ww1", wechattest.Department{ID: 2, Name: "广州研发中心"})
	wx.Browse("", wechattest.Allow)

	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	login := url.Values{"appid": {"ww1"}, "agentid": {"7"}, "redirect_uri": {"http://api.3dept.com"}, "state": {"web_login@gyoss9"}}
	res, err := browser.Get(f.base + "/wwopen/sso/qrConnect?" + login.Encode())
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	back, err := res.Location()
	require.NoError(t, err)
	require.Equal(t, "web_login@gyoss9", back.Query().Get("state"))
	var who struct{ UserId, DeviceId string }
	f.get("/cgi-bin/user/getuserinfo", url.Values{"code": {back.Query().Get("code")}}, &who)
	require.Equal(t, "zhangsan", who.UserId)

	type member struct {
		UserID         string `json:"userid"`
		Department     []int  `json:"department"`
		Order          []int  `json:"order"`
		IsLeaderInDept []int  `json:"is_leader_in_dept"`
		MainDepartment int    `json:"main_department"`
	}
	want := member{"zhangsan", []int{1, 2}, []int{0, 0}, []int{0, 0}, 1}
	var one member
	f.get("/cgi-bin/user/get", url.Values{"userid": {who.UserId}}, &one)
	require.Equal(t, want, one)
	var departments struct {
		Department []struct {
			ID       int    `json:"id"`
			Name     string `json:"name"`
			ParentID int    `json:"parentid"`
		} `json:"department"`
	}
	f.get("/cgi-bin/department/list", nil, &departments)
	require.Len(t, departments.Department, 2)
	require.Equal(t, "广州研发中心", departments.Department[1].Name)
	var members struct {
		List []member `json:"userlist"`
	}
	f.get("/cgi-bin/user/list", url.Values{"department_id": {"2"}}, &members)
	require.Equal(t, []member{want}, members.List)

	var media struct {
		Type      string `json:"type"`
		ID        string `json:"media_id"`
		CreatedAt string `json:"created_at"`
	}
	f.upload("/cgi-bin/media/upload", url.Values{"type": {"file"}}, "wework.txt", "mytext", "", &media)
	require.Equal(t, "file", media.Type)
	require.NotEmpty(t, media.CreatedAt)
	var file []byte
	f.get("/cgi-bin/media/get", url.Values{"media_id": {media.ID}}, &file)
	require.Equal(t, "mytext", string(file))

	var sent struct {
		MsgID string `json:"msgid"`
	}
	f.post("/cgi-bin/message/send", `{"touser":"zhangsan","msgtype":"file","agentid":"7","file":{"media_id":"`+media.ID+`"}}`, &sent)
	require.NotEmpty(t, sent.MsgID)
	var done struct{}
	f.call(http.MethodPost, "/cgi-bin/menu/create", url.Values{"agentid": {"7"}}, "application/json", strings.NewReader(`{"button":[{"type":"click","name":"a","key":"k"}]}`), &done)
	var menu struct {
		Button []struct{ Name string } `json:"button"`
	}
	f.get("/cgi-bin/menu/get", url.Values{"agentid": {"7"}}, &menu)
	require.Equal(t, "a", menu.Button[0].Name)
}
