package oauth_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
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

// miniTokens returns a new token for each call.
type miniTokens struct{ wx *wechattest.Server }

func (m miniTokens) Token(ctx context.Context) (wechat.Credential, error) {
	var a struct {
		Token string `json:"access_token"`
	}
	c := &wechat.Client{HTTP: m.wx.Client()}
	err := c.Get(ctx, "/cgi-bin/token", url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {secret}}, &a)
	return wechat.Credential{Value: a.Token, Expires: time.Now().Add(time.Hour)}, err
}

func (m miniTokens) Renew(ctx context.Context, _ string) (wechat.Credential, error) {
	return m.Token(ctx)
}

func newMini() (*wechattest.Server, *oauth.Mini) {
	wx := new(wechattest.Server)
	wx.Add(wechattest.App{ID: appID, Secret: secret, Kind: wechattest.Mini, Owner: "platform"})
	return wx, &oauth.Mini{
		AppID: appID, Secret: secret, Store: new(store.Memory), Tokens: miniTokens{wx}, Client: &wechat.Client{HTTP: wx.Client()},
	}
}

// phoneOf returns a mini program whose user's phone has this session_key.
func phoneOf(t *testing.T, app, key string) (m *oauth.Mini, openID string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"openid": "oUser", "session_key": key})
	require.NoError(t, err)
	wx := new(wechattest.Server)
	wx.AddFault(wechattest.Fault{Path: "/sns/jscode2session", Body: string(body)})
	m = &oauth.Mini{AppID: app, Secret: secret, Store: new(store.Memory), Client: &wechat.Client{HTTP: wx.Client()}}
	u, err := m.Session(t.Context(), "code")
	require.NoError(t, err)
	return m, u.OpenID
}

type vector struct {
	Name     string
	Inputs   map[string]string
	Expected map[string]string
}

func TestPublishedMiniProgramVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var list []vector
	require.NoError(t, json.Unmarshal(raw, &list))
	seen := map[string]bool{}
	for _, v := range list {
		in := v.Inputs
		switch v.Name {
		case "mp-signature":
			m, id := phoneOf(t, appID, in["session_key"])
			require.NoError(t, m.VerifyRawData(t.Context(), id, in["raw_data"], v.Expected["signature"]))
			require.ErrorIs(t, m.VerifyRawData(t.Context(), id, in["raw_data"]+" ", v.Expected["signature"]), oauth.ErrSession)
			require.ErrorIs(t, m.VerifyRawData(t.Context(), id, in["raw_data"], ""), oauth.ErrSession)
		case "mp-encrypteddata-userinfo":
			m, id := phoneOf(t, in["appid"], in["session_key"])
			var data json.RawMessage
			require.NoError(t, m.DecryptData(t.Context(), id, in["encrypted_data"], in["iv"], &data))
			require.JSONEq(t, v.Expected["plaintext"], string(data))
			other, id := phoneOf(t, "wxanother", in["session_key"])
			require.ErrorContains(t, other.DecryptData(t.Context(), id, in["encrypted_data"], in["iv"], &data), "watermark names another app")
		case "mp-checksession":
			require.Equal(t, v.Expected["signature"], checkSignature(t, in["session_key"]))
		case "mp-user-signature-official":
			m, id := phoneOf(t, appID, in["session_key"])
			got, err := m.UserSignature(t.Context(), id, in["message"])
			require.NoError(t, err)
			require.Equal(t, v.Expected["signature"], got)
			_, err = m.UserSignature(t.Context(), "oNobody", in["message"])
			require.ErrorIs(t, err, oauth.ErrSession)
		default:
			t.Fatalf("nothing tries %s", v.Name)
		}
		seen[v.Name] = true
	}
	require.Len(t, seen, 4)
}

