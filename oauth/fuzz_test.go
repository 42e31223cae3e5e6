package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLogin runs a whole login with any query: if it ends on a site, the site is the shop.
func FuzzLogin(f *testing.F) {
	for _, q := range []string{
		"to=https://shop.example.com/", "to=//evil", `to=\\evil`, "to=https://site@evil", "to=https://shop.example.com/%0d%0aX:y",
		"to=https://shop.example.com/?login_code=a%26nonce=b%23c", "to=https://shop.example.com/&nonce=%00%ff&scope=snsapi_userinfo&lang=en", "to=%zz", ";",
		"to=https://shop.example.com/?login%255fcode=a%26%26nonce",
	} {
		f.Add(q)
	}
	s := newStage(allowConsent)
	h := s.handler()
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", mount+"/login", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusFound {
			require.Contains(t, []int{400, 403}, w.Code)
			return
		}
		at, err := url.Parse(w.Header().Get("Location"))
		require.NoError(t, err)
		require.Equal(t, "open.weixin.qq.com", at.Host)
		hc := s.wx.Client()
		hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := hc.Get(at.String())
		require.NoError(t, err)
		end := resp.Header.Get("Location")
		require.True(t, strings.HasPrefix(end, back+"?code="), end)

		w = httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", end, nil))
		require.Equal(t, http.StatusFound, w.Code)
		to := w.Header().Get("Location")
		require.False(t, strings.ContainsAny(to, "\r\n"))
		u, err := url.Parse(to)
		require.NoError(t, err)
		require.Contains(t, []string{"shop.example.com", "shop.example.com:443", "127.0.0.1:8080"}, strings.ToLower(u.Host))
		require.Len(t, u.Query()["login_code"], 1)
	})
}

// FuzzCallback sends any code and state.
func FuzzCallback(f *testing.F) {
	f.Add("code=a&state=00000000000000000000000000000000")
	f.Add("state=0&state=1")
	f.Add("code=%00&state=zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")
	s := newStage()
	h := s.handler()
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", back, nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusGone, w.Code)
		require.Empty(t, w.Header().Get("Location"))
	})
}

// FuzzDecrypt decrypts any data.
func FuzzDecrypt(f *testing.F) {
	_, m := newMini()
	require.NoError(f, m.Store.Set(f.Context(), "oauth/"+appID+"/session_key/oUser", []byte("HyVFkGl5F5OQWJZZaNzBBg=="), 0))
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA==")
	f.Add("", "")
	f.Add(strings.Repeat("A", 64), "r7BXXKkLb8qrSNn05n0qiA==")
	f.Fuzz(func(t *testing.T, data, iv string) {
		var out any
		require.Error(t, m.DecryptData(t.Context(), "oUser", data, iv, &out), "data of another key does not decrypt")
		require.Nil(t, out)
		require.Error(t, m.VerifyRawData(t.Context(), "oUser", data, iv))
	})
}
