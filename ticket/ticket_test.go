package ticket_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// waitFor waits in a bubble, where time is free.
func waitFor(d time.Duration) { <-time.After(d) }

const (
	appID   = "wx0123456789abcdef"
	corpID  = "ww0123456789abcdef"
	secret  = "a-secret-of-this-test"
	getPath = "/cgi-bin/ticket/getticket"
)

func ignoreError(context.Context, error) {}

func newOfficial(wx *wechattest.Server, s store.Store) *ticket.Manager {
	client := &wechat.Client{HTTP: wx.Client()}
	tokens := &token.Manager{AppID: appID, Secret: secret, Store: s, Client: client, OnError: ignoreError}
	return &ticket.Manager{AppID: appID, Tokens: tokens, Store: s, Client: client, OnError: ignoreError}
}

func newWork(wx *wechattest.Server) *ticket.Manager {
	client := &wechat.Client{HTTP: wx.Client()}
	tokens := &token.Manager{AppID: corpID, Secret: secret, Kind: wechat.Work, Client: client, OnError: ignoreError}
	return &ticket.Manager{AppID: corpID, Kind: wechat.Work, AgentID: 7, Tokens: tokens, Client: client, OnError: ignoreError}
}

func TestEachTypeIsItsOwnTicketFetchedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, s := new(wechattest.Server), new(store.Memory)
		wx.AddApp(appID, secret)
		wx.AddFault(wechattest.Fault{Path: getPath, Delay: 50 * time.Millisecond})
		all := []*ticket.Manager{newOfficial(wx, s), newOfficial(wx, s)}
		var wg sync.WaitGroup
		var failed atomic.Int64
		for range 500 {
			for _, m := range all {
				for _, typ := range []ticket.Type{ticket.JSAPI, ticket.WxCard} {
					wg.Go(func() {
						if c, err := m.Ticket(t.Context(), typ); err != nil || c.Value == "" {
							failed.Add(1)
						}
					})
				}
			}
		}
		wg.Wait()
		require.Zero(t, failed.Load())
		require.Equal(t, 2, wx.Calls(getPath))
		require.Equal(t, 1, wx.Calls("/cgi-bin/stable_token"))
		jsapi, err := all[0].Ticket(t.Context(), ticket.JSAPI)
		require.NoError(t, err)
		card, err := all[1].Ticket(t.Context(), ticket.WxCard)
		require.NoError(t, err)
		require.NotEqual(t, jsapi.Value, card.Value)
	})
}

func TestATicketIsRenewedAheadOfItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp(appID, secret)
		m := newOfficial(wx, new(store.Memory))
		seen := map[string]bool{}
		for range 4 * 60 * 6 {
			asked := time.Now()
			c, err := m.Ticket(t.Context(), ticket.JSAPI)
			require.NoError(t, err)
			require.Zero(t, time.Since(asked))
			require.Greater(t, time.Until(c.Expires), time.Minute)
			seen[c.Value] = true
			waitFor(10 * time.Second)
		}
		require.Len(t, seen, 3)
		require.Equal(t, 3, wx.Calls(getPath))
	})
}

func TestWeComsTickets(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: corpID, Secret: secret, Kind: wechattest.Work, AgentID: 7})
	m := newWork(wx)
	jsapi, err := m.Ticket(t.Context(), ticket.JSAPI)
	require.NoError(t, err)
	agent, err := m.Ticket(t.Context(), ticket.AgentConfig)
	require.NoError(t, err)
	require.NotEqual(t, jsapi.Value, agent.Value)
	require.Equal(t, 1, wx.Calls("/cgi-bin/get_jsapi_ticket"))
	require.Equal(t, 1, wx.Calls("/cgi-bin/ticket/get"))
}

func TestATypeOfAnotherKindOfAppIsRefusedWithoutACall(t *testing.T) {
	wx := new(wechattest.Server)
	_, err := newOfficial(wx, nil).Ticket(t.Context(), ticket.AgentConfig)
	require.ErrorIs(t, err, ticket.ErrType)
	_, err = newWork(wx).Ticket(t.Context(), ticket.WxCard)
	require.ErrorIs(t, err, ticket.ErrType)
	noAgent := newWork(wx)
	noAgent.AgentID = 0
	_, err = noAgent.Ticket(t.Context(), ticket.AgentConfig)
	require.ErrorContains(t, err, "AgentID must be set")
	_, err = newOfficial(wx, nil).Ticket(t.Context(), "nonsense")
	require.ErrorIs(t, err, ticket.ErrType)
}

func TestAManagerNeedsTokens(t *testing.T) {
	_, err := (&ticket.Manager{AppID: appID, OnError: ignoreError}).Ticket(t.Context(), ticket.JSAPI)
	require.ErrorContains(t, err, "ticket: jsapi: the field Tokens must be set")
}