// checkSignature returns the signature that CheckSession sends.
func checkSignature(t *testing.T, key string) (signature string) {
	m, id := phoneOf(t, appID, key)
	m.Tokens = constant("token")
	m.Client = &wechat.Client{HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		signature = r.URL.Query().Get("signature")
		require.Equal(t, "hmac_sha256", r.URL.Query().Get("sig_method"))
		require.Equal(t, id, r.URL.Query().Get("openid"))
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"errcode":0,"errmsg":"ok"}`)), Request: r}, nil
	})}}
	require.NoError(t, m.CheckSession(t.Context(), id))
	return signature
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type constant string

func (c constant) Token(context.Context) (wechat.Credential, error) {
	return wechat.Credential{Value: string(c), Expires: time.Now().Add(time.Hour)}, nil
}

func (c constant) Renew(ctx context.Context, _ string) (wechat.Credential, error) {
	return c.Token(ctx)
}

func TestSessionReturnsTheUserAndStoresTheKey(t *testing.T) {
	wx, m := newMini()
	u, err := m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	require.Equal(t, oauth.User{OpenID: wx.OpenID(appID, "ming"), UnionID: wx.UnionID("platform", "ming")}, u)
	require.NoError(t, m.CheckSession(t.Context(), u.OpenID))

	other := &oauth.Mini{AppID: appID, Store: m.Store, Tokens: m.Tokens, Client: m.Client}
	require.NoError(t, other.CheckSession(t.Context(), u.OpenID), "another process with the same store knows the session")
}

func TestTheDefaultStoreIsPrivate(t *testing.T) {
	wx, m := newMini()
	m.Store = nil
	u, err := m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	require.NoError(t, m.CheckSession(t.Context(), u.OpenID))

	s := newStage(func(s *stage) { s.login.Store = nil })
	p := s.browser(t).open(loginURL(shop))
	_, err = s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
	require.NoError(t, err)
}

func TestACodeOfWXLoginWorksOnceAndForFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, m := newMini()
		code, late := wx.MiniCode(appID, "ming"), wx.MiniCode(appID, "ming")
		_, err := m.Session(t.Context(), code)
		require.NoError(t, err)
		_, err = m.Session(t.Context(), code)
		require.ErrorIs(t, err, wechat.ErrCodeUsed)
		_, err = m.Session(t.Context(), "made-up")
		require.ErrorIs(t, err, wechat.ErrInvalidCode)
		require.NotContains(t, err.Error(), "made-up")
		<-time.After(5 * time.Minute)
		_, err = m.Session(t.Context(), late)
		require.ErrorIs(t, err, wechat.Code(42003))
	})
}

func TestCheckSessionReportsAnEndedSession(t *testing.T) {
	wx, m := newMini()
	require.ErrorIs(t, m.CheckSession(t.Context(), "oNobody"), oauth.ErrSession)
	u, err := m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	wx.EndSession(appID, "ming")
	err = m.CheckSession(t.Context(), u.OpenID)
	require.ErrorIs(t, err, oauth.ErrSession)
	require.ErrorIs(t, err, wechat.Code(87007))

	u, err = m.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	second := &oauth.Mini{AppID: appID, Secret: secret, Store: new(store.Memory), Client: m.Client}
	_, err = second.Session(t.Context(), wx.MiniCode(appID, "ming"))
	require.NoError(t, err)
	err = m.CheckSession(t.Context(), u.OpenID)
	require.ErrorIs(t, err, oauth.ErrSession, "a later login elsewhere has replaced the key")
	require.ErrorIs(t, err, wechat.Code(87009))

	wx.AddFault(wechattest.Fault{Path: "/wxa/checksession", Cut: true})
	require.NotErrorIs(t, m.CheckSession(t.Context(), u.OpenID), oauth.ErrSession)
}

func TestNoAnswerContainsTheSessionKey(t *testing.T) {
	wx, m := newMini()
	s := post(m, "/session", `{"code":"`+wx.MiniCode(appID, "ming")+`"}`)
	require.Equal(t, 200, s.Code, s.Body)
	key, ok, err := m.Store.Get(t.Context(), "oauth/"+appID+"/session_key/"+wx.OpenID(appID, "ming"))
	require.NoError(t, err)
	require.True(t, ok)
	require.NotContains(t, s.Body.String(), string(key))
	require.NotContains(t, s.Body.String(), wx.OpenID(appID, "ming"))
}

func TestAnInvalidAnswerIsNotQuoted(t *testing.T) {
	for _, body := range []string{
		`{"session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, `{"openid":1,"session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, `tiihtNczf5v6AKRyjwEUhQ==`,
		`{"errcode":40029,"errmsg":"invalid code secret-of-the-app the-code"}`,
	} {
		wx, m := newMini()
		wx.AddFault(wechattest.Fault{Path: "/sns/jscode2session", Body: body})
		_, err := m.Session(t.Context(), "the-code")
		require.Error(t, err, body)
		for _, hidden := range []string{"tiiht", secret, "the-code"} {
			require.NotContains(t, err.Error(), hidden)
		}
	}
}
