package compat_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWetokensCodeIsSent(t *testing.T) {
	w := newWorld(t)
	person := w.wx.OpenID(shopID, "ming")
	w.wx.Follow(shopID, "ming", true)
	for name, c := range map[string]struct {
		query, key string
		app        string
		status     int
	}{
		"no key":           {"user_name=u&system_name=s&code=1", "", shopID, 401},
		"secret":           {"user_name=u&system_name=s&code=1&secret=" + url.QueryEscape(secret), "", shopID, 401},
		"no scope":         {"user_name=u&system_name=s&code=1", readKey, shopID, 403},
		"unknown app":      {"user_name=u&system_name=s&code=1", allKey, noneID, 400},
		"no user":          {"system_name=s&code=1", allKey, shopID, 406},
		"no system":        {"user_name=u&code=1", allKey, shopID, 406},
		"no code":          {"user_name=u&system_name=s", allKey, shopID, 406},
		"code too long":    {"user_name=u&system_name=s&code=" + strings.Repeat("1", 21), allKey, shopID, 406},
		"no template":      {"user_name=u&system_name=s&code=1", allKey, newsID, 400},
		"WeChat refuses":   {"user_name=" + strings.Repeat("o", 200) + "&system_name=s&code=1", allKey, shopID, 400},
		"sent to one user": {"user_name=" + person + "&system_name=" + url.QueryEscape(strings.Repeat("长", 30)) + "&code=004711", shopKey, shopID, 200},
	} {
		for _, path := range wetokenPaths(c.app, "/wxcode/send") {
			status, body, header := send(w.private, input{path: path + "?" + c.query, key: c.key})
			require.Equal(t, c.status, status, name)
			require.Equal(t, "text/plain; charset=utf-8", header.Get("Content-Type"))
			want := http.StatusText(c.status)
			if c.status == 200 {
				want = "success"
			}
			require.Equal(t, want, body, name)
		}
	}
	sent := w.wx.Sent()
	require.Len(t, sent, 2)
	var message struct {
		ToUser     string `json:"touser"`
		TemplateID string `json:"template_id"`
		Data       map[string]map[string]string
	}
	require.NoError(t, json.Unmarshal(sent[0].Body, &message))
	require.Equal(t, person, message.ToUser)
	require.Equal(t, "the-template", message.TemplateID)
	require.Equal(t, map[string]string{"value": "004711"}, message.Data["keyword1"])
	require.Equal(t, map[string]string{"value": "5分钟"}, message.Data["keyword2"])
	require.Regexp(t, regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d$`), message.Data["keyword3"]["value"])
	require.Len(t, message.Data, 5)
	for field, v := range message.Data {
		require.NotEmpty(t, v["value"], field)
		require.LessOrEqual(t, len([]rune(v["value"])), 20, field)
	}
}
