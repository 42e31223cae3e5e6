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
	f.Add("POST", "/_wechattest/apps", "", "", `{"id":"wx9","secret":"s","life":1e300}`)
	f.Fuzz(func(t *testing.T, method, path, query, kind, body string) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		token := stable(t, wx).Token
		if strings.HasPrefix(path, "/_wechattest/fail") {
			return // a fault that cuts or hangs is meant to give no whole answer, but it has nothing to befall here
		}
		r := &http.Request{
			Method: method,
			URL:    &url.URL{Path: path, RawQuery: strings.ReplaceAll(query, "TOKEN", token)},
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

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
