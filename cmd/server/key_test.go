package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fetchWith returns the status and the body of a GET with a caller key.
func fetchWith(t *testing.T, p *process, key, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", p.base+path, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestHelpOfACommandListsItsFlags(t *testing.T) {
	t.Parallel()
	for flag, args := range map[string][]string{
		"-scopes": {"key", "create", "-h"}, "-overlap": {"key", "rotate", "ops", "--help"}, "-apply": {"platform", "sync", "-help"},
		"-config": {"key", "-h"}, "-store": {"outbox", "retry", "-h"}, "-log-level": {"key", "list", "-h"},
	} {
		out, err := exec.Command(program("server"), args...).CombinedOutput()
		require.NoError(t, err, "%v: %s", args, out)
		require.Contains(t, string(out), "\n  "+flag, args)
	}
}

func TestKeysAreMadeOnTheCommandLine(t *testing.T) {
	t.Parallel()
	const bootKey = "a-key-of-this-test-in-the-file"
	file := write(t, `
records: sqlite:`+filepath.Join(t.TempDir(), "records.db")+`
keys: [{name: boot, key: `+bootKey+`, apps: ["*"], scopes: [admin]}]
apps: {shop: {app_id: wx0123456789abcdef, secret: a-secret-of-this-test}}
`)
	env := []string{"WETOKEN_MASTER_KEYS=" + newKey()}
	run := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := execute(t, env, append(append([]string{"key"}, args...), "-config", file)...)
		require.Zero(t, code, stderr)
		return strings.TrimSuffix(stdout, "\n")
	}
	p := start(t, env, "-config", file)
	key := run("create", "ops", "-apps", "*", "-scopes", "admin,token", "-expires", "2099-01-01T00:00:00Z", "-addresses", "127.0.0.0/8,::1", "-rate", "1000", "-log-level", "error")
	require.NotContains(t, key, "\n", "a program reads the key from it")
	sees := func(key string, want int) func() bool {
		return func() bool {
			status, _ := fetchWith(t, p, key, "/keys")
			return status == want
		}
	}
	waitUntil(t, 20*time.Second, "the server knows the key", sees(key, http.StatusOK))
	second := run("rotate", "ops", "-overlap", "0s")
	waitUntil(t, 20*time.Second, "the server knows the next key", sees(second, http.StatusOK))
	waitUntil(t, 20*time.Second, "and the first one no more", sees(key, http.StatusUnauthorized))
	list := run("list")
	require.Contains(t, list, `boot  apps *  scopes admin  in the configuration`)
	require.Contains(t, list, `ops  apps *  scopes admin,token  ends 2099-01-01T00:00:00Z  id `+key[8:24])
	require.Contains(t, list, "2 caller keys")
	for _, hidden := range []string{key, second, bootKey} {
		require.NotContains(t, list, hidden)
	}
	require.Equal(t, "ops: revoked", run("revoke", "ops"))
	waitUntil(t, 20*time.Second, "the key is revoked", sees(second, http.StatusUnauthorized))

	status, body := fetchWith(t, p, bootKey, "/audit")
	require.Equal(t, http.StatusOK, status)
	var audit struct {
		Entries []struct{ Event, Action, Caller string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &audit))
	var actions []string
	for _, e := range audit.Entries {
		if e.Event == "caller key" {
			require.True(t, strings.HasPrefix(e.Caller, "user/"), e.Caller)
			actions = append(actions, e.Action)
		}
	}
	require.Equal(t, []string{"delete", "rotate", "create"}, actions)
	require.NotContains(t, body, second)

	for says, args := range map[string][]string{
		"key: want key list":              {"make", "x"},
		"key: want key list, key create":  {"create"},
		"apps: must name":                 {"create", "x", "-scopes", "token"},
		"scopes[0]: unknown scope":        {"create", "x", "-apps", "shop", "-scopes", "tokens"},
		"-expires: want a time":           {"create", "x", "-expires", "soon"},
		"-expires: want a time such":      {"create", "x", "-apps", "shop", "-scopes", "token", "-expires", "0001-01-01T00:00:00Z"},
		"not registered":                  {"revoke", "x"},
		"part of the configuration":       {"revoke", "boot"},
		"overlap: want 0s to 720h":        {"rotate", "ops", "-overlap", "721h"},
		"flag provided but not defined":   {"revoke", "ops", "-apps", "shop"},
		"-config FILE is needed, since":   nil,
		"must name a store that keeps ke": {"list", "-store", "memory"},
	} {
		all := append(append([]string{"key"}, args...), "-config", file)
		switch {
		case args == nil:
			all = []string{"key", "list", "-store", "sqlite:x.db"}
		case args[0] == "list":
			all = []string{"key", "list", "-config", write(t, `{keys: [{name: boot, key: `+bootKey+`, apps: ["*"], scopes: [admin]}]}`)}
		}
		_, stderr, code := execute(t, env, all...)
		require.Equal(t, 2, code, says)
		require.Contains(t, stderr, says)
	}
}
