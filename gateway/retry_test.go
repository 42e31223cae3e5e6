package gateway_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechattest"
)

const opsKey = "a-key-of-this-test-for-operators"

// configWithOps returns config with a caller that has only the scope admin.
func configWithOps() gateway.Config {
	c := config()
	c.Keys = append(c.Keys, gateway.Key{Name: "ops", Key: opsKey, Apps: []string{"*"}, Scopes: []string{"admin"}})
	return c
}

// serveDirectly calls a handler without a socket, as a synctest bubble requires.
func serveDirectly(t *testing.T, h http.Handler, method, path, key, body string) (int, answer) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var a answer
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	return w.Code, a
}

func TestARememberedRefusalIsForgottenOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := newWeChat()
		var log bytes.Buffer
		g, err := gateway.New(gateway.Options{Config: configWithOps(), HTTP: wx.Client(), Log: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		h := g.Private()
		wx.AddFault(wechattest.Fault{App: shopID, Code: 40164})
		for range 3 {
			status, a := serveDirectly(t, h, "GET", "/app/shop/token", allKey, "")
			require.Equal(t, http.StatusBadGateway, status)
			require.Equal(t, 40164, a.Code)
		}
		require.Equal(t, 1, wx.Calls("/cgi-bin/stable_token"), "the refusal is remembered")

		status, a := serveDirectly(t, h, "POST", "/app/shop/retry", opsKey, "")
		require.Equal(t, http.StatusBadGateway, status)
		require.Equal(t, 40164, a.Code, "it is not cured yet")
		require.Equal(t, 2, wx.Calls("/cgi-bin/stable_token"))
		synctest.Wait()
		require.NotContains(t, log.String(), "scope=admin", "what was refused changed nothing")

		wx.ClearFaults() // in WeChat's console
		status, _ = serveDirectly(t, h, "GET", "/app/shop/token", allKey, "")
		require.Equal(t, http.StatusBadGateway, status, "still remembered")
		status, a = serveDirectly(t, h, "POST", "/app/shop/retry", opsKey, "")
		require.Equal(t, http.StatusOK, status, a.Msg)
		require.Equal(t, 3, wx.Calls("/cgi-bin/stable_token"))
		synctest.Wait()
		require.Contains(t, log.String(), "caller=ops app=shop scope=admin")
		status, _ = serveDirectly(t, h, "GET", "/app/shop/token", allKey, "")
		require.Equal(t, http.StatusOK, status)
		status, _ = serveDirectly(t, h, "POST", "/app/shop/retry", opsKey, "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, 3, wx.Calls("/cgi-bin/stable_token"), "a token that is not due is not fetched again")
	})
}

func TestARefusedTicketIsForgottenOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := newWeChat()
		g, err := gateway.New(gateway.Options{Config: configWithOps(), HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		h := g.Private()
		wx.AddFault(wechattest.Fault{Path: "/cgi-bin/ticket/getticket", Code: 48001})
		for range 2 {
			status, _ := serveDirectly(t, h, "GET", "/app/shop/ticket/jsapi", allKey, "")
			require.Equal(t, http.StatusBadGateway, status)
		}
		status, a := serveDirectly(t, h, "POST", "/app/shop/retry", opsKey, "")
		require.Equal(t, http.StatusBadGateway, status)
		require.Equal(t, 48001, a.Code)
		wx.ClearFaults()
		status, a = serveDirectly(t, h, "POST", "/app/shop/retry", opsKey, "")
		require.Equal(t, http.StatusOK, status, a.Msg)
		status, _ = serveDirectly(t, h, "GET", "/app/shop/ticket/jsapi", allKey, "")
		require.Equal(t, http.StatusOK, status)
	})
}

func TestOnlyAnAdministratorMayRetry(t *testing.T) {
	base := private(t, gateway.Options{Config: configWithOps(), HTTP: newWeChat().Client()})
	for key, want := range map[string]int{"": 401, readKey: 403, opsKey: 200} {
		status, _ := ask(t, "POST", base+"/app/shop/retry", key, "")
		require.Equal(t, want, status)
	}
	status, _ := ask(t, "GET", base+"/app/shop/token", opsKey, "")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = ask(t, "POST", base+"/app/none/retry", opsKey, "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestRetryTriesTheAppsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := newWeChat()
		var log bytes.Buffer
		g, err := gateway.New(gateway.Options{Config: config(), HTTP: wx.Client(), Log: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		h := g.Private()
		wx.AddFault(wechattest.Fault{Code: 40164})
		for _, app := range []string{"shop", "corp"} {
			status, _ := serveDirectly(t, h, "GET", "/app/"+app+"/token", allKey, "")
			require.Equal(t, http.StatusBadGateway, status)
		}
		g.Retry(t.Context())
		synctest.Wait()
		require.Contains(t, log.String(), "apps=2 failed=2")
		wx.ClearFaults()
		g.Retry(t.Context())
		synctest.Wait()
		require.Contains(t, log.String(), "apps=2 failed=0")
		for _, app := range []string{"shop", "corp"} {
			status, _ := serveDirectly(t, h, "GET", "/app/"+app+"/token", allKey, "")
			require.Equal(t, http.StatusOK, status)
		}
		require.Equal(t, 3, wx.Calls("/cgi-bin/stable_token"), "no app that nobody has asked for")
	})
}

func TestAChangeThatIsRefusedIsNotAudited(t *testing.T) {
	var log bytes.Buffer
	wx := newWeChat()
	base := private(t, gateway.Options{Config: config(), HTTP: wx.Client(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	_, first := ask(t, "GET", base+"/app/shop/token", allKey, "")
	for body, want := range map[string]int{"{}": 400, "x": 400} {
		status, _ := ask(t, "POST", base+"/app/shop/token", allKey, body)
		require.Equal(t, want, status)
	}
	status, _ := ask(t, "POST", base+"/app/shop/ticket/nonsense", allKey, `{"refused":"x"}`)
	require.Equal(t, http.StatusNotFound, status)
	require.Empty(t, log.String())
	status, _ = ask(t, "POST", base+"/app/shop/token", allKey, `{"refused":"`+first.Token+`"}`)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, log.String(), "msg=change caller=all app=shop scope=renew")
}
