package docs_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/wechattest"
)

// receiver runs the Python of the guide on the body of its input.
const receiver = `
import sys
user = login(sys.stdin.buffer.read(), sys.argv[1].encode(), sys.argv[2])
print(user["openid"] if user else "nobody")
`

// postedLogin returns what a browser posts at the end of a login in which the state is "s", and the user's openid.
func postedLogin(t *testing.T, keys [2]string) (body, openID string) {
	wx := new(wechattest.Server)
	wx.AddPerson(wechattest.Person{Name: "li", Nickname: `=,"wetoken_sign":"t=1`})
	wx.Browse("li", wechattest.Allow)
	door, open := httptest.NewUnstartedServer(nil), httptest.NewServer(wx)
	defer open.Close()
	defer door.Close()
	host := door.Listener.Addr().String()
	wx.Add(wechattest.App{ID: "wx1111111111111111", Secret: "secret", RedirectDomain: host})
	c := config("http://" + host)
	c.Endpoints = gateway.Endpoints{Open: open.URL}
	c.Compat.Systems = []string{gateway.CompatProxy}
	app := c.Apps["shop"]
	app.SignKey, app.PreviousSignKey = keys[0], keys[1]
	c.Apps["shop"] = app
	g, err := gateway.New(gateway.Options{Config: c, HTTP: wx.Client(), PublicFallback: compat.Public(c.Compat)})
	require.NoError(t, err)
	door.Config.Handler = g.Public()
	door.Start()

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Jar: jar}).Get(door.URL + "/app/shop/auth/info?state=s&call=" + url.QueryEscape("/echo"))
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	m := regexp.MustCompile(`name="([^"]+)" value="([^"]+)"`).FindSubmatch(page)
	require.NotNil(t, m, string(page))
	return html.UnescapeString(string(m[1])) + "=" + html.UnescapeString(string(m[2])) + "\r\n", wx.OpenID("wx1111111111111111", "li")
}

func TestTheReceiverOfTheGuideTellsWhoLoggedIn(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
			t.Fatal("python3 is missing, and WETOKEN_TEST_REQUIRE=1")
		}
		t.Skip("SKIPPED, NOT TESTED: the receiver of the guide: python3 is missing")
	}
	programs := make([]string, 0, 2)
	for _, page := range []string{"migrating.md", "migrating.zh-CN.md"} {
		all := blocks(t, page, "python")
		require.Len(t, all, 1)
		programs = append(programs, all[0])
	}
	text := regexp.MustCompile(`""".*"""|#.*`)
	require.Equal(t, text.ReplaceAllString(programs[0], ""), text.ReplaceAllString(programs[1], ""))
	ask := func(body, key, state string) string {
		cmd := exec.CommandContext(t.Context(), "python3", "-c", programs[0]+receiver, key, state)
		cmd.Stdin, cmd.Stderr = strings.NewReader(body), t.Output()
		out, err := cmd.Output()
		require.NoError(t, err)
		return string(bytes.TrimSpace(out))
	}

	body, openID := postedLogin(t, [2]string{signKey, ""})
	require.Equal(t, openID, ask(body, signKey, "s"))
	require.Equal(t, openID, ask(strings.TrimSpace(body), signKey, "s"), "some servers trim it")
	changed, _ := postedLogin(t, [2]string{"another-sign-key", signKey})
	require.Equal(t, openID, ask(changed, signKey, "s"))
	covered, _, _ := strings.Cut(body, `,"wetoken_sign":`)
	signedAt := func(at time.Time, text string) string {
		mac := hmac.New(sha256.New, []byte(signKey))
		fmt.Fprintf(mac, "%d.%s", at.Unix(), text+"}")
		return fmt.Sprintf(`%s,"wetoken_sign":"t=%d,v1=%x","sign":"%032X="}`, text, at.Unix(), mac.Sum(nil), 0)
	}
	require.Equal(t, openID, ask(signedAt(time.Now(), covered), signKey, "s"))
	for name, c := range map[string][3]string{
		"another user":   {strings.Replace(body, openID, openID+"x", 1), signKey, "s"},
		"a field behind": {strings.Replace(body, `"sign":`, `"openid":"x","sign":`, 1), signKey, "s"},
		"another state":  {body, signKey, "t"},
		"another key":    {body, "another-sign-key", "s"},
		"no key":         {body, "", "s"},
		"no signature":   {covered + `,"sign":"0="}`, signKey, "s"},
		"old":            {signedAt(time.Now().Add(-6*time.Minute), covered), signKey, "s"},
		"refused":        {signedAt(time.Now(), `{"errcode":40029,"openid":"`+openID+`","state":"s"`), signKey, "s"},
		"not UTF-8":      {"\xff" + body, signKey, "s"},
		"empty":          {"", signKey, "s"},
	} {
		require.Equal(t, "nobody", ask(c[0], c[1], c[2]), name)
	}
}
