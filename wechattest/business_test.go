package wechattest_test

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// trio is a Server with an official account, a mini program and a WeCom application, and a good token of each.
func trio(t testing.TB) (wx *wechattest.Server, official, mini, corp string) {
	wx = new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.Add(wechattest.App{ID: "mini", Secret: "s1", Kind: wechattest.Mini, Pages: []string{"pages/index"}})
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7})
	return wx, stable(t, wx).Token, get(t, wx, classicURL("mini", "s1")).Token, get(t, wx, workURL("ww1", "s1")).Token
}

func TestChecksOfACallComeInWeChatsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, official, mini, _ := trio(t)
		wx.Add(wechattest.App{ID: "wx1", Secret: "s1", Quotas: map[string]int{"/cgi-bin/menu/create": 1}})
		old := classic(t, wx).Token
		classic(t, wx)
		classic(t, wx)
		aged := get(t, wx, classicURL("mini", "s1")).Token
		wx.Expire(aged)
		const create = api + "/cgi-bin/menu/create"
		const menu = `{"button":[{"type":"click","name":"a","key":"k"}]}`
		require.Equal(t, 43002, get(t, wx, create).Code)
		require.Equal(t, 44002, post(t, wx, create, "").Code)
		require.Equal(t, 47001, post(t, wx, create, "button=1").Code)
		require.Equal(t, 41001, post(t, wx, create, "{}").Code)
		require.Equal(t, 40014, post(t, wx, create+"?access_token=garbage", "{}").Code)
		require.Equal(t, 40001, post(t, wx, create+"?access_token="+old, "{}").Code)
		require.Equal(t, 42001, post(t, wx, create+"?access_token="+aged, "{}").Code)
		require.Equal(t, 48001, post(t, wx, create+"?access_token="+mini, "{}").Code)
		require.Equal(t, 40016, post(t, wx, create+"?access_token="+official, "{}").Code)
		require.Equal(t, 45009, post(t, wx, create+"?access_token="+official, menu).Code)
		require.Equal(t, 0, post(t, wx, api+"/cgi-bin/clear_quota?access_token="+official, `{"appid":"wx1"}`).Code)
		require.Equal(t, 0, post(t, wx, create+"?access_token="+official, menu).Code)
	})
}

func TestMenuValuesAreGivenBackToTheByteWithSubButtons(t *testing.T) {
	wx, official, _, _ := trio(t)
	token := "?access_token=" + official
	require.Equal(t, 46003, get(t, wx, api+"/cgi-bin/menu/get"+token).Code)
	const view = `{"type":"view","name":"\u003c中文>","url":"https://example.com/?a=1\u0026b=2&c"`
	const menu = `{"button": [` + view + `}, {"name":"more","sub_button":[` + view + `}]}]}`
	require.Equal(t, 0, post(t, wx, api+"/cgi-bin/menu/create"+token, menu+"\n").Code)
	a := get(t, wx, api+"/cgi-bin/menu/get"+token)
	const listed = `{"button":[` + view + `,"sub_button":[]},{"name":"more","sub_button":[` + view + `,"sub_button":[]}]}]}`
	require.Equal(t, `{"menu":`+listed+`}`, a.Raw)
	require.Equal(t, 0, post(t, wx, api+"/cgi-bin/menu/create"+token, listed).Code, "what was listed may be sent again")
	require.Equal(t, a.Raw, get(t, wx, api+"/cgi-bin/menu/get"+token).Raw)
	for body, want := range map[string]int{
		`{"button":[]}`:                                     40016,
		`{"button":[1]}`:                                    47001,
		`{"button":[{"sub_button":{}}]}`:                    47001,
		`{"button":[{"sub_button":[1]}]}`:                   47001,
		`{"button":[{"sub_button":[{},{},{},{},{},{}]}]}`:   40023,
		`{"button":[{"sub_button":[{"sub_button":[{}]}]}]}`: 40022,
		`{"button":[` + strings.Repeat(`{"sub_button":[`, 4000) + strings.Repeat(`]}`, 4000) + `]}`: 40022,
		`{"button":[{"a":` + strings.Repeat("[", 4000) + `1` + strings.Repeat("]", 4000) + `}]}`:    0,
	} {
		require.Equal(t, want, post(t, wx, api+"/cgi-bin/menu/create"+token, body).Code, "%.60s", body)
	}
	require.Equal(t, "text/plain", a.Type)
	require.Equal(t, 0, get(t, wx, api+"/cgi-bin/menu/delete"+token).Code)
	require.Equal(t, 46003, get(t, wx, api+"/cgi-bin/menu/get"+token).Code)
}

