package gateway_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

// callRegistry makes a request with the key of an administrator. headers are pairs.
func callRegistry(t *testing.T, h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+adminKey)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	return w
}

const laterBody = `{"app_id":"` + laterID + `","secret":"` + laterSecret + `","public_url":"https://later.example.com","hosts":["shop.example.com"],"message":{"token":"a-token-of-later","mode":"plain"},"sign_key":"a-sign-key-of-sixteen"}`

// laterMasked is how an administrator sees laterBody.
const laterMasked = `{"app_id":"` + laterID + `","secret":"********","public_url":"https://later.example.com","hosts":["shop.example.com"],"message":{"token":"********","mode":"plain"},"sign_key":"********"}`

func TestAppsAreRegisteredOverHTTP(t *testing.T) {
	wx := newWeChat()
	wx.AddApp(laterID, laterSecret)
	g := openGateway(t, newSealed(t, new(store.Memory)), wx, withAdmins)
	h := g.Private()

	made := callRegistry(t, h, "PUT", "/apps/later", laterBody)
	require.Equal(t, 201, made.Code, made.Body)
	require.JSONEq(t, laterMasked, made.Body.String())
	status, a := tokenStatus(t, g, "later")
	require.Equal(t, 200, status, a.Msg)

	got := callRegistry(t, h, "GET", "/apps/later", "")
	require.Equal(t, 200, got.Code)
	require.JSONEq(t, laterMasked, got.Body.String())
	tag := got.Header().Get("ETag")
	require.Equal(t, made.Header().Get("ETag"), tag)
	require.Regexp(t, `^"[A-Z2-7]+"$`, tag)

	same := callRegistry(t, h, "PUT", "/apps/later", got.Body.String(), "If-Match", tag)
	require.Equal(t, 200, same.Code, "what was read can be written: %s", same.Body)
	require.NotEqual(t, tag, same.Header().Get("ETag"))
	status, _ = tokenStatus(t, g, "later")
	require.Equal(t, 200, status, "the secret was kept")
	require.Equal(t, 412, callRegistry(t, h, "PUT", "/apps/later", laterBody, "If-Match", tag).Code)
	require.Equal(t, 412, callRegistry(t, h, "DELETE", "/apps/later", "", "If-Match", tag).Code)
	require.Equal(t, 412, callRegistry(t, h, "PUT", "/apps/later", laterBody, "If-None-Match", "*").Code)
	require.Equal(t, 412, callRegistry(t, h, "PUT", "/apps/none", laterBody, "If-Match", "*").Code)
	require.Equal(t, 404, callRegistry(t, h, "GET", "/apps/none", "").Code)

	removed := callRegistry(t, h, "PUT", "/apps/later", `{"app_id":"`+laterID+`","sign_key":null}`)
	require.JSONEq(t, `{"app_id":"`+laterID+`","secret":"********"}`, removed.Body.String(), "null and what is absent are removed, but absent secrets stay")

	renamed := callRegistry(t, h, "POST", "/apps/later/rename", `{"to":"新店"}`)
	require.Equal(t, 200, renamed.Code, renamed.Body)
	require.Equal(t, 404, callRegistry(t, h, "GET", "/apps/later", "").Code)
	require.Equal(t, 409, callRegistry(t, h, "PUT", "/apps/later", laterBody).Code, "the old name still leads to the app")
	require.Equal(t, 409, callRegistry(t, h, "POST", "/apps/"+url.PathEscape("新店")+"/rename", `{"to":"shop"}`).Code)
	require.Equal(t, 200, callRegistry(t, h, "GET", "/apps/"+url.PathEscape("新店"), "").Code)
	require.Equal(t, 204, callRegistry(t, h, "DELETE", "/apps/"+url.PathEscape("新店"), "").Code)
	require.Equal(t, 404, callRegistry(t, h, "DELETE", "/apps/"+url.PathEscape("新店"), "").Code)
}

