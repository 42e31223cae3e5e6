package oauth_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

// code returns a new code of the person who browses.
func (s *stage) code(t *testing.T, scope string) string {
	t.Helper()
	end, err := url.Parse(s.browser(t).stop(back, s.login.AuthorizeURL(back, scope, "s1")))
	require.NoError(t, err)
	return end.Query().Get("code")
}

func allowConsent(s *stage) { s.wx.Browse("", wechattest.Allow) }

func TestExchangeReturnsTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(allowConsent)
		g, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
		require.NoError(t, err)
		require.Equal(t, s.wx.OpenID(appID, "ming"), g.OpenID)
		require.Equal(t, s.wx.UnionID("platform", "ming"), g.UnionID)
		require.Equal(t, oauth.ScopeUserInfo, g.Scope)
		require.Equal(t, time.Now().Add(2*time.Hour), g.Expires)
		require.False(t, g.Snapshot)
		require.NoError(t, s.login.Valid(t.Context(), g))

		u, err := s.login.UserInfo(t.Context(), g, "")
		require.NoError(t, err)
		require.Equal(t, "小明", u.Nickname)
	})
}

func TestUserInfoHasTheLanguageOfTheLogin(t *testing.T) {
	s := newStage(allowConsent)
	wire, asked := s.wx.Client().Transport, ""
	s.login.Client = &wechat.Client{HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/sns/userinfo" {
			asked = r.URL.Query().Get("lang")
		}
		return wire.RoundTrip(r)
	})}}
	for given, want := range map[string]string{"": "zh_CN", "zh_CN": "zh_CN", "zh_TW": "zh_TW", "en": "en", "fr": "zh_CN"} {
		require.Equal(t, "shop", s.browser(t).open(loginURL(shop, "scope", oauth.ScopeUserInfo, "lang", given)).body)
		require.Equal(t, want, asked)
	}
}

func TestAUnionIDOfTheGrantIsKeptIfUserInfoHasNone(t *testing.T) {
	s := newStage(allowConsent)
	g, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
	require.NoError(t, err)
	s.wx.AddFault(wechattest.Fault{Path: "/sns/userinfo", Body: `{"openid":"` + g.OpenID + `","nickname":"x"}`})
	u, err := s.login.UserInfo(t.Context(), g, "")
	require.NoError(t, err)
	require.Equal(t, oauth.User{OpenID: g.OpenID, UnionID: s.wx.UnionID("platform", "ming"), Nickname: "x"}, u)
}

func TestASnapshotGrantIsMarkedAndNotStored(t *testing.T) {
	s := newStage()
	s.wx.Browse("", wechattest.Snapshot)
	g, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
	require.NoError(t, err)
	require.True(t, g.Snapshot)
	require.NotEqual(t, s.wx.OpenID(appID, "ming"), g.OpenID)
	g, err = s.login.Refresh(t.Context(), g)
	require.NoError(t, err)
	require.True(t, g.Snapshot, "WeChat sends it only here")
	_, err = s.login.Grant(t.Context(), g.OpenID)
	require.ErrorIs(t, err, oauth.ErrNoGrant)
}

func TestABaseGrantDoesNotReplaceAWiderOne(t *testing.T) {
	s := newStage(allowConsent)
	far, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
	require.NoError(t, err)
	near, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeBase))
	require.NoError(t, err)
	_, err = s.login.UserInfo(t.Context(), near, "")
	require.ErrorIs(t, err, wechat.Code(48001))

	kept, err := s.login.Grant(t.Context(), far.OpenID)
	require.NoError(t, err)
	require.Equal(t, far.AccessToken, kept.AccessToken)
	u, err := s.login.UserInfo(t.Context(), kept, "en")
	require.NoError(t, err)
	require.Equal(t, "小明", u.Nickname)
}

func TestAGrantIsRefreshedForThirtyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(allowConsent)
		first, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
		require.NoError(t, err)
		for day := range 29 {
			<-time.After(24 * time.Hour)
			g, err := s.login.Grant(t.Context(), first.OpenID)
			require.NoError(t, err, "day %d", day)
			require.NotEqual(t, first.AccessToken, g.AccessToken)
			require.Equal(t, first.UnionID, g.UnionID, "a refresh does not return it")
			require.NoError(t, s.login.Valid(t.Context(), g))
		}
		calls := s.wx.Calls("/sns/oauth2/refresh_token")
		_, err = s.login.Grant(t.Context(), first.OpenID)
		require.NoError(t, err)
		require.Equal(t, calls, s.wx.Calls("/sns/oauth2/refresh_token"), "a token that lives is not refreshed")
		<-time.After(25 * time.Hour)
		_, err = s.login.Grant(t.Context(), first.OpenID)
		require.ErrorIs(t, err, oauth.ErrNoGrant)
		_, ok, err := s.login.Store.Get(t.Context(), "oauth/"+appID+"/grant/"+first.OpenID)
		require.NoError(t, err)
		require.False(t, ok, "nothing is kept for longer than WeChat takes it")
	})
}

func TestARefreshThatWeChatRefusesMeansANewLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(allowConsent)
		g, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
		require.NoError(t, err)
		<-time.After(3 * time.Hour)
		for _, code := range []int{40030, 42002, 42007} {
			s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/refresh_token", Code: code, Times: 1})
			_, err = s.login.Grant(t.Context(), g.OpenID)
			require.ErrorIs(t, err, oauth.ErrNoGrant)
			require.ErrorIs(t, err, wechat.Code(code))
		}
		s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/refresh_token", Cut: true, Times: 1})
		_, err = s.login.Grant(t.Context(), g.OpenID)
		require.Error(t, err)
		require.NotErrorIs(t, err, oauth.ErrNoGrant, "a broken connection needs no new login")
		_, err = s.login.Grant(t.Context(), g.OpenID)
		require.NoError(t, err)
	})
}

func TestRefreshTokensAreWrittenBeforeTheyAreUsed(t *testing.T) {
	records := new(failingStore)
	s := newStage(allowConsent, func(s *stage) { s.login.Records = records })
	code := s.code(t, oauth.ScopeUserInfo)
	records.setDown(true)
	_, err := s.login.Exchange(t.Context(), code)
	require.ErrorIs(t, err, errDown)
	require.Zero(t, s.wx.Calls("/sns/userinfo"))
	records.setDown(false)

	g, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
	require.NoError(t, err)
	key := "oauth/" + appID + "/grant/" + g.OpenID
	raw, ok, err := records.Get(t.Context(), key)
	require.NoError(t, err)
	require.True(t, ok)
	require.Contains(t, string(raw), g.RefreshToken)
	_, ok, err = s.login.Store.Get(t.Context(), key)
	require.NoError(t, err)
	require.False(t, ok, "the record is in Records alone")

	records.setDown(true)
	_, err = s.login.Refresh(t.Context(), g)
	require.ErrorIs(t, err, errDown)
}

func TestAnOlderRefreshDoesNotReplaceANewerGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(allowConsent)
		old, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
		require.NoError(t, err)
		<-time.After(time.Hour)
		s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/refresh_token", AfterWork: true, Delay: time.Minute, Times: 1})
		late := make(chan oauth.Grant)
		go func() {
			g, err := s.login.Refresh(t.Context(), old)
			require.NoError(t, err)
			late <- g
		}()
		<-time.After(time.Second)
		newer, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
		require.NoError(t, err)
		require.Equal(t, newer.AccessToken, (<-late).AccessToken, "the later login's grant is the one to go on with")
		kept, err := s.login.Grant(t.Context(), old.OpenID)
		require.NoError(t, err)
		require.Equal(t, newer.RefreshToken, kept.RefreshToken)
	})
}

