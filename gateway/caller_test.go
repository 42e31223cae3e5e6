package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
)

func TestACallerMayDoWhatItsKeySays(t *testing.T) {
	base := private(t, gateway.Options{Config: config(), HTTP: newWeChat().Client()})
	for _, c := range []struct {
		name, method, path, key string
		status                  int
	}{
		{"no key", "GET", "/app/shop/token", "", 401},
		{"a wrong key", "GET", "/app/shop/token", allKey + "x", 401},
		{"no key, no such app", "GET", "/app/none/token", "", 401},
		{"no key, no such route", "GET", "/nothing", "", 401},
		{"no such app", "GET", "/app/none/token", allKey, 404},
		{"no such route", "GET", "/nothing", allKey, 404},
		{"no such route of an app", "GET", "/app/shop/nothing", allKey, 404},
		{"its app", "GET", "/app/shop/token", readKey, 200},
		{"its app by appid", "GET", "/app/" + shopID + "/token", readKey, 200},
		{"its app's ticket", "GET", "/app/shop/ticket/jsapi", readKey, 200},
		{"a scope it lacks", "POST", "/app/shop/token", readKey, 403},
		{"another's app", "GET", "/app/corp/token", readKey, 403},
		{"a name in Chinese", "GET", "/app/" + url.PathEscape("新闻") + "/token", newsKey, 200},
		{"an appid of two apps", "GET", "/app/wxaaaaaaaaaaaaaaaa/token", allKey, 404},
		{"a route the app does not allow", "GET", "/app/too/token", allKey, 404},
		{"an app whose registration ended", "GET", "/app/gone/token", allKey, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, a := ask(t, c.method, base+c.path, c.key, `{"refused":"x"}`)
			require.Equal(t, c.status, status, a.Msg)
		})
	}
}

func TestAKeyMayComeInOtherWays(t *testing.T) {
	base := private(t, gateway.Options{Config: config(), HTTP: newWeChat().Client()})
	basic := strings.Replace(base, "http://", "http://anybody:"+allKey+"@", 1)
	status, _ := ask(t, "GET", basic+"/app/shop/token", "", "")
	require.Equal(t, http.StatusOK, status)
	status, _ = ask(t, "GET", base+"/app/shop/token?wetoken_key="+allKey, "", "")
	require.Equal(t, http.StatusOK, status)
}

func TestAKeyMayBeGivenAsItsDigest(t *testing.T) {
	c := config()
	c.Keys[0].Key = "sha256:" + hexDigest(allKey)
	base := private(t, gateway.Options{Config: c, HTTP: newWeChat().Client()})
	status, _ := ask(t, "GET", base+"/app/shop/token", allKey, "")
	require.Equal(t, http.StatusOK, status)
	status, _ = ask(t, "GET", base+"/app/shop/token", hexDigest(allKey), "")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestNoCallerKeyIsKept(t *testing.T) {
	g, err := gateway.New(gateway.Options{Config: config(), HTTP: newWeChat().Client()})
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v", g), allKey)
}

func TestAShortKeyIsNone(t *testing.T) {
	c := config()
	c.Keys[0].Key = "sha256:" + hexDigest("short")
	base := private(t, gateway.Options{Config: c, HTTP: newWeChat().Client()})
	for _, key := range []string{"", "short"} {
		status, _ := ask(t, "GET", base+"/app/shop/token", key, "")
		require.Equal(t, http.StatusUnauthorized, status, key)
		status, _ = ask(t, "GET", base+"/app/shop/token?wetoken_key="+key, "", "")
		require.Equal(t, http.StatusUnauthorized, status, key)
	}
}