func TestWhatIsWrongOfARegistrationIsNamed(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	unsealed := openGateway(t, new(store.Memory), newWeChat(), withAdmins)
	h := g.Private()
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		text                     string
	}{
		{"an app of the configuration", "PUT", "/apps/shop", laterBody, 409, "configuration"},
		{"its removal", "DELETE", "/apps/shop", "", 409, "configuration"},
		{"its name", "POST", "/apps/shop/rename", `{"to":"later"}`, 409, "configuration"},
		{"no JSON", "PUT", "/apps/later", "app_id=wx", 400, "not a JSON object"},
		{"two values", "PUT", "/apps/later", laterBody + laterBody, 400, "not a JSON object"},
		{"an unknown key", "PUT", "/apps/later", `{"app_id":"` + laterID + `","secret":"x","secrt":"x"}`, 400, "secrt"},
		{"a key twice", "PUT", "/apps/later", `{"app_id":"` + laterID + `","secret":"x","secret":"y"}`, 400, "twice"},
		{"another case", "PUT", "/apps/later", `{"app_id":"` + laterID + `","Secret":"x"}`, 400, "Secret"},
		{"no secret", "PUT", "/apps/later", `{"app_id":"` + laterID + `"}`, 400, "secret"},
		{"a masked secret that is not there", "PUT", "/apps/later", `{"app_id":"` + laterID + `","secret":"********"}`, 400, "secret: is masked"},
		{"a nested one", "PUT", "/apps/later", `{"app_id":"` + laterID + `","secret":"x","message":{"token":"********"}}`, 400, "message.token: is masked"},
		{"a file", "PUT", "/merchants/m1", `{"mch_id":"1900000001","v3":{"private_key_file":"/etc/passwd"}}`, 400, "private_key_file"},
		{"more than 1 MiB", "PUT", "/apps/later", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "1 MiB"},
		{"a name that looks like an appid", "PUT", "/apps/" + laterID, laterBody, 400, "appid"},
		{"a name with a slash", "PUT", "/apps/a%2Fb", laterBody, 400, "invalid name"},
		{"an invalid name to rename to", "POST", "/apps/later/rename", `{"to":"a/b"}`, 400, "invalid name"},
		{"no name to rename to", "POST", "/apps/later/rename", `{}`, 400, `want {\"to\"`},
		{"no app to rename", "POST", "/apps/later/rename", `{"to":"new"}`, 404, "not registered"},
		{"an unknown position", "GET", "/apps?next=x", "", 400, "next"},
		{"too large a page", "GET", "/apps?limit=1001", "", 400, "limit"},
		{"an unknown choice", "PUT", "/apps/later?verify=yes", laterBody, 400, "verify"},
		{"a merchant that is verified", "PUT", "/merchants/m1?verify=1", `{}`, 400, "verify"},
		{"a website that is verified", "PUT", "/apps/site?verify=1", `{"kind":"website","app_id":"` + laterID + `","secret":"x"}`, 400, "website"},
	} {
		w := callRegistry(t, h, c.method, c.path, c.body)
		require.Equal(t, c.status, w.Code, "%s: %s", c.name, w.Body)
		require.Contains(t, w.Body.String(), c.text, c.name)
		require.NotContains(t, w.Body.String(), laterSecret, c.name)
	}
	for header, value := range map[string]string{"If-Match": `W/"A"`, "If-None-Match": `"A"`} {
		require.Equal(t, 400, callRegistry(t, h, "PUT", "/apps/later", laterBody, header, value).Code)
	}
	w := callRegistry(t, unsealed.Private(), "PUT", "/apps/later", laterBody)
	require.Equal(t, 409, w.Code)
	require.Contains(t, w.Body.String(), "WETOKEN_MASTER_KEYS")
	require.Equal(t, 404, callRegistry(t, h, "GET", "/apps/later", "").Code, "nothing was registered")
}

