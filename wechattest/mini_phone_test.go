package wechattest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

const player = "http://127.0.0.1:8080"

// play makes a call of the script, as a page of origin does.
func play(t *testing.T, wx *wechattest.Server, origin, query string) (status int, result map[string]any, header http.Header) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8099/phone/mini/call?"+query, nil)
	r.Header.Set("Origin", origin)
	w := httptest.NewRecorder()
	wx.ServeHTTP(w, r)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &result), w.Body.String())
	return w.Code, result, w.Header()
}

func playedServer() *wechattest.Server {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "wx1", Secret: "s1", Kind: wechattest.Mini, Players: []string{player}, Templates: []string{"paid", "shipped"}})
	wx.AddPerson(wechattest.Person{Name: "li", Phone: "13900139000"})
	wx.AddPerson(wechattest.Person{Name: "ming"})
	return wx
}

func TestAPageOfAPlayerGetsCodes(t *testing.T) {
	wx := playedServer()
	status, result, header := play(t, wx, player, "app=wx1&person=ming&call=login")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, player, header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, wx.OpenID("wx1", "ming"), codeToSession(t, wx, result["code"].(string)).OpenID)

	_, result, _ = play(t, wx, player, "app=wx1&call=getPhoneNumber")
	require.Equal(t, "getPhoneNumber:ok", result["errMsg"])
	require.NotContains(t, result, "encryptedData", "there is no session yet")
	a := post(t, wx, api+"/wxa/business/getuserphonenumber?access_token="+classic(t, wx).Token, `{"code":"`+result["code"].(string)+`"}`)
	require.Contains(t, a.Raw, "13900139000", "the first person browses")

	_, result, _ = play(t, wx, player, "app=wx1&person=ming&call=getPhoneNumber")
	require.NotEmpty(t, result["encryptedData"])
	require.NotEmpty(t, result["iv"])
}

func TestNoOtherPageGetsCodes(t *testing.T) {
	wx := playedServer()
	wx.AddApp("wx2", "s2")
	for _, c := range [][2]string{
		{"http://evil.example", "app=wx1&call=login"}, {"", "app=wx1&call=login"}, {"null", "app=wx1&call=login"},
		{player, "app=wx2&call=login"}, {player, "app=wx9&call=login"}, {player, "call=login"},
	} {
		status, result, header := play(t, wx, c[0], c[1])
		require.Equal(t, http.StatusForbidden, status, c)
		require.NotContains(t, result, "code")
		require.Empty(t, header.Get("Access-Control-Allow-Origin"))
	}
	_, result, _ := play(t, wx, player, "app=wx1&person=nobody&call=login")
	require.NotContains(t, result, "code")
	_, result, _ = play(t, wx, player, "app=wx1&call=scanCode")
	require.Contains(t, result["errMsg"], "not simulated")
}

func TestEachSubscribeMessageMustBeAccepted(t *testing.T) {
	wx := playedServer()
	send := func(person, template string) int {
		t.Helper()
		return post(t, wx, api+"/cgi-bin/message/subscribe/send?access_token="+classic(t, wx).Token,
			`{"touser":"`+wx.OpenID("wx1", person)+`","template_id":"`+template+`","data":{"thing1":{"value":"socks"}}}`).Code
	}
	require.Equal(t, 43101, send("li", "paid"))
	require.Equal(t, 40037, send("li", "other"))
	_, result, _ := play(t, wx, player, "app=wx1&person=li&call=requestSubscribeMessage&template=paid&answer=accept&template=shipped&answer=reject")
	require.Equal(t, map[string]any{"errMsg": "requestSubscribeMessage:ok", "paid": "accept", "shipped": "reject"}, result)
	require.Equal(t, 43101, send("ming", "paid"), "another person")
	require.Equal(t, 43101, send("li", "shipped"))
	require.Zero(t, send("li", "paid"))
	require.Equal(t, 43101, send("li", "paid"), "one acceptance is one message")
	wx.Accept("wx1", "li", "shipped")
	require.Zero(t, send("li", "shipped"))

	for _, c := range []struct {
		query string
		code  float64
	}{
		{"", 10001}, {"&template=other&answer=accept", 20001},
		{"&template=paid&answer=accept&template=paid&answer=accept&template=paid&answer=accept&template=paid&answer=accept", 20003},
	} {
		_, result, _ = play(t, wx, player, "app=wx1&call=requestSubscribeMessage"+c.query)
		require.Equal(t, c.code, result["errCode"], c.query)
	}
}
