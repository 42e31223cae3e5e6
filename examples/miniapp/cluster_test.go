package main_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/app"
	"github.com/wetoken/wetoken/examples/miniapp/config"
	"github.com/wetoken/wetoken/examples/miniapp/dbtest"
	"github.com/wetoken/wetoken/examples/miniapp/order"
	"github.com/wetoken/wetoken/examples/miniapp/store"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/wechattest"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

// The test below starts the test binary again, as a process of the program, which it kills.
func TestMain(m *testing.M) {
	with := os.Getenv("MINIAPP_TEST_PROCESS")
	if with == "" {
		os.Exit(m.Run())
	}
	if err := playProcess(with); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is what a process is told.
type process struct {
	DSN    string
	Config string // file
	Stop   stage
}

// stage is where a process stops, for ever, while it takes a payment.
type stage string

const (
	never      stage = ""
	beforeHook stage = "the notification is there, nothing is done"
	inHook     stage = "the hook has begun"
	hookDone   stage = "the hook has done its work, and nothing is committed"
	committed  stage = "it is committed, and WeChat has no answer"
)

// playProcess serves on a free port, prints it, and goes on until it is killed.
func playProcess(with string) error {
	var p process
	if err := json.Unmarshal([]byte(with), &p); err != nil {
		return err
	}
	ctx := context.Background()
	c, _, err := config.Load(p.Config)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, p.DSN)
	if err != nil {
		return err
	}
	world, err := app.Simulate(c, c.Miniapp.URL)
	if err != nil {
		return err
	}
	stop := func() {
		fmt.Println("stopped")
		select {}
	}
	a, err := app.New(ctx, app.Options{Config: c, DB: db, URL: c.Miniapp.URL, World: world, Products: products,
		Hook: func(ctx context.Context, tx *sql.Tx, o order.Order) error {
			if p.Stop == inHook {
				stop()
			}
			err := store.GivePoints(ctx, tx, o)
			if p.Stop == hookDone {
				stop()
			}
			return err
		}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	if p.Stop == never {
		go a.Run(ctx)
	}
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Stop == beforeHook && strings.HasSuffix(r.URL.Path, "/pay/notify") {
			stop()
		}
		a.Handler.ServeHTTP(w, r)
	}))
}

// cluster is a database, a simulated WeChat in this process, and processes of the program.
type cluster struct {
	t      *testing.T
	dsn    string
	world  *app.World
	folder string
	seal   string
	url    string // of the simulated WeChat
	public string // PUB_KEY_ID_… of the merchant
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, dsn: dbtest.MariaDBName(t), folder: t.TempDir(), world: &app.World{WeChat: new(wechattest.Server), Pay: new(paytest.Server)}}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	c.seal = base64.StdEncoding.EncodeToString(key)
	server := httptest.NewServer(c.world)
	t.Cleanup(server.Close)
	t.Cleanup(c.world.Pay.Close)
	c.url = server.URL
	c.world.WeChat.Add(wechattest.App{ID: miniAppID, Secret: "simulated", Kind: wechattest.Mini})
	m := c.world.Pay.AddMerchant(paytest.Merchant{MchID: mchID, AppIDs: []string{miniAppID}})
	c.public = m.PublicKeyID
	for name, text := range map[string]string{"cert.pem": m.Certificate, "key.pem": m.PrivateKey, "pub.pem": m.PublicKey, "v3": m.APIv3Key} {
		require.NoError(t, os.WriteFile(filepath.Join(c.folder, name), []byte(text), 0o600))
	}
	return c
}

// member is a running process behind a balancer, whose requests another process gets when it is dead.
type member struct {
	*program
	cmd     *exec.Cmd
	target  atomic.Pointer[url.URL] // of its balancer
	stand   *url.URL                // another process
	stopped chan struct{}
	ended   chan struct{}
}

