package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/push"
)

const (
	saasID     = "wx5555555555555555"
	aliceID    = "wxaaaaaaaaaaaaaaa1"
	bobID      = "wxbbbbbbbbbbbbbbb2"
	saasAESKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
)

// platformWorld is a simulated WeChat at an address, a site, and a server that is a platform.
type platformWorld struct {
	*process
	wx     *wechattest.Server
	site   string // host:port
	config string
	env    []string
	killed time.Duration // CPU time of the last server that was killed
}

func newPlatformWorld(t *testing.T) *platformWorld {
	w := &platformWorld{wx: new(wechattest.Server)}
	w.wx.AddApp(aliceID, "unknown to the platform")
	w.wx.AddApp(bobID, "unknown to the platform")
	pages := httptest.NewServer(w.wx)
	t.Cleanup(pages.Close)
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, `<p id="bound">%s</p>`, url.QueryEscape(r.URL.Query().Get("app")))
	}))
	t.Cleanup(site.Close)
	w.site = strings.TrimPrefix(site.URL, "http://")
	w.env = []string{"SHOP_KEY=" + shopKey, "WETOKEN_MASTER_KEYS=" + newKey(), "RECORDS=" + filepath.Join(t.TempDir(), "records.db"), "WECHAT=" + pages.URL}
	// The public address is known once the server listens, so the server has it from a proxy in front of it.
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.forward(rw, r) }))
	t.Cleanup(front.Close)
	w.config = write(t, `
public_url: `+front.URL+`
records: sqlite:${RECORDS}
endpoints: {api: "${WECHAT}", open: "${WECHAT}", mp: "${WECHAT}"}
keys:
  - {name: saas, key: "${SHOP_KEY}", apps: ["platform:saas", saas], scopes: [token, admin]}
apps:
  saas:
    app_id: `+saasID+`
    secret: a-secret-of-this-test
    kind: platform
    hosts: ["`+w.site+`"]
    release_check: true
    message: {token: tok, aes_key: `+saasAESKey+`}
`)
	host := strings.TrimPrefix(front.URL, "http://")
	w.wx.AddPlatform(wechattest.Platform{
		ID: saasID, Secret: "a-secret-of-this-test", Token: "tok", EncodingAESKey: saasAESKey, Domain: host, Rotate: true,
		EventURL: front.URL + "/app/saas/event", MessageURL: front.URL + "/app/saas/message/$APPID$",
	})
	w.process = start(t, w.env, "-config", w.config)
	return w
}

