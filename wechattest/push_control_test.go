package wechattest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

// answering is an app that answers everything with body.
func answering(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(body)) // the test sees what arrives
	}
}

func TestPushesGoOverSocketsToEachAddressInTurnAndAreDrivenOverHTTP(t *testing.T) {
	var first, second atomic.Int32
	one := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer one.Close()
	two := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		second.Add(1)
		if r.Host != "app.example" || r.URL.Query().Get("own") != "1" || r.URL.Path != "/wx/message" {
			w.WriteHeader(404)
			return
		}
		if r.Method == "GET" {
			io.WriteString(w, r.URL.Query().Get("echostr"))
			return
		}
		io.WriteString(w, "<xml><ToUserName>oUser</ToUserName><FromUserName>gh_wechattest</FromUserName><CreateTime>1</CreateTime>"+
			"<MsgType>text</MsgType><Content>from two</Content></xml>")
	}))
	defer two.Close()
	address := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }

	web := httptest.NewServer(new(wechattest.Server))
	defer web.Close()
	callback := `"app":"wx1","token":"tok","url":"http://app.example/wx/message?own=1","timeout":0.2`
	a := send(t, web.Client(), "POST", web.URL+"/_wechattest/push", "",
		`{`+callback+`,"addresses":["`+address(one)+`","`+address(two)+`"],"push":{"content":"hi","fields":{"n":5}}}`)
	require.Equal(t, 200, a.Status, a.Raw)
	var p push.Result
	require.NoError(t, json.Unmarshal([]byte(a.Raw), &p))
	require.Equal(t, "from two", p.Shown, p.Fault)
	require.Contains(t, p.Document, "<n>5</n>")
	require.EqualValues(t, 1, first.Load(), "a redirect is not followed")
	require.EqualValues(t, 1, second.Load())

	a = send(t, web.Client(), "POST", web.URL+"/_wechattest/push/verify", "", `{`+callback+`,"addresses":["`+address(two)+`"]}`)
	require.Equal(t, 200, a.Status, a.Raw)
	a = send(t, web.Client(), "POST", web.URL+"/_wechattest/push/verify", "", `{`+callback+`,"addresses":["`+address(one)+`"]}`)
	require.Equal(t, 400, a.Status, a.Raw)
}
