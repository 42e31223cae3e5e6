package gateway_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

func TestABodyHasOneObjectAndNamesNoFile(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat())
	app := `{"app_id":"` + laterID + `","secret":"` + laterSecret + `"}`
	for body, says := range map[string]string{
		app + "}":                       "not a JSON object alone",
		app + "]":                       "not a JSON object alone",
		app + " x":                      "not a JSON object alone",
		app + app:                       "not a JSON object alone",
		`{"secret_file":"/etc/secret"}`: "secret_file: must be unset: want the text of the file",
		`{"message":{"forward":[{"when":{"key_file":null}}]}}`: "message.forward.when.key_file: must be unset",
	} {
		_, err := g.Apps().PutJSON(t.Context(), "later", []byte(body), "")
		var wrong *gateway.SettingError
		require.ErrorAs(t, err, &wrong, body)
		require.ErrorContains(t, err, says)
	}
	_, err := g.Merchants().PutJSON(t.Context(), "m1", []byte(`{"mch_id":"1900000001","v3":{"cert_file":"/etc/passwd"}}`), "")
	require.ErrorContains(t, err, "v3.cert_file: must be unset")
	require.NotContains(t, err.Error(), "passwd")
	_, err = g.Apps().PutJSON(t.Context(), "later", []byte(" \n"+app+"\n\t"), "")
	require.NoError(t, err)
}

// What an entry cannot hold is the fault of the caller, not of the records.
func TestARegistrationThatIsTooLargeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
		files := make(map[string]string)
		for i := range 70 {
			files[fmt.Sprintf("MP_verify_%d.txt", i)] = "x"
		}
		var wrong *gateway.SettingError
		_, err := g.Apps().Put(t.Context(), "later", gateway.App{AppID: laterID, Secret: laterSecret, VerifyFiles: files}, "")
		require.ErrorAs(t, err, &wrong)
		require.ErrorContains(t, err, "too many terms")
		_, err = g.Apps().PutJSON(t.Context(), "later", []byte(`{"app_id":"`+laterID+`","secret":"s","name":"`+strings.Repeat("<", 1<<19)+`"}`), "")
		require.ErrorAs(t, err, &wrong)
		require.ErrorContains(t, err, "bytes: want at most 1048576")
		_, err = g.Apps().Put(t.Context(), "name0", gateway.App{AppID: laterID, Secret: laterSecret}, "")
		require.NoError(t, err)
		for i := range 33 {
			if _, err = g.Apps().Rename(t.Context(), fmt.Sprint("name", i), fmt.Sprint("name", i+1), ""); err != nil {
				break
			}
		}
		require.ErrorAs(t, err, &wrong)
		require.ErrorContains(t, err, "want at most 32 in 30 days")
		require.Equal(t, 400, askAdmin(t, g, adminKey, "POST", "/apps/name32/rename", `{"to":"name33"}`, nil).Code)
	})
}

// A record that nobody can read does not keep an administrator from the others, nor from removing it.
func TestARegistrationThatCannotBeReadHidesNoOther(t *testing.T) {
	raw := new(store.Memory)
	g := openGateway(t, raw, newWeChat(), withAdmins, func(o *gateway.Options) { o.RegisterUnsealed = true })
	for _, name := range []string{"a", "b", "c"} {
		_, err := g.Apps().Put(t.Context(), name, gateway.App{AppID: laterID, Secret: laterSecret}, "")
		require.NoError(t, err)
	}
	value, ok, err := raw.Get(t.Context(), "registry/app/b")
	require.NoError(t, err)
	require.True(t, ok)
	broken := strings.Replace(string(value), `"app_id":`, `"app_id_of_a_later_release":`, 1)
	require.NotEqual(t, string(value), broken)
	require.NoError(t, raw.Set(t.Context(), "registry/app/b", []byte(broken), 0))

	var list struct {
		Apps map[string]any
		Next string
	}
	require.Equal(t, 200, askAdmin(t, g, adminKey, "GET", "/apps", "", &list).Code)
	require.Contains(t, list.Apps, "a")
	require.Contains(t, list.Apps, "c")
	require.NotContains(t, list.Apps, "b")
	require.Empty(t, list.Next)
	w := askAdmin(t, g, adminKey, "GET", "/apps/b", "", nil)
	require.Equal(t, 500, w.Code)
	require.Contains(t, w.Body.String(), "cannot be read by this release")
	require.NotContains(t, w.Body.String(), laterSecret)
	require.Equal(t, 204, askAdmin(t, g, adminKey, "DELETE", "/apps/b", "", nil).Code)
	_, err = g.Apps().Get(t.Context(), "b")
	require.True(t, errors.Is(err, gateway.ErrNotRegistered), err)
}

