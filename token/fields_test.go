package token_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestAFieldWithBlanksAroundItIsNamed(t *testing.T) {
	for _, mode := range []method{stable, classic, work} {
		for _, c := range []struct{ id, secret, says string }{
			{" wx1", "hidden", "Manager.AppID begins or ends with a blank"},
			{"wx1", "hidden\r\n", "Manager.Secret begins or ends with a blank"},
		} {
			wx := new(wechattest.Server)
			m := &token.Manager{AppID: c.id, Secret: c.secret, Kind: mode.kind(), Classic: mode == classic, Client: &wechat.Client{HTTP: wx.Client()}}
			_, err := m.Token(t.Context())
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hidden")
			require.Zero(t, wx.Calls("/cgi-bin/stable_token")+wx.Calls("/cgi-bin/token")+wx.Calls("/cgi-bin/gettoken"))
		}
	}
}

func TestAKindWithoutATokenIsNamed(t *testing.T) {
	s, wx := new(store.Memory), new(wechattest.Server)
	wx.AddApp(appID, secret)
	way := &wechat.Client{HTTP: wx.Client()}
	get(t, &token.Manager{AppID: appID, Secret: secret, Store: s, Client: way}) // the token is in the store from now on
	calls := wx.Calls(stablePath)
	for _, c := range []struct {
		kind    wechat.Kind
		classic bool
		says    string
	}{
		{wechat.Website, false, `Manager.Kind is "website": want official, mini, work or authorized`},
		{"wecom", false, `Manager.Kind is "wecom": want official, mini, work or authorized`},
		{"wecom", true, `Manager.Kind is "wecom": want official, mini, work or authorized`},
		{wechat.Authorized, false, "Manager.AppID, PlatformID and Fetch must be set"},
		{wechat.Work, true, "Manager.Classic is true: WeCom has one kind of token only"},
	} {
		m := &token.Manager{AppID: appID, Secret: secret, Kind: c.kind, Classic: c.classic, Store: s, Client: way, OnError: ignoreError}
		_, err := m.Token(t.Context())
		require.ErrorContains(t, err, c.says)
		_, err = m.Renew(t.Context(), "refused")
		require.ErrorContains(t, err, c.says)
		_, err = m.Refresh(t.Context())
		require.ErrorContains(t, err, c.says)
	}
	require.Equal(t, calls, wx.Calls(stablePath))
	require.Zero(t, wx.Calls(oldPath)+wx.Calls(workPath))
}

func TestAMiniProgramsTokenIsThatOfAnOfficialAccount(t *testing.T) {
	s, wx := new(store.Memory), new(wechattest.Server)
	wx.Add(wechattest.App{ID: appID, Secret: secret, Kind: wechattest.Mini})
	way := &wechat.Client{HTTP: wx.Client()}
	var values []string
	for _, kind := range []wechat.Kind{"", wechat.Official, wechat.Mini} {
		values = append(values, get(t, &token.Manager{AppID: appID, Secret: secret, Kind: kind, Store: s, Client: way}).Value)
	}
	require.Equal(t, []string{values[0], values[0], values[0]}, values)
	require.Equal(t, 1, wx.Calls(stablePath), "all find it under one key of the store")
}
