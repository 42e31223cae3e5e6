package wechattest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestFollowersAreListed(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", Owner: "owner"})
	for _, name := range []string{"a", "b", "c"} {
		wx.AddPerson(wechattest.Person{Name: name})
	}
	wx.Follow("wx1", "b", false)
	token := stable(t, wx).Token
	list := func(after string) (a struct {
		Code, Total, Count int
		Data               *struct{ OpenID []string }
		Next               string `json:"next_openid"`
	}) {
		raw := get(t, wx, api+"/cgi-bin/user/get?access_token="+token+"&next_openid="+after).Raw
		require.NoError(t, json.Unmarshal([]byte(strings.Replace(raw, "errcode", "code", 1)), &a))
		return a
	}
	first, last := wx.OpenID("wx1", "a"), wx.OpenID("wx1", "c")
	all := list("")
	require.Equal(t, []int{2, 2}, []int{all.Total, all.Count})
	require.Equal(t, []string{first, last}, all.Data.OpenID)
	require.Equal(t, last, all.Next)
	require.Equal(t, []string{last}, list(first).Data.OpenID)
	end := list(last)
	require.Equal(t, []int{2, 0}, []int{end.Total, end.Count})
	require.Nil(t, end.Data)
	require.Empty(t, end.Next)
	require.Equal(t, 40003, list("oNobody").Code)
	require.Contains(t, get(t, wx, api+"/cgi-bin/user/info?access_token="+token+"&openid="+first).Raw, wx.UnionID("owner", "a"))
}

func TestFollowersAreAskedForTogether(t *testing.T) {
	wx, official, mini, _ := trio(t)
	wx.AddPerson(wechattest.Person{Name: "li"})
	wx.Follow("wx1", "li", false)
	ask := func(token, body string) answer {
		return post(t, wx, api+"/cgi-bin/user/info/batchget?access_token="+token, body)
	}
	a := ask(official, `{"user_list":[{"openid":"o1","lang":"zh_CN"},{"openid":"`+wx.OpenID("wx1", "li")+`"}]}`)
	var in struct {
		List []struct {
			OpenID    string
			Subscribe int
		} `json:"user_info_list"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.Raw), &in))
	require.Len(t, in.List, 2)
	require.Equal(t, []int{1, 0}, []int{in.List[0].Subscribe, in.List[1].Subscribe})
	require.False(t, a.HasCode)

	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`{"openid":"o%d"}`, i))
		}
		return `{"user_list":[` + strings.Join(list, ",") + `]}`
	}
	require.Zero(t, ask(official, many(100)).Code)
	for body, want := range map[string]int{
		many(101): 40032, many(0): 40032, `{}`: 40032, `{"user_list":"o1"}`: 47001, `{"user_list":[{}]}`: 40003, `{"user_list":[{"openid":1}]}`: 47001,
	} {
		require.Equal(t, want, ask(official, body).Code, "%.60s", body)
	}
	require.Equal(t, 48001, ask(mini, many(1)).Code)
}

func TestAWxacodeOfAPath(t *testing.T) {
	wx, official, mini, _ := trio(t)
	ask := func(token, body string) answer { return post(t, wx, api+"/wxa/getwxacode?access_token="+token, body) }
	require.Equal(t, "image/jpeg", ask(mini, `{"path":"pages/none?a=编号","width":430}`).Type)
	require.NotEqual(t, ask(mini, `{"path":"a"}`).Raw, ask(mini, `{"path":"b"}`).Raw)
	for body, want := range map[string]int{
		`{}`:                           40159,
		`{"page":"pages/index"}`:       40159,
		`{"path":""}`:                  40159,
		`{"path":"a","width":1281}`:    40189,
		`{"path":"a","env_version":1}`: 40097,
		`{"path":"` + strings.Repeat("a", 1025) + `"}`: 40159,
		`path=a`: 47001,
	} {
		require.Equal(t, want, ask(mini, body).Code, "%.60s", body)
	}
	require.Equal(t, 48001, ask(official, `{"path":"a"}`).Code)
	quota := post(t, wx, api+"/cgi-bin/openapi/quota/get?access_token="+mini, `{"cgi_path":"/wxa/getwxacode"}`)
	require.Equal(t, 10_000, quota.Quota.Limit)
}