func TestAFailureOfTheTokenIsNotRememberedForTheTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp(appID, "another-secret")
		m := newOfficial(wx, new(store.Memory))
		_, err := m.Ticket(t.Context(), ticket.JSAPI)
		require.ErrorIs(t, err, wechat.ErrInvalidSecret)
		wx.AddApp(appID, secret)
		start := time.Now()
		for {
			if _, err := m.Ticket(t.Context(), ticket.JSAPI); err == nil {
				break
			}
			waitFor(time.Second)
		}
		require.LessOrEqual(t, time.Since(start), 80*time.Second)
	})
}

func TestARefusedTokenIsRenewedOnTheWay(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp(appID, secret)
	m := newOfficial(wx, new(store.Memory))
	c, err := m.Tokens.Token(t.Context())
	require.NoError(t, err)
	wx.Revoke(c.Value)
	_, err = m.Ticket(t.Context(), ticket.JSAPI)
	require.NoError(t, err)
	require.Equal(t, 2, wx.Calls(getPath))
}

func open(next http.Handler) http.Handler { return next }

func TestHandlerAndRemote(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp(appID, secret)
	m := newOfficial(wx, new(store.Memory))
	srv := httptest.NewServer(wetoken.Handler(&ticket.Handler{Source: m, Guard: open}))
	defer srv.Close()

	r := &ticket.Remote{URL: srv.URL + "/ticket", Key: "a-key", OnError: ignoreError}
	want, err := m.Ticket(t.Context(), ticket.JSAPI)
	require.NoError(t, err)
	got, err := r.Ticket(t.Context(), ticket.JSAPI)
	require.NoError(t, err)
	require.Equal(t, want.Value, got.Value)
	require.WithinDuration(t, want.Expires, got.Expires, 2*time.Second)

	_, err = r.Renew(t.Context(), ticket.JSAPI, got.Value)
	require.Error(t, err, "WeChat has no other ticket yet")
	again, err := r.Renew(t.Context(), ticket.JSAPI, "an-older-ticket")
	require.NoError(t, err)
	require.Equal(t, want.Value, again.Value)
	_, err = r.Ticket(t.Context(), ticket.AgentConfig)
	require.ErrorContains(t, err, "404")

	resp, err := http.Get(srv.URL + "/ticket/nonsense")
	require.NoError(t, err)
	defer resp.Body.Close()
	var body struct {
		Code int    `json:"errcode"`
		Msg  string `json:"errmsg"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
	require.Equal(t, 404, body.Code)
}

func TestAMiniProgramHasNoTickets(t *testing.T) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: appID, Secret: secret, Kind: wechattest.Mini})
	_, err := newOfficial(wx, nil).Ticket(t.Context(), ticket.JSAPI)
	require.ErrorIs(t, err, wechat.Code(48001))
	require.False(t, errors.Is(err, ticket.ErrType))
}

func TestAKindWithoutTicketsIsNamed(t *testing.T) {
	wx := new(wechattest.Server)
	for kind, known := range map[wechat.Kind]bool{wechat.Mini: true, wechat.Website: true, "wecom": false} {
		m := newOfficial(wx, nil)
		m.Kind = kind
		_, err := m.Ticket(t.Context(), ticket.JSAPI)
		require.EqualError(t, err, map[bool]string{
			true:  fmt.Sprintf("ticket: Manager.Kind is %q: want official or work: no such ticket for this kind of app", kind),
			false: fmt.Sprintf("ticket: Manager.Kind is %q: want official or work", kind),
		}[known])
		require.Equal(t, known, errors.Is(err, ticket.ErrType), "a mistake in writing is not the asker's")
		_, err = m.Renew(t.Context(), ticket.JSAPI, "refused")
		require.ErrorContains(t, err, "Manager.Kind")
	}
}

func Example() {
	wx := new(wechattest.Server) // WeChat, for this example
	wx.AddApp("wx0123456789abcdef", "secret")
	client := &wechat.Client{HTTP: wx.Client()}

	tokens := &token.Manager{AppID: "wx0123456789abcdef", Secret: "secret", Client: client}
	tickets := &ticket.Manager{AppID: "wx0123456789abcdef", Tokens: tokens, Client: client}
	t, err := tickets.Ticket(context.Background(), ticket.JSAPI)
	fmt.Println(t.Value != "", err)
	// Output: true <nil>
}

func TestARemoteNeedsAURL(t *testing.T) {
	_, err := new(ticket.Remote).Ticket(t.Context(), ticket.JSAPI)
	require.EqualError(t, err, "ticket: Remote.URL must be set")
}
