package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// A process that holds an app by its appid learns that another app has the appid, too, without reading that one.
func TestAnAppIDThatAnotherAppGetsNamesNoAppInAProcessThatHoldsTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx, records := newWeChat(), newSealed(t, new(store.Memory))
		wx.AddApp(laterID, laterSecret)
		one, two := openGateway(t, records, wx), openGateway(t, records, wx)
		app := gateway.App{AppID: laterID, Secret: laterSecret}
		put := func(name string, app gateway.App) {
			t.Helper()
			_, err := one.Apps().Put(t.Context(), name, app, "")
			require.NoError(t, err)
			advance(2 * time.Second)
		}
		see := func(want int) {
			t.Helper()
			for _, g := range []*gateway.Gateway{one, two} {
				status, a := tokenStatus(t, g, laterID)
				require.Equal(t, want, status, a.Msg)
			}
		}
		put("first", app)
		see(http.StatusOK)
		put("second", app)
		see(http.StatusNotFound)
		other := gateway.App{AppID: "wx2222222222222222", Secret: "another-secret"}
		put("second", other)
		see(http.StatusOK)
		put("second", app)
		see(http.StatusNotFound)
	})
}

// publicFile returns the status and the body of a file at the root of the public side.
func publicFile(g *gateway.Gateway, name string) (int, string) {
	w := httptest.NewRecorder()
	g.Public().ServeHTTP(w, httptest.NewRequest("GET", "/"+name, nil))
	return w.Code, w.Body.String()
}

// An app whose registration has ended does not hide the verification file of another one.
func TestAVerificationFileIsServedAsLongAsOneOfItsAppsIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := newSealed(t, new(store.Memory))
		one, two := openGateway(t, records, newWeChat()), openGateway(t, records, newWeChat())
		const file = "MP_verify_abc.txt"
		now := time.Now()
		for name, end := range map[string]time.Time{"a": now.Add(-time.Hour), "b": now.Add(-time.Minute), "c": now.Add(time.Hour), "d": now.Add(2 * time.Hour), "e": {}} {
			_, err := one.Apps().Put(t.Context(), name, gateway.App{AppID: laterID, Secret: laterSecret, VerifyFiles: map[string]string{file: "abc"}, ExpiresAt: end}, "")
			require.NoError(t, err)
		}
		see := func(want int) {
			t.Helper()
			advance(2 * time.Second)
			for _, g := range []*gateway.Gateway{one, two} {
				status, body := publicFile(g, file)
				require.Equal(t, want, status, body)
			}
		}
		see(http.StatusOK)
		advance(time.Hour) // c ends, which is held
		see(http.StatusOK)
		advance(time.Hour)
		see(http.StatusOK)
		require.NoError(t, one.Apps().Delete(t.Context(), "e", ""))
		see(http.StatusNotFound)
	})
}