// WeCom looks at the address of the caller after the secret.
func TestAnAddressThatWeComDoesNotTrustDoesNotJudgeTheSecret(t *testing.T) {
	wx := newWeChat()
	g := openGateway(t, newSealed(t, new(store.Memory)), wx, withAdmins)
	put := func(secret string) (status int, reply map[string]any) {
		body := `{"kind":"work","app_id":"` + corpID + `","secret":"` + secret + `"}`
		w := askAdmin(t, g, adminKey, "PUT", "/apps/later?verify=1", body, &reply)
		return w.Code, reply
	}
	status, reply := put("a-wrong-secret")
	require.Equal(t, 502, status)
	require.EqualValues(t, 40001, reply["errcode"])
	require.Equal(t, 404, askAdmin(t, g, adminKey, "GET", "/apps/later", "", nil).Code)
	wx.AddFault(wechattest.Fault{Path: "/cgi-bin/gettoken", Code: 60020, Times: 1})
	status, reply = put(secret)
	require.Equal(t, 201, status, reply)
	require.EqualValues(t, 60020, reply["verify"])
	status, reply = put(secret)
	require.Equal(t, 200, status, reply)
	require.EqualValues(t, 0, reply["verify"])
}

func TestAFormIsRefusedAndJSONWithItsTypeIsNot(t *testing.T) {
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins)
	body := `{"app_id":"` + laterID + `","secret":"` + laterSecret + `"}`
	for _, c := range []struct {
		kind, body string
		status     int
	}{
		{"application/x-www-form-urlencoded", "app_id=" + laterID + "&secret=" + laterSecret, 415},
		{"multipart/form-data; boundary=x", "--x\r\n", 415},
		{"application/x-www-form-urlencoded", body, 201}, // as curl -d sends it
		{"", body, 200},
		{"text/plain", "app_id=" + laterID, 400},
	} {
		w := callRegistry(t, g.Private(), "PUT", "/apps/later", c.body, "Content-Type", c.kind)
		require.Equal(t, c.status, w.Code, "%s: %s", c.kind, w.Body)
	}
}

// An audit of a registration says who made it, and from where.
func TestARegistrationIsAudited(t *testing.T) {
	log := new(syncBuffer)
	g := openGateway(t, newSealed(t, new(store.Memory)), newWeChat(), withAdmins, func(o *gateway.Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	body := `{"app_id":"` + laterID + `","secret":"` + laterSecret + `"}`
	require.Equal(t, 201, askAdmin(t, g, adminKey, "PUT", "/apps/later", body, nil).Code)
	require.Equal(t, 200, askAdmin(t, g, adminKey, "POST", "/apps/later/rename", `{"to":"新店"}`, nil).Code)
	require.Equal(t, 204, askAdmin(t, g, adminKey, "DELETE", "/apps/%E6%96%B0%E5%BA%97", "", nil).Code)
	require.Equal(t, 403, askAdmin(t, g, localKey, "PUT", "/apps/later", body, nil).Code)
	_, err := g.Apps().Put(gateway.WithActor(t.Context(), "root on host1"), "later", gateway.App{AppID: laterID, Secret: laterSecret}, "")
	require.NoError(t, err)
	for _, line := range []string{
		"msg=registration action=put app=later caller=root result=ok from=192.0.2.44:5",
		"msg=registration action=rename app=later to=新店 caller=root result=ok from=192.0.2.44:5",
		"msg=registration action=delete app=新店 caller=root result=ok from=192.0.2.44:5",
		`msg=registration action=put app=later caller="root on host1" result=ok`,
		`msg=refused caller=local`,
	} {
		require.Contains(t, log.text(), line)
	}
	var audit struct{ Entries []map[string]any }
	require.Equal(t, 200, askAdmin(t, g, adminKey, "GET", "/audit?caller=root&app=later", "", &audit).Code)
	require.Len(t, audit.Entries, 2)
	require.Equal(t, "192.0.2.44", audit.Entries[0]["from"])
	require.Equal(t, map[string]any{"result": "ok", "to": "新店"}, audit.Entries[0]["details"])
}