func TestOnlyAdministratorsLearnOfTheRegistries(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	for name, h := range map[string]http.Handler{"private": g.Private(), "both": g.Both()} {
		for _, path := range []string{"/apps", "/apps/shop", "/apps/shop/rename", "/merchants", "/merchants/m1", "/keys", "/keys/x", "/audit"} {
			for _, method := range []string{"GET", "PUT", "POST", "DELETE", "PATCH"} {
				for key, statuses := range map[string][]int{"": {401}, "a-key-that-nobody-has": {401}, localKey: {403, 405}, allKey: {403, 405}} {
					r := httptest.NewRequest(method, path, strings.NewReader("{}"))
					if key != "" {
						r.Header.Set("Authorization", "Bearer "+key)
					}
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					require.Contains(t, statuses, w.Code, "%s %s %s %q: %s", name, method, path, key, w.Body)
				}
			}
		}
	}
	w := httptest.NewRecorder()
	g.Public().ServeHTTP(w, httptest.NewRequest("GET", "/apps", nil))
	require.Equal(t, 404, w.Code)
}

func TestPagesListEveryRegistrationOnce(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	want := map[string]bool{}
	for name := range config().Apps {
		want[name] = true
	}
	for i := range 23 {
		name := fmt.Sprint("店", i)
		want[name] = true
		require.Equal(t, 201, callRegistry(t, g.Private(), "PUT", "/apps/"+url.PathEscape(name), laterBody).Code)
	}
	for _, limit := range []int{1, 2, 5, 7, 100} {
		seen, next := map[string]bool{}, ""
		for {
			var page struct {
				Apps map[string]json.RawMessage
				Next string
			}
			w := callRegistry(t, g.Private(), "GET", fmt.Sprintf("/apps?limit=%d&next=%s", limit, url.QueryEscape(next)), "")
			require.Equal(t, 200, w.Code, w.Body)
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
			require.LessOrEqual(t, len(page.Apps), limit)
			for name := range page.Apps {
				require.False(t, seen[name], name)
				seen[name] = true
			}
			if next = page.Next; next == "" {
				break
			}
		}
		require.Equal(t, want, seen, "limit %d", limit)
	}
}

func TestTwoChangesAtOnceLoseNone(t *testing.T) {
	records := newSealed(t, new(store.Memory))
	sides := []http.Handler{
		openGateway(t, records, newWeChat(), withAdmins).Private(),
		openGateway(t, records, newWeChat(), withAdmins).Private(),
	}
	require.Equal(t, 201, callRegistry(t, sides[0], "PUT", "/apps/later", laterBody).Code)
	const changes = 10
	var all sync.WaitGroup
	for i := range 2 * changes { // each adds one host to those it has read
		all.Go(func() {
			for {
				got := callRegistry(t, sides[i%2], "GET", "/apps/later", "")
				var app struct {
					AppID  string   `json:"app_id"`
					Secret string   `json:"secret"`
					URL    string   `json:"public_url"`
					Hosts  []string `json:"hosts"`
				}
				if json.Unmarshal(got.Body.Bytes(), &app) != nil {
					t.Error(got.Body)
					return
				}
				app.Hosts = append(app.Hosts, fmt.Sprintf("h%d.example.com", i))
				body, _ := json.Marshal(app)
				w := callRegistry(t, sides[i%2], "PUT", "/apps/later", string(body), "If-Match", got.Header().Get("ETag"))
				switch w.Code {
				case 200:
					return
				case 412:
				default:
					t.Errorf("status %d: %s", w.Code, w.Body)
					return
				}
			}
		})
	}
	all.Wait()
	var app gateway.App
	require.NoError(t, json.Unmarshal(callRegistry(t, sides[0], "GET", "/apps/later", "").Body.Bytes(), &app))
	require.Len(t, app.Hosts, 1+2*changes)
}