func TestRefreshingAnOldLoginLeavesALaterOneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(allowConsent)
		old, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
		require.NoError(t, err)
		<-time.After(29 * 24 * time.Hour)
		later, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
		require.NoError(t, err)
		<-time.After(time.Minute)
		g, err := s.login.Refresh(t.Context(), old)
		require.NoError(t, err)
		require.Equal(t, later.AccessToken, g.AccessToken)
		<-time.After(3 * time.Hour)
		g, err = s.login.Refresh(t.Context(), old)
		require.NoError(t, err)
		require.NoError(t, s.login.Valid(t.Context(), g), "the later login's token has ended, and this one serves")
		<-time.After(2 * 24 * time.Hour)
		_, err = s.login.Grant(t.Context(), old.OpenID)
		require.NoError(t, err, "the old login's refresh token has ended, the later one's is still kept")
	})
}

func TestValidReturnsWeChatsRefusal(t *testing.T) {
	s := newStage(allowConsent)
	g, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
	require.NoError(t, err)
	g.OpenID = "oSomebodyElse"
	require.ErrorIs(t, s.login.Valid(t.Context(), g), wechat.Code(40003))
	g.AccessToken = "made-up"
	require.ErrorIs(t, s.login.Valid(t.Context(), g), wechat.Code(40014))
	_, err = s.login.UserInfo(t.Context(), g, "")
	require.ErrorIs(t, err, wechat.Code(40014))
	require.NotContains(t, err.Error(), "made-up")
}

func TestAnUnknownUserHasNoGrant(t *testing.T) {
	s := newStage()
	for _, id := range []string{"", "oNobody", strings.Repeat("o", 200), "../state/x"} {
		_, err := s.login.Grant(t.Context(), id)
		require.ErrorIs(t, err, oauth.ErrNoGrant)
	}
	_, err := s.login.Refresh(t.Context(), oauth.Grant{OpenID: "o"})
	require.ErrorIs(t, err, oauth.ErrNoGrant)
}

func TestAGrantPrintsWithoutItsTokens(t *testing.T) {
	g := oauth.Grant{OpenID: "oUser", Scope: "snsapi_userinfo", AccessToken: "acc", RefreshToken: "ref", UserTicket: "tick"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "grant", g)
	for _, text := range []string{g.String(), fmt.Sprintf("%v %+v %#v %s %q", g, g, g, g, g), fmt.Sprint(errors.New(fmt.Sprint(g))), log.String()} {
		require.Contains(t, text, "oUser")
		require.NotContains(t, text, "acc\"")
		require.NotContains(t, text, "ref\"")
		require.NotContains(t, text, "ref}")
		require.NotContains(t, text, "tick")
	}
	require.Equal(t, "grant of li", oauth.Grant{UserID: "li", UserTicket: "tick"}.String())
}

func TestAnInvalidAnswerIsAnError(t *testing.T) {
	for _, body := range []string{`{}`, `{"openid":""}`, `{"openid":"` + strings.Repeat("o", 200) + `"}`, `[]`, `{"openid":1}`, `<html>`} {
		s := newStage()
		code := s.code(t, oauth.ScopeBase)
		s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/access_token", Body: body})
		_, err := s.login.Exchange(t.Context(), code)
		require.Error(t, err, body)
		require.NotContains(t, err.Error(), code)
	}
	s := newStage(allowConsent)
	g, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
	require.NoError(t, err)
	s.wx.AddFault(wechattest.Fault{Path: "/sns/userinfo", Body: `{"openid":"oOther","nickname":"x"}`})
	_, err = s.login.UserInfo(t.Context(), g, "")
	require.ErrorContains(t, err, "another user")
	s.wx.AddFault(wechattest.Fault{Path: "/sns/oauth2/refresh_token", Body: `{"openid":"oOther","access_token":"x"}`})
	_, err = s.login.Refresh(t.Context(), g)
	require.ErrorContains(t, err, "another user")
}

func TestAnInvalidRecordIsAnErrorAndNotAMiss(t *testing.T) {
	m := new(store.Memory)
	s := newStage(func(s *stage) { s.login.Store = m })
	require.NoError(t, m.Set(t.Context(), "oauth/"+appID+"/grant/oUser", []byte("garbage"), 0))
	_, err := s.login.Grant(t.Context(), "oUser")
	require.ErrorContains(t, err, "invalid record")
	require.NotErrorIs(t, err, oauth.ErrNoGrant)
}
