package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/miniapp/app"
	"github.com/wetoken/wetoken/examples/miniapp/config"
	"github.com/wetoken/wetoken/examples/miniapp/dbtest"
	"github.com/wetoken/wetoken/examples/miniapp/order"
	"github.com/wetoken/wetoken/examples/miniapp/store"
)

const (
	miniAppID     = "wxminiprogram00000"
	officialAppID = "wxofficialaccount0"
	mchID         = "1900000001"
	adminKey      = "admin-key-of-this-test"
)

var products = []order.Product{{ID: "socks", Name: "socks", Fen: 1200, Points: 12}}

// program is the program with a simulated WeChat, both in this process.
type program struct {
	t     *testing.T
	db    *store.DB
	world *app.World
	url   string
	log   *logs
}

// logs is a log that tests read.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs the program with the demo's configuration, changed by pairs of texts.
func start(t *testing.T, hook order.Hook, changes ...string) *program {
	t.Helper()
	demo, err := os.ReadFile("demo.yaml")
	require.NoError(t, err)
	text := string(demo) + "  admin-key: " + adminKey + "\n"
	for i := 0; i < len(changes); i += 2 {
		require.Contains(t, text, changes[i])
	}
	c, err := config.Parse([]byte(strings.NewReplacer(changes...).Replace(text)), os.LookupEnv)
	require.NoError(t, err)
	p := &program{t: t, db: dbtest.SQLite(t), log: new(logs)}
	server := httptest.NewUnstartedServer(nil)
	p.url = "http://" + server.Listener.Addr().String()
	p.world, err = app.Simulate(c, p.url)
	require.NoError(t, err)
	a, err := app.New(t.Context(), app.Options{
		Config: c, DB: p.db, URL: p.url, World: p.world, Hook: hook, Products: products, Log: slog.New(slog.NewTextHandler(p.log, nil)),
	})
	require.NoError(t, err)
	server.Config.Handler = a.Handler
	server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	t.Cleanup(func() {
		require.NoError(t, p.world.Close())
		server.Close()
		cancel()
		<-done
		require.NotContains(t, p.log.String(), "session_key")
	})
	return p
}

// reply is a reply to a request.
type reply struct {
	status int
	raw    string
	Data   json.RawMessage `json:"data"`
	Code   string          `json:"code"`
	Msg    string          `json:"msg"`
}

func (r reply) text(t *testing.T) (s string) {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.NoError(t, json.Unmarshal(r.Data, &s), r.raw)
	return s
}

func (r reply) fields(t *testing.T) (m map[string]any) {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.NoError(t, json.Unmarshal(r.Data, &m), r.raw)
	return m
}

// call makes a request with a token, which may be empty. Headers are pairs.
func (p *program) call(method, path, token string, body any, headers ...string) (r reply) {
	p.t.Helper()
	text, ok := body.(string)
	if body != nil && !ok {
		b, err := json.Marshal(body)
		require.NoError(p.t, err)
		text = string(b)
	}
	in, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(text))
	require.NoError(p.t, err)
	if token != "" {
		in.Header.Set("token", token)
	}
	for i := 0; i < len(headers); i += 2 {
		in.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(in)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	r.status, r.raw = resp.StatusCode, string(raw)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		require.NoError(p.t, json.Unmarshal(raw, &r), r.raw)
	}
	return r
}

// refused checks that a request is refused in words for the person.
func (p *program) refused(r reply, status int, code string) {
	p.t.Helper()
	require.Equal(p.t, status, r.status, r.raw)
	require.Equal(p.t, code, r.Code, r.raw)
	require.NotEmpty(p.t, r.Msg)
	require.NotContains(p.t, r.raw, "errcode")
	require.Nil(p.t, r.Data)
}

// login logs a person in, and returns the token and the flag.
func (p *program) login(person string) (token, flag string) {
	p.t.Helper()
	data := p.call("POST", "/wechat/sign/default", "", map[string]string{"jsCode": p.world.WeChat.MiniCode(miniAppID, person)}).text(p.t)
	token, flag, ok := strings.Cut(data, "_")
	require.True(p.t, ok)
	require.NotContains(p.t, flag, "_")
	return token, flag
}

// bind binds the phone of a person who is logged in, and returns the new token.
func (p *program) bind(person, token string) string {
	p.t.Helper()
	data := p.call("PUT", "/app/miniapp/update-phone", token, map[string]string{"code": p.world.WeChat.PhoneCode(miniAppID, person)}).text(p.t)
	fresh, ok := strings.CutSuffix(data, "_0")
	require.True(p.t, ok, data)
	return fresh
}
