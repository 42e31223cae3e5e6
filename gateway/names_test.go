package gateway_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
)

// mistakable are names that look like another one.
var mistakable = []string{" shop2", "shop2 ", "小店\u3000", "小\u3000店", "sh\u00a0op", "shop\u200b", "\u202epohs", "sh\u2066op\u2069", "\ufeffshop", "sh\u2028op", "sh\u00adop", "sh\x7fop"}

// requireEscaped requires that a text does not show the invisible characters of a name.
func requireEscaped(t *testing.T, text, name string) {
	t.Helper()
	if strings.Trim(name, " ") == name {
		require.NotContains(t, text, name)
	}
}

func TestNamesThatLookLikeAnotherOneAreRefused(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	app := `{"app_id":"` + laterID + `","secret":"` + laterSecret + `"}`
	require.Equal(t, 201, askAdmin(t, g, adminKey, "PUT", "/apps/later", app, nil).Code)
	for _, name := range mistakable {
		for _, c := range []struct{ method, path, body string }{
			{"PUT", "/apps/" + url.PathEscape(name), app},
			{"PUT", "/apps/other", strings.Replace(app, "{", `{"id":`+quote(name)+`,`, 1)},
			{"POST", "/apps/later/rename", `{"to":` + quote(name) + `}`},
			{"PUT", "/merchants/" + url.PathEscape(name), `{"mch_id":"1900000001","v2":{"api_key":"0123456789abcdef0123456789abcdef"}}`},
			{"POST", "/keys", `{"name":` + quote(name) + `,"apps":["shop"],"scopes":["token"]}`},
			{"POST", "/keys", `{"name":"a","apps":[` + quote(name) + `],"scopes":["token"]}`},
		} {
			w := askAdmin(t, g, adminKey, c.method, c.path, c.body, nil)
			require.Equal(t, 400, w.Code, "%s %s %s: %s", c.method, c.path, c.body, w.Body)
			requireEscaped(t, w.Body.String(), name)
		}
		for what, change := range map[string]func(*gateway.Config){
			"apps":      func(c *gateway.Config) { c.Apps[name] = c.Apps["shop"] },
			"apps.id":   func(c *gateway.Config) { a := c.Apps["shop"]; a.ID = name; c.Apps["shop"] = a },
			"keys":      func(c *gateway.Config) { c.Keys[0].Name = name },
			"merchants": func(c *gateway.Config) { c.Merchants = map[string]gateway.Merchant{name: {MchID: "1900000001"}} },
		} {
			c := config()
			change(&c)
			err := c.Check()
			require.Error(t, err, "%s %q", what, name)
			requireEscaped(t, err.Error(), name)
		}
	}
	for _, name := range []string{"小店", "𠮷野家", "shop 2", "é", "e\u0301", "店·二"} {
		for _, c := range []struct{ method, path, body string }{
			{"PUT", "/apps/" + url.PathEscape(name), app},
			{"PUT", "/merchants/" + url.PathEscape(name), `{"mch_id":"19` + fmt.Sprintf("%08d", len(name)) + `","v2":{"api_key":"0123456789abcdef0123456789abcdef"}}`},
			{"POST", "/keys", `{"name":` + quote(name) + `,"apps":["shop"],"scopes":["token"]}`},
		} {
			w := askAdmin(t, g, adminKey, c.method, c.path, c.body, nil)
			require.Contains(t, []int{200, 201, 409}, w.Code, "%s %s %s: %s", c.method, c.path, c.body, w.Body)
		}
	}
}

// A registration of an earlier release, whose name would be refused now, is served until it is renamed or deleted.
func TestARegistrationWithAnOldNameIsServed(t *testing.T) {
	wx, raw := newWeChat(), new(store.Memory)
	wx.AddApp(laterID, laterSecret)
	const name = "la\u200bter"
	plant := func(key, format string, args ...any) {
		require.NoError(t, raw.Set(t.Context(), "registry/"+key, fmt.Appendf(nil, format, args...), 0))
	}
	now := time.Now().UnixMilli()
	plant("app/"+name, `{"id":%q,"name":%[1]q,"revision":"r","settings":{"app_id":%[2]q,"secret":%[3]q}}`, name, laterID, laterSecret)
	plant("app-name/"+name, `{"id":%q,"reserved_at":%d}`, name, now)
	id := gateway.IDOfKey(name)
	const key = "a-key-of-this-test-with-an-old-name"
	plant("key/"+id, `{"id":%q,"name":%q,"revision":"r","settings":{"settings":{"name":%[2]q,"apps":["*"],"scopes":["token"]},"digests":[{"sha256":%[3]q}],"created_at":"2026-01-01T00:00:00Z"}}`, id, name, fmt.Sprintf("%x", sha256.Sum256([]byte(key))))
	plant("key-name/"+name, `{"id":%q,"reserved_at":%d}`, id, now)
	g := openGateway(t, raw, wx, withAdmins, func(o *gateway.Options) { o.RegisterUnsealed = true })
	status, a := tokenStatus(t, g, url.PathEscape(name))
	require.Equal(t, http.StatusOK, status, a.Msg)
	list, _, err := g.Keys().Page(t.Context(), "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	path := url.PathEscape(name)
	require.Equal(t, 200, askAdmin(t, g, adminKey, "POST", "/keys/"+path+"/rotate", `{}`, nil).Code)
	require.Equal(t, 204, askAdmin(t, g, adminKey, "DELETE", "/keys/"+path, "", nil).Code)
	require.Equal(t, 400, askAdmin(t, g, adminKey, "PUT", "/apps/"+path, `{"app_id":"`+laterID+`","secret":"x"}`, nil).Code)
	require.Equal(t, 200, askAdmin(t, g, adminKey, "POST", "/apps/"+path+"/rename", `{"to":"later"}`, nil).Code)
	require.Equal(t, 200, askAdmin(t, g, adminKey, "PUT", "/apps/later", `{"app_id":"`+laterID+`","secret":"x"}`, nil).Code)
	require.Equal(t, 204, askAdmin(t, g, adminKey, "DELETE", "/apps/later", "", nil).Code)
}
