package main_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func build(t *testing.T) (exe string) {
	t.Helper()
	exe = filepath.Join(t.TempDir(), "login.exe")
	out, err := exec.Command("go", "build", "-o", exe, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return exe
}

// start runs the program without an app of its own, and returns the address that its first line names.
func start(t *testing.T, args ...string) (home string) {
	t.Helper()
	cmd := exec.Command(build(t), append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(cmd.Environ(), "WECHAT_APP_ID=")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

// visitor is a browser, and the person before it.
type visitor struct {
	t  *testing.T
	hc *http.Client
}

func newVisitor(t *testing.T) *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t, &http.Client{Jar: jar}}
}

func (v *visitor) read(resp *http.Response, err error) (at *url.URL, body string) {
	v.t.Helper()
	require.NoError(v.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	return resp.Request.URL, string(b)
}

func (v *visitor) open(address string) (at *url.URL, body string) {
	v.t.Helper()
	return v.read(v.hc.Get(address))
}

// login is where the site's page leads.
func (v *visitor) login(body string) string {
	v.t.Helper()
	m := regexp.MustCompile(`id="login" href="([^"]+)"`).FindStringSubmatch(body)
	require.NotNil(v.t, m, body)
	return strings.ReplaceAll(m[1], "&amp;", "&")
}

// consent is the address of the button on WeChat's consent page.
func (v *visitor) consent(at *url.URL, body, as string) string {
	v.t.Helper()
	ticket := regexp.MustCompile(`name="ticket" value="([^"]+)"`).FindStringSubmatch(body)
	require.NotNil(v.t, ticket, body)
	return "http://" + at.Host + "/connect/answer?" + url.Values{"ticket": {ticket[1]}, "as": {as}, "do": {"allow"}}.Encode()
}

func TestAVisitorLogsInAndOut(t *testing.T) {
	home := start(t)
	v := newVisitor(t)
	_, body := v.open(home)
	at, body := v.open(v.login(body))
	at, body = v.open(v.consent(at, body, "O'Neil"))
	require.Equal(t, home, "http://"+at.Host+"/")
	require.Contains(t, body, `O&#39;Neil &lt;&#34;the bold&#34;&gt;`)

	_, body = v.open(home)
	require.Contains(t, body, "O&#39;Neil")
	_, body = v.open(home + "in?login_code=made-up")
	require.Contains(t, body, "log in again")
	_, body = v.open(home + "in?login_error=denied")
	require.Contains(t, body, "您没有同意授权")
	_, body = v.open(home + "in?login_error=expired")
	require.Contains(t, body, "log in again")
	_, body = v.read(v.hc.Post(home+"out", "", nil))
	require.NotEmpty(t, v.login(body))
}

// A server with wetoken's routes logs people in, for a site on another address.
func TestAVisitorLogsInByAServer(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx0123456789abcdef", "secret")
	wx.AddPerson(wechattest.Person{Name: "li", Nickname: "李雷 👋"})
	weChat := httptest.NewServer(wx)
	defer weChat.Close()
	public, private := http.NewServeMux(), http.NewServeMux()
	front, back := httptest.NewServer(public), httptest.NewServer(private)
	defer front.Close()
	defer back.Close()
	home := start(t, "-public", front.URL+"/app/demo", "-private", back.URL+"/app/demo", "-key", "k1")
	login := &oauth.Login{
		AppID: "wx0123456789abcdef", Secret: "secret", Store: new(store.Memory), URL: front.URL + "/app/demo",
		Hosts: []string{strings.Trim(strings.TrimPrefix(home, "http:"), "/"), "other.example.com"}, Client: &wechat.Client{BaseURL: weChat.URL}, OpenURL: weChat.URL,
	}
	wetoken.Bind(public, "/app/demo", login)
	open := true
	wetoken.Bind(private, "/app/demo", &oauth.Handler{Source: login, Guard: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !open || r.Header.Get("Authorization") != "Bearer k1" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}})

	v := newVisitor(t)
	_, body := v.open(home)
	at, body := v.open(v.login(body))
	_, body = v.open(v.consent(at, body, "li"))
	require.Contains(t, body, "李雷 👋")
	_, body = v.open(home + "in?login_code=made-up")
	require.Contains(t, body, "log in again")

	const other = "http://other.example.com/"
	elsewhere := newVisitor(t)
	elsewhere.hc.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), other) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := elsewhere.hc.Get(front.URL + "/app/demo/login?to=" + url.QueryEscape(other))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	sent, err := resp.Location()
	require.NoError(t, err)
	_, body = newVisitor(t).open(home + "in?login_code=" + sent.Query().Get("login_code"))
	require.Contains(t, body, "log in again", "a code that was sent to another site")

	open = false
	_, body = v.open(home + "in?login_code=made-up")
	require.Contains(t, body, "try again later")
}
