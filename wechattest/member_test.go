package wechattest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func corpServer(t testing.TB) (wx *wechattest.Server, token string) {
	wx = new(wechattest.Server)
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 7, RedirectDomain: "wx.example.com"})
	wx.AddDepartment("ww1", wechattest.Department{ID: 2, Name: "研发", Order: 10})
	wx.AddDepartment("ww1", wechattest.Department{ID: 4, Name: "测试", ParentID: 3})
	wx.AddDepartment("ww1", wechattest.Department{ID: 3, ParentID: 2})
	wx.AddPerson(wechattest.Person{Name: "li", Nickname: "李", UserID: "Li.Lei", Departments: []int{4, 2}, LeaderOf: []int{2}})
	wx.AddPerson(wechattest.Person{Name: "han", Departments: []int{99}})
	wx.AddPerson(wechattest.Person{Name: "guest", Visitor: true})
	return wx, get(t, wx, workURL("ww1", "s1")).Token
}

func TestDepartmentsAreListedWithAllBelow(t *testing.T) {
	wx, token := corpServer(t)
	ids := func(query string) (list []int) {
		var a struct {
			Department []struct {
				ID, ParentID, Order int
				Name                string
				Leaders             []string `json:"department_leader"`
			}
		}
		raw := get(t, wx, work+"/cgi-bin/department/list?access_token="+token+query).Raw
		require.NoError(t, json.Unmarshal([]byte(raw), &a))
		for _, d := range a.Department {
			list = append(list, d.ID)
			if d.ID == 2 {
				require.Equal(t, []string{"Li.Lei"}, d.Leaders)
				require.Equal(t, "研发", d.Name)
				require.Equal(t, 10, d.Order)
			}
		}
		return list
	}
	require.Equal(t, []int{1, 2, 3, 4}, ids(""))
	require.Equal(t, []int{3, 4}, ids("&id=3"))
	bad := func(id string) int {
		return get(t, wx, work+"/cgi-bin/department/list?access_token="+token+"&id="+id).Code
	}
	require.Equal(t, 60003, bad("9"))
	require.Equal(t, 40058, bad("x"))
	wx.AddDepartment("ww1", wechattest.Department{ID: 2, Name: "研发", ParentID: 4, Order: 10})
	require.Equal(t, []int{2, 3, 4}, ids("&id=3"), "a circle ends")
}

func TestMembersAreListedByDepartment(t *testing.T) {
	wx, token := corpServer(t)
	users := func(query string) (list []string, a answer) {
		a = get(t, wx, work+"/cgi-bin/user/list?access_token="+token+query)
		var in struct {
			List []struct{ UserID string } `json:"userlist"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.Raw), &in))
		require.NotNil(t, in.List, "there is a list in a refusal, too")
		for _, u := range in.List {
			list = append(list, u.UserID)
		}
		return list, a
	}
	for query, want := range map[string][]string{
		"&department_id=1":               {"han"},
		"&department_id=2":               {"Li.Lei"},
		"&department_id=3":               nil,
		"&department_id=3&fetch_child=1": {"Li.Lei"},
		"&department_id=1&fetch_child=1": {"Li.Lei", "han"},
	} {
		list, a := users(query)
		require.Zero(t, a.Code, a.Raw)
		require.Equal(t, want, list, query)
	}
	for query, want := range map[string]int{"": 40058, "&department_id=x": 40058, "&department_id=9": 60003} {
		_, a := users(query)
		require.Equal(t, want, a.Code)
	}
}

func TestAMemberHasOrderLeadersAndAMainDepartment(t *testing.T) {
	wx, token := corpServer(t)
	user := func(id string) answer { return get(t, wx, work+"/cgi-bin/user/get?access_token="+token+"&userid="+id) }
	for _, part := range []string{
		`"userid":"Li.Lei"`, `"name":"李"`, `"department":[4,2]`, `"order":[0,0]`, `"is_leader_in_dept":[0,1]`, `"main_department":4`,
		`"isleader":1`, `"direct_leader":[]`, `"status":1`,
	} {
		require.Contains(t, user("LI.lei").Raw, part)
	}
	for _, private := range []string{"mobile", "avatar", "gender", "email"} {
		require.NotContains(t, strings.ReplaceAll(user("han").Raw, "hide_mobile", ""), private)
	}
	require.Equal(t, 60111, user("nobody").Code)
	require.Equal(t, 60111, user("guest").Code)
	require.Equal(t, 40003, user(strings.Repeat("u", 65)).Code)
}

func TestTheOlderPathHasTheOlderFieldNames(t *testing.T) {
	wx, token := corpServer(t)
	who := func(code string) (m map[string]any) {
		require.NoError(t, json.Unmarshal([]byte(get(t, wx, work+"/cgi-bin/user/getuserinfo?access_token="+token+"&code="+code).Raw), &m))
		return m
	}
	wx.Browse("li", wechattest.Allow)
	m := who(loginCode(t, wx, inside, "ww1", "snsapi_base"))
	require.Equal(t, "Li.Lei", m["UserId"])
	require.NotEmpty(t, m["DeviceId"])
	require.NotContains(t, m, "userid")
	require.NotContains(t, m, "user_ticket")

	_, to, _ := look(t, wx, strings.Replace(authorizeURL(inside, "ww1", backTo, "snsapi_privateinfo"), "&state", "&agentid=7&state", 1))
	m = who(to.Query().Get("code"))
	require.EqualValues(t, 1800, m["expires_in"])
	detail := post(t, wx, work+"/cgi-bin/auth/getuserdetail?access_token="+token, `{"user_ticket":"`+m["user_ticket"].(string)+`"}`)
	require.Contains(t, detail.Raw, `"mobile"`)
	require.EqualValues(t, 40029, who(to.Query().Get("code"))["errcode"])
	require.EqualValues(t, 41008, who("")["errcode"])

	wx.Browse("guest", wechattest.Allow)
	m = who(loginCode(t, wx, inside, "ww1", "snsapi_base"))
	require.Equal(t, wx.OpenID("ww1", "guest"), m["OpenId"])
	require.NotContains(t, m, "UserId")
}

func TestAnAgentIDMayBeText(t *testing.T) {
	wx, _, _, corp := trio(t)
	for agent, want := range map[string]int{`7`: 0, `"7"`: 0, `"8"`: 40056, `""`: 47001, `"7x"`: 47001, `7.5`: 47001, `[7]`: 47001} {
		body := `{"touser":"u","msgtype":"text","agentid":` + agent + `,"text":{"content":"a"}}`
		require.Equal(t, want, post(t, wx, work+"/cgi-bin/message/send?access_token="+corp, body).Code, agent)
	}
}
