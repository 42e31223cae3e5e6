package oauth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
)

// The files of testdata are one record each, as the first release wrote it. Processes of several releases share a store
// while one replaces the other, so each release must read them. Their instants are those of a synctest bubble, which
// begins on 2000-01-01 UTC; the cookie of states is "the-cookie".

const (
	stateName = "0123456789abcdef0123456789abcdef"
	prefix    = "oauth/" + appID + "/"
)

func hashOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// golden returns the record in testdata/name.
func golden(t *testing.T, name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return bytes.TrimSpace(b)
}

// onlyKey returns the one key of a store that begins with prefix.
func onlyKey(t *testing.T, s store.Store, prefix string) string {
	t.Helper()
	var keys []string
	for key, err := range s.Keys(t.Context(), prefix) {
		require.NoError(t, err)
		keys = append(keys, key)
	}
	require.Len(t, keys, 1)
	return keys[0]
}

// requireGolden compares the only record below prefix with a golden one, but for the fields that are made at random.
func requireGolden(t *testing.T, name string, s store.Store, prefix string, random ...string) {
	t.Helper()
	raw, _, err := s.Get(t.Context(), onlyKey(t, s, prefix))
	require.NoError(t, err)
	var want, got map[string]any
	require.NoError(t, json.Unmarshal(golden(t, name), &want))
	require.NoError(t, json.Unmarshal(raw, &got))
	for _, field := range random {
		require.NotEmpty(t, got[field], field)
		got[field] = want[field]
	}
	require.Equal(t, want, got, name)
}

// plant stores a record under a key.
func plant(t *testing.T, s store.Store, key string, record []byte) {
	t.Helper()
	require.NoError(t, s.Set(t.Context(), key, record, time.Hour))
}

// withCookie gives the browser a cookie for the mount.
func (b *browser) withCookie(name, value string) *browser {
	at, err := url.Parse(mount)
	require.NoError(b.t, err)
	jar, err := cookiejar.New(nil)
	require.NoError(b.t, err)
	jar.SetCookies(at, []*http.Cookie{{Name: name, Value: value, Secure: true, Path: "/"}})
	b.hc.Jar = jar
	return b
}

// inBubble runs f in a bubble, on a stage of its own.
func inBubble(t *testing.T, name string, f func(t *testing.T, s *stage)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, newStage(allowConsent)) })
	})
}

func TestRecordsAreWrittenAsTheFirstReleaseWroteThem(t *testing.T) {
	inBubble(t, "state", func(t *testing.T, s *stage) {
		s.browser(t).stop("https://open.weixin.qq.com/", loginURL(shop, "scope", oauth.ScopeUserInfo, "nonce", "n1"))
		requireGolden(t, "state.json", s.login.Store, prefix+"state/", "cookie")
	})
	inBubble(t, "state that has failed", func(t *testing.T, s *stage) {
		s.login.Secret = "wrong-secret"
		requireReturned(t, s.browser(t), loginURL(shop, "nonce", "n1"), "failed")
		requireGolden(t, "state_failed.json", s.login.Store, prefix+"state/", "cookie")
	})
	inBubble(t, "state that is done", func(t *testing.T, s *stage) {
		browse(t, s.wx, s.app()).open(my + "/")
		requireGolden(t, "state_done.json", s.login.Store, prefix+"state/", "cookie")
	})
	inBubble(t, "code", func(t *testing.T, s *stage) {
		s.browser(t).open(loginURL(shop, "nonce", "n1"))
		requireGolden(t, "code.json", s.login.Store, prefix+"code/")
	})
	inBubble(t, "session", func(t *testing.T, s *stage) {
		browse(t, s.wx, s.app()).open(my + "/")
		requireGolden(t, "session.json", s.login.Store, prefix+"session/")
	})
	inBubble(t, "grant", func(t *testing.T, s *stage) {
		_, err := s.login.Exchange(t.Context(), s.code(t, oauth.ScopeUserInfo))
		require.NoError(t, err)
		requireGolden(t, "grant.json", s.login.Store, prefix+"grant/", "access_token", "refresh_token", "expires")
	})
	t.Run("session_key", func(t *testing.T) {
		wx, m := newMini()
		_, err := m.Session(t.Context(), wx.MiniCode(appID, "ming"))
		require.NoError(t, err)
		key, _, err := m.Store.Get(t.Context(), onlyKey(t, m.Store, prefix+"session_key/"))
		require.NoError(t, err)
		require.Len(t, key, len(golden(t, "session_key")))
	})
}

// planted stores a record under a key, and returns the browser that it belongs to.
func planted(t *testing.T, s *stage, key string, record []byte) *browser {
	plant(t, s.login.Store, prefix+key, record)
	b := browse(t, s.wx, s.app())
	if strings.HasPrefix(key, "session/") {
		return b.withCookie("__Host-wetoken-"+hashOf(appID)[:12], "the-cookie")
	}
	return b.withCookie("__Host-wetoken-login-"+stateName[:8], "the-cookie")
}

