package gateway_test

import (
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// requireNothingLeft requires that no value in raw has a text.
func requireNothingLeft(t *testing.T, raw store.Store, texts ...string) {
	t.Helper()
	for key, err := range raw.Keys(t.Context(), "") {
		require.NoError(t, err)
		value, ok, err := raw.Get(t.Context(), key)
		require.NoError(t, err)
		for _, text := range texts {
			require.False(t, ok && strings.Contains(string(value), text), "%s has %s", key, text)
		}
	}
}

// An end hides an app, which an administrator may still move. A day later nothing of it is left.
func TestAnEndHidesAnAppAndADayLaterItIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, raw := newWeChat(), new(store.Memory)
		wx.AddApp(laterID, laterSecret)
		unsealed := func(o *gateway.Options) { o.RegisterUnsealed, o.Store = true, raw }
		one, two := openGateway(t, raw, wx, withAdmins, unsealed), openGateway(t, raw, wx, withAdmins, unsealed)
		put := func(end time.Time) int {
			body := fmt.Sprintf(`{"app_id":%q,"secret":%q,"sign_key":"a-sign-key-of-later","expires_at":%q}`, laterID, laterSecret, end.Format(time.RFC3339))
			return askAdmin(t, one, adminKey, "PUT", "/apps/later", body, nil).Code
		}
		require.Equal(t, 201, put(time.Now().Add(time.Hour)))
		see := func(status int) {
			t.Helper()
			advance(2 * time.Second)
			for _, g := range []*gateway.Gateway{one, two} {
				got, a := tokenStatus(t, g, "later")
				require.Equal(t, status, got, a.Msg)
			}
		}
		see(200)
		advance(time.Hour)
		see(404)
		require.Equal(t, 200, askAdmin(t, two, adminKey, "GET", "/apps/later", "", nil).Code)
		require.Equal(t, 200, put(time.Now().Add(time.Hour)))
		see(200)
		advance(time.Hour)
		see(404)
		require.Equal(t, 400, put(time.Now().Add(-25*time.Hour)))
		advance(24 * time.Hour)
		see(404)
		require.Equal(t, 404, askAdmin(t, two, adminKey, "GET", "/apps/later", "", nil).Code)
		requireNothingLeft(t, raw, laterSecret, "a-sign-key-of-later")
		require.Equal(t, 201, put(time.Now().Add(time.Hour)), "its name is free")
		see(200)
	})
}

// signedQuery returns the query with which WeChat checks a callback URL.
func signedQuery(token, echo string) string {
	now := fmt.Sprint(time.Now().Unix())
	parts := []string{token, now, "nonce"}
	slices.Sort(parts)
	return fmt.Sprintf("signature=%x&timestamp=%s&nonce=nonce&echostr=%s", sha1.Sum([]byte(strings.Join(parts, ""))), now, echo)
}

// The former name of an app is kept for it in every process.
func TestAFormerNameIsKeptInEveryProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, records := newWeChat(), newSealed(t, new(store.Memory))
		wx.AddApp(laterID, laterSecret)
		one, two := openGateway(t, records, wx, withAdmins), openGateway(t, records, wx, withAdmins)
		const other = `{"id":"other","app_id":"wx2222222222222222","secret":"another-secret"}`
		require.Equal(t, 201, askAdmin(t, one, adminKey, "PUT", "/apps/later", `{"app_id":"`+laterID+`","secret":"`+laterSecret+`","message":{"token":"`+tokenOf+`"}}`, nil).Code)
		advance(2 * time.Second)
		status, _ := tokenStatus(t, two, "later")
		require.Equal(t, 200, status)
		require.Equal(t, 200, askAdmin(t, one, adminKey, "POST", "/apps/later/rename", `{"to":"renamed"}`, nil).Code)

		callback := func(name string) int { // WeChat's check of the URL, truly signed
			w := httptest.NewRecorder()
			two.Public().ServeHTTP(w, httptest.NewRequest("GET", "/app/"+name+"/message?"+signedQuery(tokenOf, "hello"), nil))
			if w.Code == http.StatusOK {
				require.Equal(t, "hello", w.Body.String())
			}
			return w.Code
		}
		for _, wait := range []time.Duration{2 * time.Second, 30*24*time.Hour - time.Minute} {
			advance(wait)
			require.Equal(t, 200, callback("later"))
			require.Equal(t, 200, callback("renamed"))
			status, a := tokenStatus(t, two, "later")
			require.Equal(t, 404, status)
			require.Equal(t, `app "later" has another name now: "renamed"`, a.Msg)
			w := askAdmin(t, two, adminKey, "PUT", "/apps/later", other, nil)
			require.Equal(t, 409, w.Code)
			require.Contains(t, w.Body.String(), "30 days")
			require.Equal(t, 404, askAdmin(t, two, adminKey, "GET", "/apps/later", "", nil).Code)
			require.Equal(t, 404, askAdmin(t, two, adminKey, "DELETE", "/apps/later", "", nil).Code)
		}
		advance(2 * time.Minute)
		w := askAdmin(t, two, adminKey, "PUT", "/apps/later", `{"app_id":"wx2222222222222222","secret":"another-secret"}`, nil)
		require.Equal(t, 409, w.Code, "the default of its id is the id of the other")
		require.Contains(t, w.Body.String(), "set another id")
		require.Equal(t, 201, askAdmin(t, two, adminKey, "PUT", "/apps/later", other, nil).Code)
		require.NotEqual(t, 200, callback("later"))
		require.Equal(t, 200, callback("renamed"))
	})
}

// An appid that two apps share names neither, also in a process that has used it before.
func TestAnAppIDThatIsSharedLaterNamesNoApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, records := newWeChat(), newSealed(t, new(store.Memory))
		wx.AddApp(laterID, laterSecret)
		one, stopOne := runGateway(t, records, wx, withAdmins)
		two, stopTwo := runGateway(t, records, wx, withAdmins)
		see := func(want int, says string) {
			t.Helper()
			advance(3 * time.Second)
			for name, g := range map[string]*gateway.Gateway{"one": one, "two": two} {
				status, a := tokenStatus(t, g, laterID)
				require.Equal(t, want, status, "%s, in %s: %s", says, name, a.Msg)
				status, a = tokenStatus(t, g, "first")
				require.Equal(t, 200, status, a.Msg)
			}
		}
		body := `{"app_id":"` + laterID + `","secret":"` + laterSecret + `"}`
		require.Equal(t, 201, askAdmin(t, one, adminKey, "PUT", "/apps/first", body, nil).Code)
		see(200, "it is alone")
		require.Equal(t, 201, askAdmin(t, one, adminKey, "PUT", "/apps/second", body, nil).Code)
		see(404, "it is shared")
		require.Equal(t, 204, askAdmin(t, two, adminKey, "DELETE", "/apps/second", "", nil).Code)
		see(200, "it is alone again")
		stopOne()
		stopTwo()
	})
}
