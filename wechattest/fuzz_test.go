package wechattest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/wetoken/wetoken/wechattest"
)

// FuzzServer sends what strangers may send: every answer is a whole one, and JSON says what went wrong.
func FuzzServer(f *testing.F) {
	f.Add("GET", "/cgi-bin/token", "grant_type=client_credential&appid=wx1&secret=s1", "", "")
	f.Add("POST", "/cgi-bin/stable_token", "", "application/json", `{"grant_type":"client_credential","appid":"wx1","secret":"s1"}`)
	f.Add("POST", "/cgi-bin/stable_token", "", "", `{"grant_type":null,"appid":{},"secret":[[]]}`)
	f.Add("POST", "/cgi-bin/message/custom/send", "access_token=TOKEN", "", `{"touser":"o","msgtype":"text","text":null}`)
	f.Add("POST", "/cgi-bin/message/template/send", "access_token=TOKEN", "", `{"touser":"o","template_id":"t","data":{"a":null}}`)
	f.Add("POST", "/cgi-bin/menu/create", "access_token=TOKEN", "", `{"button":[null]}`)
	f.Add("POST", "/cgi-bin/media/upload", "access_token=TOKEN&type=image", "multipart/form-data; boundary=b",
		"--b\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a\x00\"\r\n\r\nx\r\n--b--\r\n")
	f.Add("POST", "/cgi-bin/openapi/quota/get", "access_token=TOKEN", "", `{"cgi_path":"/cgi-bin/token"}`)
	f.Add("POST", "/cgi-bin/menu/create", "access_token=CORP&agentid=7", "", `{"button":[{"sub_button":[{"sub_button":[]}],"sub_button":null}]}`)
	f.Add("POST", "/cgi-bin/media/upload", "access_token=CORP&type=file", "multipart/form-data; boundary=b",
		"--b\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a\"; filelength=6\r\n\r\nmytext\r\n--b--\r\n")
	f.Add("POST", "/cgi-bin/material/add_material", "access_token=TOKEN&type=video", "multipart/form-data; boundary=b",
		"--b\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n{}\r\n--b--\r\n")
	f.Add("GET", "/cgi-bin/department/list", "access_token=CORP&id=-1", "", "")
	f.Add("GET", "/cgi-bin/user/list", "access_token=CORP&department_id=1&fetch_child=1", "", "")
	f.Add("POST", "/cgi-bin/message/send", "access_token=CORP", "", `{"touser":"u","msgtype":"text","agentid":null,"text":{"content":"a"}}`)
	f.Add("POST", "/cgi-bin/qrcode/create", "access_token=TOKEN", "", `{"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":1e9}},"expire_seconds":-1}`)
	f.Add("POST", "/cgi-bin/user/info/batchget", "access_token=TOKEN", "", `{"user_list":[null]}`)
	f.Add("GET", "/wwopen/sso/qrConnect", "appid=ww1&agentid=7&redirect_uri=http%3A%2F%2Fa&state=%00", "", "")
	f.Add("POST", "/_wechattest/apps", "", "", `{"id":"wx9","secret":"s","life":1e300}`)
	f.Fuzz(func(t *testing.T, method, path, query, kind, body string) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7})
		token, corp := stable(t, wx).Token, get(t, wx, workURL("ww1", "s1")).Token
		if strings.HasPrefix(path, "/_wechattest/fail") {
			return // a fault that cuts or hangs is meant to give no whole answer, but it has nothing to befall here
		}
		r := &http.Request{
			Method: method,
			URL:    &url.URL{Path: path, RawQuery: strings.NewReplacer("TOKEN", token, "CORP", corp).Replace(query)},
			Host:   "127.0.0.1:1",
			Header: http.Header{"Content-Type": {kind}},
			Body:   http.NoBody,
		}
		if body != "" {
			r.Body = readCloser{strings.NewReader(body)}
		}
		w := httptest.NewRecorder()
		wx.ServeHTTP(w, r)
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("not JSON: %q", w.Body)
		}
		if code := stable(t, wx).Code; code != 0 {
			t.Errorf("the Server answers %d after it", code)
		}
	})
}

// FuzzNumbers writes answers another way: what was JSON stays JSON, with the same members.
func FuzzNumbers(f *testing.F) {
	for _, body := range []string{`{"a":-1.5e3,"errcode":40001,"b":"1\\\"2","c":[0,{"d":7}]}`, `-0`, `""`, `{"":1}`, `"\u0014\/\n"`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if !json.Valid([]byte(body)) || body == "" {
			return
		}
		for _, fault := range []wechattest.Fault{{Numbers: "text"}, {Numbers: "float"}, {BOM: true}} {
			wx := new(wechattest.Server)
			fault.Body = body
			wx.AddFault(fault)
			w := httptest.NewRecorder()
			wx.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:1/cgi-bin/token", nil))
			if fault.Numbers != "" && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s: %q", fault.Numbers, w.Body)
			}
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
