package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/wechattest"
)

// formStage is a stage whose login has a Form at /auth, beside its own routes.
type formStage struct {
	*stage
	form *oauth.Form
	ends []oauth.FormEnd
}

func newFormStage() *formStage {
	s := &formStage{stage: newStage()}
	s.wx.AddPerson(wechattest.Person{Name: "li", Nickname: "Li"})
	s.wx.Browse("li", wechattest.Allow)
	s.form = &oauth.Form{Login: s.login, Path: "/auth", Scope: oauth.ScopeUserInfo, Reply: func(w http.ResponseWriter, _ *http.Request, end oauth.FormEnd) {
		s.ends = append(s.ends, end)
		w.WriteHeader(http.StatusAccepted)
	}}
	return s
}

func (s *formStage) handler() http.Handler {
	mux := http.NewServeMux()
	wetoken.Bind(mux, "/wx", s.login)
	mux.Handle("GET /wx/auth", s.form)
	return mux
}

func formURL(call, state string) string {
	return mount + "/auth?" + url.Values{"call": {call}, "state": {state}}.Encode()
}

func TestAFormRepliesWithTheUserAndALoginCode(t *testing.T) {
	s := newFormStage()
	s.login.OnLogin = func(http.ResponseWriter, *http.Request, oauth.User) {
		t.Error("OnLogin does not get the login of a Form")
	}
	b := browse(t, s.wx, s.handler())
	require.Equal(t, http.StatusAccepted, b.open(formURL(shop+"enter?a=1", "their state")).status)
	require.Len(t, s.ends, 1)
	end := s.ends[0]
	require.Equal(t, shop+"enter?a=1", end.Call)
	require.Equal(t, "their state", end.State)
	require.Equal(t, oauth.User{OpenID: s.wx.OpenID(appID, "li"), UnionID: s.wx.UnionID("platform", "li"), Nickname: "Li"}, withoutList(end.User))
	require.Nil(t, end.Refusal)
	u, err := s.login.Redeem(t.Context(), end.LoginCode)
	require.NoError(t, err)
	require.Equal(t, "https://shop.example.com", u.To)
	require.Equal(t, "their state", u.Nonce)
	_, err = s.login.Redeem(t.Context(), end.LoginCode)
	require.ErrorIs(t, err, oauth.ErrLoginCode)
}

func withoutList(u oauth.User) oauth.User {
	u.Privilege = nil
	return u
}

func TestAFormPassesOnWhyWeChatRefusesAUser(t *testing.T) {
	s := newFormStage()
	b := browse(t, s.wx, s.handler())
	back := b.stop(mount+"/auth?key=", formURL(shop, ""))
	s.wx.AddFault(wechattest.Fault{Path: "/sns/userinfo", Code: 48001})
	require.Equal(t, http.StatusAccepted, b.open(back).status)
	require.EqualValues(t, 48001, s.ends[0].Refusal.Code)
	require.NotEmpty(t, s.ends[0].Refusal.Msg)
	require.Empty(t, s.ends[0].LoginCode)
	require.Empty(t, s.ends[0].User.OpenID)
	b.open(back)
	require.Equal(t, s.ends[0], s.ends[1])
}

func TestTheCallOfAFormThatBeginsWithASlashIsBelowItsBase(t *testing.T) {
	s := newFormStage()
	b := browse(t, s.wx, s.handler())
	b.open(formURL("/echo", ""))
	s.form.Base = "https://wx.example.com/below/"
	b.open(formURL("/echo", ""))
	require.Equal(t, "https://wx.example.com/echo", s.ends[0].Call)
	require.Equal(t, "https://wx.example.com/below/echo", s.ends[1].Call)
}

func TestAFormIsTooLateAfterTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFormStage()
		b := browse(t, s.wx, s.handler())
		back := b.stop(mount+"/auth?key=", formURL(shop, ""))
		time.Sleep(10 * time.Minute)
		late := b.open(back)
		require.Equal(t, http.StatusGone, late.status)
		require.Equal(t, "auth timeout", late.body)
		require.Empty(t, s.ends)
	})
}

func TestAPreviewDoesNotUseUpTheLoginOfAForm(t *testing.T) {
	s := newFormStage()
	mux := s.handler()
	b := browse(t, s.wx, mux)
	back := b.stop(mount+"/auth?key=", formURL(shop, ""))
	at, err := url.Parse(back)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodHead, at.RequestURI(), nil))
	require.Empty(t, s.ends)
	b.open(back)
	require.Len(t, s.ends, 1)
}

// FuzzFormCall requires that no call leads a login to a host that is not the app's or this server's.
func FuzzFormCall(f *testing.F) {
	for _, call := range []string{shop, "/echo", "//evil", "shop.example.com/x", "evil.example.net", "/\\evil", "https://wx.example.com@evil/", "http://127.0.0.1:8080/"} {
		f.Add(call)
	}
	f.Fuzz(func(t *testing.T, call string) {
		s := newFormStage()
		b := browse(t, s.wx, s.handler())
		b.open(formURL(call, ""))
		for _, end := range s.ends {
			u, err := url.Parse(end.Call)
			require.NoError(t, err)
			require.Contains(t, []string{"shop.example.com", "shop.example.com:443", "wx.example.com", "127.0.0.1:8080"}, strings.ToLower(u.Host), call)
			require.Nil(t, u.User)
			require.NotContains(t, end.Call, "\n")
		}
	})
}