func TestVerifyAsksWeChatBeforeItRegisters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := newWeChat()
		wx.AddApp(laterID, laterSecret)
		g := openGateway(t, newSealed(t, new(store.Memory)), wx, withAdmins)
		put := func(secret string) (int, map[string]any) {
			w := callRegistry(t, g.Private(), "PUT", "/apps/later?verify=1", `{"app_id":"`+laterID+`","token_mode":"classic","secret":"`+secret+`"}`)
			var reply map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &reply))
			return w.Code, reply
		}
		missing := func() { require.Equal(t, 404, callRegistry(t, g.Private(), "GET", "/apps/later", "").Code) }

		status, reply := put("a-wrong-secret")
		require.Equal(t, 502, status)
		require.EqualValues(t, 40125, reply["errcode"])
		missing()
		wx.AddFault(wechattest.Fault{Path: "/cgi-bin/stable_token", Cut: true, Times: 1})
		status, _ = put(laterSecret)
		require.Equal(t, 503, status)
		missing()
		wx.AddFault(wechattest.Fault{Path: "/cgi-bin/stable_token", Code: 40164, Times: 1})
		status, reply = put(laterSecret)
		require.Equal(t, 201, status, "%v", reply)
		require.EqualValues(t, 40164, reply["verify"])
		require.Equal(t, "********", reply["secret"])

		status, a := tokenStatus(t, g, "later")
		require.Equal(t, 200, status)
		status, reply = put(laterSecret)
		require.Equal(t, 200, status)
		require.EqualValues(t, 0, reply["verify"])
		advance(10 * time.Minute)
		_, again := tokenStatus(t, g, "later")
		require.Equal(t, a.Token, again.Token, "a classic token does not end by it")
	})
}

func TestASecretIsInNoReplyLogOrAudit(t *testing.T) {
	log := new(syncBuffer)
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins, func(o *gateway.Options) {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	h := g.Private()
	planted := map[string]string{}
	plant := func(what string) string {
		planted[what] = fmt.Sprintf("planted-%s-%d", what, len(planted))
		return planted[what]
	}
	body := fmt.Sprintf(`{"app_id":"%s","secret":"%s","next_secret":"%s","previous_secret":"%s","sign_key":"%s","previous_sign_key":"%s","message":{"mode":"plain","token":"%s"}}`,
		laterID, plant("secret"), plant("next"), plant("previous"), plant("sign"), plant("sign-before"), plant("token"))
	var seen strings.Builder
	for _, call := range [][3]string{
		{"PUT", "/apps/later", body}, {"PUT", "/apps/later", body + "x"}, {"PUT", "/apps/later", `{"app_id":` + body}, {"PUT", "/apps/later?verify=1", body},
		{"PUT", "/apps/shop", body}, {"PUT", "/merchants/m", body}, {"POST", "/keys", body}, {"PUT", "/apps/" + plant("name"), body[:len(body)-1] + `,"kind":"none"}`},
		{"GET", "/apps", ""}, {"GET", "/apps/later", ""}, {"POST", "/apps/later/rename", `{"to":"new"}`}, {"GET", "/apps/new", ""},
		{"POST", "/app/new/token", `{"refused":"` + plant("refused") + `"}`}, {"DELETE", "/apps/new", ""}, {"GET", "/audit", ""}, {"GET", "/audit?format=jsonl", ""},
	} {
		w := callRegistry(t, h, call[0], call[1], call[2])
		fmt.Fprintln(&seen, w.Code, w.Header(), w.Body)
	}
	delete(planted, "name")
	for what, value := range planted {
		require.NotContains(t, seen.String(), value, what)
		require.NotContains(t, log.String(), value, what)
	}
	for _, action := range []string{"put", "rename", "delete"} {
		require.Contains(t, seen.String(), `"action":"`+action+`"`)
	}
}

func TestAPreparedSecretIsUsedOnceTheOldOneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := newWeChat()
		wx.AddApp(laterID, laterSecret)
		g := openGateway(t, newSealed(t, new(store.Memory)), wx, withAdmins)
		body := `{"app_id":"` + laterID + `","secret":"` + laterSecret + `","next_secret":"the-secret-after-the-reset"}`
		require.Equal(t, 201, callRegistry(t, g.Private(), "PUT", "/apps/later", body).Code)
		status, _ := tokenStatus(t, g, "later")
		require.Equal(t, 200, status)
		wx.AddApp(laterID, "the-secret-after-the-reset")
		before := wx.Calls("/cgi-bin/stable_token")
		for range 3 {
			advance(2 * time.Hour)
			status, a := tokenStatus(t, g, "later")
			require.Equal(t, 200, status, a.Msg)
		}
		require.Equal(t, before+4, wx.Calls("/cgi-bin/stable_token"), "the old secret is asked about once")
	})
}
