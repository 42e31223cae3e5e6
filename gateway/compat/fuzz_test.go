package compat_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzStrangers sends requests without a key. Nobody gets a token, and each answer is one that old clients can read.
func FuzzStrangers(f *testing.F) {
	for _, in := range everyRequest() {
		path, query, _ := strings.Cut(in.path, "?")
		f.Add(in.method != "", path, query, in.form, in.body)
	}
	f.Add(true, "/", "", formJSON, `[{"jsonrpc":"2.0","id":1,"method":"accessToken","params":[{"appid":"`+shopID+`"}]},1]`)
	f.Add(true, "/", "wetoken_key=x", formJSON, `{"jsonrpc":"2.0","id":{},"method":"registerAppid","params":{}}`)
	f.Add(true, "/wx/"+shopID+"/token/get", "%zz&a=b;c", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"secret\"\r\n\r\ny\r\n--x--\r\n")
	f.Fuzz(func(t *testing.T, post bool, path, query, form, body string) {
		w := newWorld(t)
		r, err := http.NewRequest(map[bool]string{true: "POST", false: "GET"}[post], "http://old.example.com", strings.NewReader(body))
		require.NoError(t, err)
		r.URL.Path, r.URL.RawQuery = "/"+strings.TrimLeft(path, "/"), query
		r.Header.Set("Content-Type", form)
		for name, h := range map[string]http.Handler{"private": w.private, "jsonrpc": w.rpc} {
			r.Body = io.NopCloser(strings.NewReader(body))
			status, answer, header := serve(h, r)
			require.NotEqual(t, http.StatusInternalServerError, status)
			if strings.HasPrefix(header.Get("Content-Type"), "application/json") {
				require.True(t, json.Valid([]byte(answer)), "%s: %s", name, answer)
			}
		}
		require.Zero(t, w.wx.Calls("/cgi-bin/stable_token"))
	})
}