// forward passes a request on to the server's public side.
func (w *platformWorld) forward(rw http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", w.public
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		rw.WriteHeader(http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	for name, values := range res.Header {
		rw.Header()[name] = values
	}
	rw.WriteHeader(res.StatusCode)
	_, _ = io.Copy(rw, res.Body)
}

// restart kills the server and starts another one, whose store is empty.
func (w *platformWorld) restart(t *testing.T) {
	w.kill()
	w.killed = w.cmd.ProcessState.UserTime() + w.cmd.ProcessState.SystemTime()
	w.process = start(t, w.env, "-config", w.config)
}

func (w *platformWorld) pushTicket(t *testing.T) {
	t.Helper()
	result, err := w.wx.PushTicket(t.Context(), saasID)
	require.NoError(t, err)
	require.Empty(t, result.Fault)
}

// account returns the status of the token route of an account, and the errcode. A token is tried out.
func (w *platformWorld) account(t *testing.T, name string) (status, code int) {
	t.Helper()
	status, body := w.ask(t, "/app/"+name+"/token")
	var a struct {
		Token string `json:"access_token"`
		Code  int    `json:"errcode"`
		Msg   string `json:"errmsg"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &a), body)
	if status == http.StatusOK {
		require.Zero(t, w.wx.Check(a.Token))
	} else {
		require.NotEmpty(t, a.Msg)
	}
	return status, a.Code
}

// command runs the server's program on the records.
func (w *platformWorld) command(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command(program("server"), append(args, "-config", w.config)...)
	cmd.Env = append(os.Environ(), w.env...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	err = cmd.Run()
	return out.String(), failed.String(), err
}

func TestAccountsAuthorizeRevokeAndAuthorizeAgainInABrowser(t *testing.T) {
	t.Parallel()
	driver := webdriver.Start(t)
	w := newPlatformWorld(t)
	w.pushTicket(t)
	tab := driver.Desktop(t)
	authorize := func(appID string) {
		tab.Open("http://" + w.publicHost(t) + "/app/saas/authorize?to=" + url.QueryEscape("http://"+w.site+"/"))
		tab.Run(`document.getElementById("account").value = arguments[0]`, nil, appIDWhenShown(tab, appID))
		tab.Click("#allow")
		require.Equal(t, "app-"+strings.TrimPrefix(appID, "wx"), tab.Text("#bound"))
		w.wx.Wait()
	}
	alice, bob := "app-"+strings.TrimPrefix(aliceID, "wx"), "app-"+strings.TrimPrefix(bobID, "wx")
	authorize(aliceID)
	authorize(bobID)
	for _, name := range []string{alice, bob} {
		status, _ := w.account(t, name)
		require.Equal(t, http.StatusOK, status, name)
	}
	to, err := w.wx.PlatformMessages(saasID, aliceID)
	require.NoError(t, err)
	result, err := to.Push(t.Context(), push.Message{Content: "hello"})
	require.NoError(t, err)
	require.Empty(t, result.Fault)

	result, err = w.wx.Unauthorize(t.Context(), saasID, aliceID)
	require.NoError(t, err)
	require.Empty(t, result.Fault)
	waitUntil(t, 10*time.Second, "alice's calls are refused", func() bool { status, code := w.account(t, alice); return status == 403 && code == 61003 })
	_, body := w.ask(t, "/app/"+alice+"/token")
	require.Contains(t, body, "revoked its authorization")
	status, _ := w.account(t, bob)
	require.Equal(t, http.StatusOK, status, "bob goes on")
	authorize(aliceID)
	for _, name := range []string{alice, bob} {
		status, _ := w.account(t, name)
		require.Equal(t, http.StatusOK, status, name)
	}

	steps, err := w.wx.CheckRelease(t.Context(), saasID)
	require.NoError(t, err)
	for _, step := range steps {
		require.Empty(t, step.Fault, step.Name)
	}
}

// appIDWhenShown returns appID once the page for choosing an account is there.
func appIDWhenShown(tab *webdriver.Tab, appID string) string {
	tab.Find("#account")
	return appID
}

// publicHost returns the host of public_url.
func (w *platformWorld) publicHost(t *testing.T) string {
	text, err := os.ReadFile(w.config)
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "public_url: http://")
	host, _, _ := strings.Cut(rest, "\n")
	return host
}

func TestAKilledPlatformNeedsNoNewAuthorization(t *testing.T) {
	t.Parallel()
	w := newPlatformWorld(t)
	w.pushTicket(t)
	for _, appID := range []string{aliceID, bobID} {
		_, err := w.wx.Authorize(t.Context(), saasID, appID)
		require.NoError(t, err)
	}
	for range 2 {
		for _, appID := range []string{aliceID, bobID} {
			status, code := w.account(t, appID)
			require.Equal(t, http.StatusOK, status, "%s: %d", appID, code)
		}
		w.restart(t)
	}

	w.killDuringRefreshes(t)

	// The commands find and repair differences.
	stdout, stderr, err := w.command(t, "platform", "sync", "saas")
	require.NoError(t, err, stderr)
	require.Equal(t, "0 changes would be made: -apply makes them\n", stdout)
	w.wx.StopTickets(saasID)
	tickets := len(w.wx.Tickets(saasID))
	stdout, stderr, err = w.command(t, "platform", "start-push", "saas")
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, "WeChat pushes component_verify_ticket")
	w.wx.Wait()
	require.Len(t, w.wx.Tickets(saasID), tickets+1)
	for _, args := range [][]string{{"platform"}, {"platform", "sync"}, {"platform", "mend", "saas"}, {"platform", "sync", "none"}} {
		_, stderr, err := w.command(t, args...)
		require.Error(t, err)
		require.Equal(t, 1, strings.Count(stderr, "server:"), stderr)
	}
}

const (
	refreshPath = "/cgi-bin/component/api_authorizer_token"
	infoPath    = "/cgi-bin/component/api_get_authorizer_info"
)

// killDuringRefreshes kills one server after another while it refreshes the token of an account: in every second round before WeChat's
// reply, which has another refresh token, comes; else at an instant around its arrival and the write of the refresh token. The next
// server, which begins without a store, has to serve the account.
func (w *platformWorld) killDuringRefreshes(t *testing.T) {
	kills := 4
	if testform.Full() {
		kills = 24
	}
	if testform.Long() {
		kills = 200
	}
	accounts := []string{aliceID, bobID}
	lost, repaired, before := 0, 0, w.wx.Calls(infoPath)
	var used time.Duration // of the CPUs by the killed servers
	begin := time.Now()
	for round := range kills {
		victim := accounts[round%2]
		hang := round%4 < 2
		fault := wechattest.Fault{Path: refreshPath, App: victim, AfterWork: true, Hang: hang, Times: 1}
		if !hang {
			fault.Delay = 20 * time.Millisecond // about the time until waitUntil looks
		}
		w.wx.AddFault(fault)
		calls := w.wx.Calls(refreshPath)
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			if res, err := http.DefaultClient.Do(w.tokenRequest(victim)); err == nil {
				res.Body.Close()
			}
		}()
		waitUntil(t, 20*time.Second, "WeChat is asked", func() bool { return w.wx.Calls(refreshPath) > calls })
		if !hang {
			<-time.After(rand.N(8 * time.Millisecond)) // no event tells when a process writes
		}
		w.restart(t)
		<-asked
		used += w.killed
		w.wx.ClearFaults()
		status, code := w.account(t, victim)
		require.Equal(t, http.StatusOK, status, "round %d: %d", round, code)
		repairs := w.wx.Calls(infoPath) - before - repaired
		require.LessOrEqual(t, repairs, 1)
		if hang {
			lost++
			require.Equal(t, 1, repairs, "the reply of round %d never came", round)
		}
		repaired += repairs
	}
	t.Logf("%d servers were killed in %s (%s of CPU time each): %d before the reply, %d refresh tokens read from WeChat again, none lost",
		kills, time.Since(begin).Round(time.Millisecond), (used / time.Duration(kills)).Round(time.Millisecond), lost, repaired)
}

// tokenRequest returns a request for the token of an account.
func (w *platformWorld) tokenRequest(appID string) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, w.base+"/app/"+appID+"/token", nil)
	r.Header.Set("Authorization", "Bearer "+shopKey)
	return r
}

func TestAPlatformWithoutDurableRecordsIsRefused(t *testing.T) {
	t.Parallel()
	config := func(records string) string {
		return write(t, `
public_url: https://wx.example.com
`+records+`
keys: [{name: saas, key: "${SHOP_KEY}", apps: ["platform:saas"], scopes: ["*"]}]
apps: {saas: {app_id: `+saasID+`, secret: s, kind: platform, message: {token: tok, aes_key: `+saasAESKey+`}}}
`)
	}
	env := []string{"SHOP_KEY=" + shopKey}
	require.Contains(t, refused(t, env, "-config", config("")), "records: must name a store that keeps refresh tokens")
	require.Contains(t, refused(t, env, "-config", config("records: sqlite:"+filepath.Join(t.TempDir(), "r.db"))), "WETOKEN_MASTER_KEYS: must be set")
}