func TestRecordsOfTheFirstReleaseAreRead(t *testing.T) {
	inBubble(t, "state", func(t *testing.T, s *stage) {
		b := planted(t, s, "state/"+stateName, golden(t, "state.json"))
		p := b.open(back + "?state=" + stateName + "&code=" + s.code(t, oauth.ScopeUserInfo))
		require.Equal(t, "shop", p.body)
		u, err := s.login.Redeem(t.Context(), p.url.Query().Get("login_code"))
		require.NoError(t, err)
		require.Equal(t, "n1", u.Nonce)
		require.NotEmpty(t, u.Nickname)
	})
	inBubble(t, "state that has failed", func(t *testing.T, s *stage) {
		b := planted(t, s, "state/"+stateName, golden(t, "state_failed.json"))
		p := requireReturned(t, b, back+"?state="+stateName+"&code=any", "failed")
		require.Equal(t, "n1", p.url.Query().Get("nonce"))
	})
	inBubble(t, "state that is done", func(t *testing.T, s *stage) {
		b := planted(t, s, "state/"+stateName, golden(t, "state_done.json"))
		p := b.open(back + "?state=" + stateName + "&code=any")
		require.Contains(t, p.body, "hello oAJf8e-_yEE7iHGue538fgRbTTXe")
		require.Zero(t, s.wx.Calls("/sns/oauth2/access_token"))
	})
	inBubble(t, "code", func(t *testing.T, s *stage) {
		planted(t, s, "code/"+hashOf("the-code"), golden(t, "code.json"))
		u, err := s.login.Redeem(t.Context(), "the-code")
		require.NoError(t, err)
		require.Equal(t, "https://shop.example.com", u.To)
		require.Equal(t, "n1", u.Nonce)
		require.Equal(t, s.wx.OpenID(appID, "ming"), u.OpenID)
	})
	inBubble(t, "session", func(t *testing.T, s *stage) {
		b := planted(t, s, "session/"+hashOf("the-cookie"), golden(t, "session.json"))
		require.Contains(t, b.open(my+"/").body, "hello")
		require.Zero(t, s.wx.Calls("/sns/oauth2/access_token"))
	})
	inBubble(t, "grant", func(t *testing.T, s *stage) {
		planted(t, s, "grant/"+s.wx.OpenID(appID, "ming"), golden(t, "grant.json"))
		g, err := s.login.Grant(t.Context(), s.wx.OpenID(appID, "ming"))
		require.NoError(t, err)
		require.Equal(t, "the-access-token", g.AccessToken)
		require.Equal(t, "the-refresh-token", g.RefreshToken)
		require.Equal(t, 2*time.Hour, time.Until(g.Expires))
	})
	t.Run("session_key", func(t *testing.T) {
		_, m := newMini()
		plant(t, m.Store, prefix+"session_key/oUser", golden(t, "session_key"))
		_, err := m.UserSignature(t.Context(), "oUser", "")
		require.NoError(t, err)
	})
}

// later returns a golden record in the format of a later release.
func later(t *testing.T, name string) []byte {
	return append([]byte(`{"v":2,`), golden(t, name)[1:]...)
}

func TestRecordsOfALaterReleaseAreRefused(t *testing.T) {
	for _, name := range []string{"state.json", "state_failed.json", "state_done.json"} {
		inBubble(t, name, func(t *testing.T, s *stage) {
			b := planted(t, s, "state/"+stateName, later(t, name))
			p := b.open(back + "?state=" + stateName + "&code=" + s.code(t, oauth.ScopeUserInfo))
			require.Equal(t, 410, p.status)
			require.Contains(t, p.body, "登录已过期", "the login begins again")
			require.Zero(t, s.wx.Calls("/sns/oauth2/access_token"))
		})
	}
	inBubble(t, "code", func(t *testing.T, s *stage) {
		planted(t, s, "code/"+hashOf("the-code"), later(t, "code.json"))
		_, err := s.login.Redeem(t.Context(), "the-code")
		require.ErrorContains(t, err, "written by a later release")
		require.NotErrorIs(t, err, oauth.ErrLoginCode)
		onlyKey(t, s.login.Store, prefix+"code/") // a process of that release can still redeem it
	})
	inBubble(t, "session", func(t *testing.T, s *stage) {
		b := planted(t, s, "session/"+hashOf("the-cookie"), later(t, "session.json"))
		require.Contains(t, b.open(my+"/").body, "hello")
		require.Equal(t, 1, s.wx.Calls("/sns/oauth2/access_token"), "the visitor logs in again")
	})
	inBubble(t, "grant", func(t *testing.T, s *stage) {
		planted(t, s, "grant/oUser", later(t, "grant.json"))
		_, err := s.login.Grant(t.Context(), "oUser")
		require.ErrorContains(t, err, "written by a later release")
		require.NotErrorIs(t, err, oauth.ErrNoGrant)
	})
	t.Run("session_key", func(t *testing.T) {
		_, m := newMini()
		plant(t, m.Store, prefix+"session_key/oUser", []byte(`{"v":2}`))
		_, err := m.UserSignature(t.Context(), "oUser", "")
		require.ErrorIs(t, err, oauth.ErrSession)
	})
}