func TestMessagesThatMayNotBeSent(t *testing.T) {
	wx, official, mini, corp := trio(t)
	long := strings.Repeat("o", 129)
	for _, c := range []struct {
		token, path, body string
		want              int
	}{
		{official, "custom/send", `{"msgtype":"text","text":{"content":"a"}}`, 40003},
		{official, "custom/send", `{"touser":"` + long + `","msgtype":"text","text":{"content":"a"}}`, 40003},
		{official, "custom/send", `{"touser":"o","msgtype":"smoke","smoke":{}}`, 40008},
		{official, "custom/send", `{"touser":"o","msgtype":"text","text":"a"}`, 47001},
		{official, "custom/send", `{"touser":"o","msgtype":"text","text":{"content":""}}`, 44004},
		{official, "custom/send", `{"touser":"o","msgtype":"text","text":{"content":"` + strings.Repeat("a", 2049) + `"}}`, 45002},
		{official, "custom/send", `{"touser":"o","msgtype":"image","image":{}}`, 40007},
		{official, "custom/send", `{"touser":"o","msgtype":"news","news":{"articles":[{},{}]}}`, 45008},
		{official, "custom/send", `{"touser":"o","msgtype":"link"}`, 44004},
		{official, "template/send", `{"template_id":"t","data":{"a":{"value":"v"}}}`, 40003},
		{official, "template/send", `{"touser":"o","data":{"a":{"value":"v"}}}`, 40037},
		{official, "template/send", `{"touser":"o","template_id":"t"}`, 47003},
		{official, "subscribe/send", `{"touser":"o","template_id":"t","data":{"a":{"value":"v"}}}`, 48001},
		{mini, "template/send", `{"touser":"o","template_id":"t","data":{"a":{"value":"v"}}}`, 48001},
		{mini, "subscribe/send", `{"touser":"","template_id":"t","data":{"a":{"value":"v"}}}`, 40003},
		{mini, "subscribe/send", `{"touser":"o","template_id":"","data":{"a":{"value":"v"}}}`, 40037},
		{mini, "subscribe/send", `{"touser":"o","template_id":"t","page":"pages/none","data":{"a":{"value":"v"}}}`, 41030},
		{mini, "subscribe/send", `{"touser":"o","template_id":"t","data":{"date2":{}}}`, 47003},
		{corp, "send", `{"touser":"u","msgtype":"text","agentid":8,"text":{"content":"a"}}`, 40056},
		{corp, "send", `{"msgtype":"text","agentid":7,"text":{"content":"a"}}`, 81013},
		{corp, "send", `{"touser":"u","msgtype":"text","agentid":7,"text":{}}`, 44004},
		{corp, "send", `{"touser":"u","msgtype":"file","agentid":7}`, 44004},
		{corp, "send", `{"touser":"u","msgtype":"smoke","agentid":7}`, 40008},
		{corp, "send", `{"touser":"u","msgtype":"text","agentid":"seven"}`, 47001},
	} {
		a := post(t, wx, "http://127.0.0.1:1/cgi-bin/message/"+c.path+"?access_token="+c.token, c.body)
		require.Equal(t, c.want, a.Code, "%s %.100s", c.path, c.body)
		if c.want == 47003 {
			require.Contains(t, a.Msg, "argument invalid! data")
		}
	}
	require.Empty(t, wx.Sent())
}

func TestSentMessagesAreReadBackToTheByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, official, mini, corp := trio(t)
		bodies := []string{
			`{"touser":"o","msgtype":"text","text":{"content":"a \u003c b < c 中文"}}`,
			`{"touser":"o","template_id":"t","data":{"a":{"value":"v"}}}`,
			`{"touser":"o","template_id":"t","page":"pages/index?x=1","data":{"thing1":{"value":"v"}}}`,
			`{"toparty":"1","msgtype":"markdown","agentid":7,"markdown":{"content":"a"}}`,
		}
		post(t, wx, api+"/cgi-bin/message/custom/send?access_token="+official, bodies[0])
		template := post(t, wx, api+"/cgi-bin/message/template/send?access_token="+official, bodies[1])
		post(t, wx, api+"/cgi-bin/message/subscribe/send?access_token="+mini, bodies[2])
		wx.AddFault(wechattest.Fault{Path: "/cgi-bin/message/send", Times: 1, Status: 502, AfterWork: true})
		require.Equal(t, 502, post(t, wx, work+"/cgi-bin/message/send?access_token="+corp, bodies[3]).Status)

		sent := wx.Sent()
		require.Len(t, sent, 4)
		for i, m := range sent {
			require.Equal(t, bodies[i], string(m.Body))
			require.Equal(t, time.Now(), m.Time)
		}
		require.Equal(t, []string{"wx1", "wx1", "mini", "ww1"}, []string{sent[0].AppID, sent[1].AppID, sent[2].AppID, sent[3].AppID})
		require.Equal(t, 7, sent[3].AgentID)
		require.Empty(t, sent[0].MsgID)
		require.Equal(t, string(template.MsgID), sent[1].MsgID)
		require.Greater(t, len(sent[1].MsgID), 16, "beyond 2^53")

		sent[0].Body[0] = 'x'
		require.Equal(t, bodies[0], string(wx.Sent()[0].Body), "the caller owns what Sent returned")
	})
}

// upload makes the body of a form with one part.
func upload(t testing.TB, field, filename, kind string, data []byte) (contentType, body string) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=%q", field)}}
	if filename != "" {
		header.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q; filename=%q", field, filename))
	}
	if kind != "" {
		header.Set("Content-Type", kind)
	}
	part, err := form.CreatePart(header)
	require.NoError(t, err)
	_, err = part.Write(data)
	require.NoError(t, err)
	require.NoError(t, form.Close())
	return form.FormDataContentType(), b.String()
}

func TestMediaComesBackAsItWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, official, mini, _ := trio(t)
		target := api + "/cgi-bin/media/upload?type=image&access_token=" + official
		kind, body := upload(t, "media", "a b.png", "image/png", []byte("\x89PNG\x00\xff"))
		a := send(t, wx.Client(), http.MethodPost, target, kind, body)
		require.NotEmpty(t, a.MediaID, a.Raw)
		require.Contains(t, a.Raw, fmt.Sprint(`"created_at":`, time.Now().Unix()))

		fetch := func(token string) answer {
			return get(t, wx, api+"/cgi-bin/media/get?media_id="+a.MediaID+"&access_token="+token)
		}
		require.Equal(t, "\x89PNG\x00\xff", fetch(official).Raw)
		require.Equal(t, "image/png", fetch(official).Type)
		require.Equal(t, 40007, fetch(mini).Code, "another app's")
		require.Equal(t, "text/plain", fetch(mini).Type)
		pass(3 * 24 * time.Hour)
		require.Equal(t, 40007, fetch(stable(t, wx).Token).Code, "temporary media last three days")
	})
}

func TestMediaRefusals(t *testing.T) {
	wx, official, _, _ := trio(t)
	target := api + "/cgi-bin/media/upload?access_token=" + official
	kind, good := upload(t, "media", "a.jpg", "image/jpeg", []byte("x"))
	require.Equal(t, 40004, send(t, wx.Client(), http.MethodPost, target, kind, good).Code)
	target += "&type=image"
	for name, c := range map[string]struct {
		field, file string
		data        []byte
		want        int
	}{
		"another field": {"file", "a.jpg", []byte("x"), 41005},
		"no file name":  {"media", "", []byte("x"), 41005},
		"nothing in it": {"media", "a.jpg", nil, 41005},
		"too large":     {"media", "a.jpg", make([]byte, 10<<20), 45001},
	} {
		kind, body := upload(t, c.field, c.file, "", c.data)
		require.Equal(t, c.want, send(t, wx.Client(), http.MethodPost, target, kind, body).Code, name)
	}
	require.Equal(t, 41005, send(t, wx.Client(), http.MethodPost, target, "image/jpeg", "x").Code)
	require.Equal(t, 44002, send(t, wx.Client(), http.MethodPost, target, kind, "").Code)
	require.Equal(t, 41001, send(t, wx.Client(), http.MethodPost, api+"/cgi-bin/media/upload?type=image", kind, good).Code)
}

