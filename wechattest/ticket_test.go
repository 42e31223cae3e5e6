package wechattest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestTicketIsTheSameUntilFiveMinutesRemain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		ticket := func(kind string) answer {
			a := get(t, wx, api+"/cgi-bin/ticket/getticket?type="+kind+"&access_token="+stable(t, wx).Token)
			require.True(t, a.HasCode)
			require.Equal(t, 0, a.Code)
			return a
		}
		js, card := ticket("jsapi"), ticket("wx_card")
		require.NotEqual(t, js.Ticket, card.Ticket)
		require.Equal(t, 7200, js.ExpiresIn)

		pass(6900 * time.Second)
		require.Equal(t, js.Ticket, ticket("jsapi").Ticket)
		require.Equal(t, 300, ticket("jsapi").ExpiresIn)
		pass(time.Second)
		require.NotEqual(t, js.Ticket, ticket("jsapi").Ticket)
		require.Equal(t, 7200, ticket("jsapi").ExpiresIn)
	})
}

func TestTicketRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		wx.Add(wechattest.App{ID: "mini", Secret: "s1", Kind: wechattest.Mini})
		mini := get(t, wx, classicURL("mini", "s1")).Token
		const getticket = api + "/cgi-bin/ticket/getticket"
		require.Equal(t, 41001, get(t, wx, getticket+"?type=jsapi").Code)
		require.Equal(t, 40014, get(t, wx, getticket+"?type=jsapi&access_token=x").Code)
		require.Equal(t, 48001, get(t, wx, getticket+"?type=jsapi&access_token="+mini).Code)
		token := stable(t, wx).Token
		require.Equal(t, 40097, get(t, wx, getticket+"?access_token="+token).Code)
		require.Equal(t, 40097, get(t, wx, getticket+"?type=agent_config&access_token="+token).Code)
		require.Equal(t, 43001, post(t, wx, getticket+"?type=jsapi&access_token="+token, "{}").Code)

		wx.Add(wechattest.App{ID: "wx1", Secret: "s1", Quotas: map[string]int{"/cgi-bin/ticket/getticket": 3}})
		require.Equal(t, 0, get(t, wx, getticket+"?type=jsapi&access_token="+token).Code)
		require.Equal(t, 45009, get(t, wx, getticket+"?type=jsapi&access_token="+token).Code)
	})
}

func TestWorkTicketsAreOneForTheCorpAndOneForEachAgent(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work, AgentID: 1})
	wx.Add(wechattest.App{ID: "ww1", Secret: "s2", Kind: wechattest.Work, AgentID: 2})
	wx.Add(wechattest.App{ID: "ww1", Secret: "s3", Kind: wechattest.Work})
	one, two := get(t, wx, workURL("ww1", "s1")).Token, get(t, wx, workURL("ww1", "s2")).Token
	contacts := get(t, wx, workURL("ww1", "s3")).Token
	corp := func(token string) answer { return get(t, wx, work+"/cgi-bin/get_jsapi_ticket?access_token="+token) }
	agent := func(token string) answer {
		return get(t, wx, work+"/cgi-bin/ticket/get?type=agent_config&access_token="+token)
	}
	require.Equal(t, corp(one).Ticket, corp(two).Ticket)
	require.NotEmpty(t, corp(one).Ticket)
	require.NotEqual(t, agent(one).Ticket, agent(two).Ticket)
	require.Equal(t, agent(one).Ticket, agent(one).Ticket)
	require.NotEqual(t, corp(one).Ticket, agent(one).Ticket)
	require.Equal(t, 48002, agent(contacts).Code)
	require.Equal(t, 40097, get(t, wx, work+"/cgi-bin/ticket/get?access_token="+one).Code)
}

func TestWorkTicketsAreRationedByTheHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		var tokens []string
		for i, secret := range []string{"a", "b", "c", "d", "e"} {
			wx.Add(wechattest.App{ID: "ww1", Secret: secret, Kind: wechattest.Work, AgentID: i + 1})
			tokens = append(tokens, get(t, wx, workURL("ww1", secret)).Token)
		}
		corp := func(token string) int {
			return get(t, wx, work+"/cgi-bin/get_jsapi_ticket?access_token="+token).Code
		}
		for _, token := range tokens[:4] {
			for range 100 {
				require.Equal(t, 0, corp(token))
			}
			require.Equal(t, 45009, corp(token), "100 for one application")
		}
		require.Equal(t, 45009, corp(tokens[4]), "400 for the corp")
		agent := func() int {
			return get(t, wx, work+"/cgi-bin/ticket/get?type=agent_config&access_token="+tokens[4]).Code
		}
		for range 100 {
			require.Equal(t, 0, agent())
		}
		require.Equal(t, 45009, agent())
		pass(time.Hour)
		require.Equal(t, 0, corp(tokens[0]))
		require.Equal(t, 0, agent())
	})
}