// start starts a process. stand takes its requests after its end.
func (c *cluster) start(name string, stop stage, stand *url.URL) (m *member, own *url.URL) {
	c.t.Helper()
	m = &member{stand: stand, stopped: make(chan struct{}), ended: make(chan struct{})}
	balancer := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(m.target.Load()) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	c.t.Cleanup(balancer.Close)
	v3, err := os.ReadFile(filepath.Join(c.folder, "v3"))
	require.NoError(c.t, err)
	file := filepath.Join(c.folder, name+".yaml")
	require.NoError(c.t, os.WriteFile(file, fmt.Appendf(nil, `
open-platform:
  wechat:
    pay: {active: true, produce: false, mchid: "%s", certificate-path: %s, certificate-name: cert.pem, key-file-path: %[2]s/key.pem,
      api-v3-secretkey: "%s", public-key-id: %s, public-key-path: %[2]s/pub.pem}
    mini-app: {active: true, app-key: %[5]s, app-secret: simulated}
miniapp:
  url: %[6]s
  simulator: %[7]s
  seal-keys: %[8]s
  paid-template: {id: paid, data: {thing1: "{name}"}}
`, mchID, c.folder, v3, c.public, miniAppID, balancer.URL, c.url, c.seal), 0o600))
	with, err := json.Marshal(process{DSN: c.dsn, Config: file, Stop: stop})
	require.NoError(c.t, err)
	m.program = &program{t: c.t, world: c.world, url: balancer.URL}
	m.cmd = exec.Command(os.Args[0])
	m.cmd.Env = append(os.Environ(), "MINIAPP_TEST_PROCESS="+string(with))
	out, err := m.cmd.StdoutPipe()
	require.NoError(c.t, err)
	m.cmd.Stderr = os.Stderr
	require.NoError(c.t, m.cmd.Start())
	c.t.Cleanup(m.kill)
	address := make(chan string, 1)
	go func() {
		defer close(m.ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if lines.Text() == "stopped" {
				close(m.stopped)
				continue
			}
			address <- lines.Text()
		}
		close(address)
		_ = m.cmd.Wait()
	}()
	own, err = url.Parse("http://" + <-address)
	require.NoError(c.t, err)
	require.NotEmpty(c.t, own.Host, "the process has ended")
	m.target.Store(own)
	return m, own
}

// kill ends the process as kill -9 does.
func (m *member) kill() {
	_ = m.cmd.Process.Kill()
	<-m.ended
	m.target.Store(m.stand)
}

func TestAProcessKilledBetweenNotificationAndHookSettlesOnce(t *testing.T) {
	t.Parallel()
	stages := []stage{committed, beforeHook, inHook, hookDone}
	if !testform.Full() {
		stages = []stage{hookDone}
	}
	c := newCluster(t)
	survivor, stand := c.start("survivor", never, nil)
	db, err := store.Open(t.Context(), c.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })

	numbers, tokens := make([]string, len(stages)), make([]string, len(stages))
	for i, stop := range stages {
		victim, _ := c.start(fmt.Sprint("victim", i), stop, stand)
		person := fmt.Sprint("person", i)
		c.world.WeChat.AddPerson(wechattest.Person{Name: person})
		tokens[i], _ = victim.login(person)
		numbers[i] = victim.order(tokens[i]).number
		const message = "/cgi-bin/message/subscribe/send"
		if stop == committed { // it stops in the message that follows the commit
			c.world.WeChat.AddFault(wechattest.Fault{Path: message, Hang: true, Times: 1})
		}
		_, err := c.world.Pay.Pay(mchID, numbers[i], c.world.WeChat.OpenID(miniAppID, person))
		require.NoError(t, err)
		if stop == committed {
			require.Eventually(t, func() bool { return c.world.WeChat.Calls(message) > 0 }, 30*time.Second, 10*time.Millisecond)
		} else {
			<-victim.stopped
		}
		victim.kill()
	}
	for i, stop := range stages {
		require.Equal(t, "paid", survivor.wait(tokens[i], numbers[i])["state"], stop)
		require.Equal(t, 12, survivor.points(tokens[i]), stop)
	}

	// Then WeChat is answered, and nothing changes.
	acknowledged := func() map[string]bool {
		done := make(map[string]bool)
		for _, d := range c.world.Pay.Deliveries() {
			if d.Status == http.StatusNoContent || d.Status == http.StatusOK {
				done[d.ID] = true
			}
		}
		return done
	}
	require.Eventually(t, func() bool { return len(acknowledged()) == len(stages) }, 2*time.Minute, 50*time.Millisecond)
	var payments, odd, points int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*), SUM(odd <> '') FROM miniapp_payment").Scan(&payments, &odd))
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT SUM(points) FROM miniapp_account").Scan(&points))
	require.Equal(t, len(stages), payments)
	require.Zero(t, odd)
	require.Equal(t, 12*len(stages), points)
}