func TestMediaShelfDropsTheOldest(t *testing.T) {
	wx, official, _, _ := trio(t)
	kind, body := upload(t, "media", "a.mp4", "video/mp4", make([]byte, 9<<20))
	var ids []string
	for range 8 {
		ids = append(ids, send(t, wx.Client(), http.MethodPost, api+"/cgi-bin/media/upload?type=video&access_token="+official, kind, body).MediaID)
	}
	fetch := func(id string) answer {
		return get(t, wx, api+"/cgi-bin/media/get?media_id="+id+"&access_token="+official)
	}
	require.Equal(t, 40007, fetch(ids[0]).Code)
	require.Len(t, fetch(ids[7]).Raw, 9<<20)
}

func TestWxacodeIsAPictureOrJSON(t *testing.T) {
	wx, official, mini, _ := trio(t)
	target := api + "/wxa/getwxacodeunlimit?access_token="
	a := post(t, wx, target+mini, `{"scene":"id=1","page":"pages/index"}`)
	require.Equal(t, "image/jpeg", a.Type)
	_, err := jpeg.Decode(strings.NewReader(a.Raw))
	require.NoError(t, err)
	require.NotEqual(t, a.Raw, post(t, wx, target+mini, `{"scene":"id=2"}`).Raw)
	require.Equal(t, "image/jpeg", post(t, wx, target+mini, `{"scene":"a","page":"pages/new","check_path":false}`).Type)
	require.Equal(t, "image/jpeg", post(t, wx, target+mini, `{"scene":"aZ9!#$&'()*+,/:;=?@-._~","width":280,"env_version":"trial"}`).Type)
	for body, want := range map[string]int{
		`{"scene":"编号"}`:                                  40129,
		`{"scene":"100%"}`:                                40129,
		`{"scene":"a b"}`:                                 40129,
		`{"scene":"a\u0000"}`:                             40129,
		`{"scene":"` + strings.Repeat("a", 33) + `"}`:     40169,
		`{"scene":"a","page":"pages/index?x=1"}`:          41030,
		`{"scene":"a","page":"p?x=1","check_path":false}`: 41030,
		`{"scene":"a","width":279}`:                       40189,
		`{"scene":"a","width":"430"}`:                     40189,
		`{"scene":"a","env_version":"beta"}`:              40097,
	} {
		require.Equal(t, want, post(t, wx, target+mini, body).Code, body)
	}

	require.Equal(t, 41030, post(t, wx, target+mini, `{"scene":"a","page":"pages/none"}`).Code)
	require.Equal(t, 41030, post(t, wx, target+mini, `{"scene":"a","page":"/pages/index"}`).Code)
	require.Equal(t, 40169, post(t, wx, target+mini, `{"page":"pages/index"}`).Code)
	require.Equal(t, 48001, post(t, wx, target+official, `{"scene":"a"}`).Code)
	wx.Add(wechattest.App{ID: "mini", Secret: "s1", Kind: wechattest.Mini, Quotas: map[string]int{"/wxa/getwxacodeunlimit": 1}})
	require.Equal(t, 45009, post(t, wx, target+mini, `{"scene":"a"}`).Code)
}

func TestUsers(t *testing.T) {
	wx, official, mini, corp := trio(t)
	info := api + "/cgi-bin/user/info?access_token="
	require.Contains(t, get(t, wx, info+official+"&openid=o1").Raw, `"openid":"o1"`)
	require.Equal(t, 41009, get(t, wx, info+official).Code)
	require.Equal(t, 40003, get(t, wx, info+official+"&openid="+strings.Repeat("o", 129)).Code)
	require.Equal(t, 48001, get(t, wx, info+mini+"&openid=o1").Code)
	user := work + "/cgi-bin/user/get?access_token="
	require.Contains(t, get(t, wx, user+corp+"&userid=zhang").Raw, `"userid":"zhang"`)
	require.Equal(t, 40003, get(t, wx, user+corp).Code)
}

func TestSentKeepsTheNewestTenThousandAtLeast(t *testing.T) {
	wx, official, _, _ := trio(t)
	const sends = 20_001
	for i := range sends {
		body := fmt.Sprintf(`{"touser":"o%d","msgtype":"text","text":{"content":"a"}}`, i)
		wx.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/cgi-bin/message/custom/send?access_token="+official, strings.NewReader(body)))
	}
	sent := wx.Sent()
	require.Len(t, sent, 10_001)
	require.Contains(t, string(sent[len(sent)-1].Body), fmt.Sprint(`"o`, sends-1, `"`))
}
