package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

const wholeAESKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

// importer is a server that apps are imported to, and its WeChat.
type importer struct {
	wx     *wechattest.Server
	config string
	env    []string
	counts string // the last line of the last import
}

// newImporter returns a server whose configuration has more.
func newImporter(t *testing.T, more string) *importer {
	i := &importer{wx: new(wechattest.Server)}
	srv := httptest.NewServer(i.wx)
	t.Cleanup(srv.Close)
	i.config = write(t, fmt.Sprintf("endpoints: {api: %q}\nrecords: sqlite:%s\nkeys: [{name: test, key: %s, apps: ['*'], scopes: ['*']}]\n%s\n", srv.URL, filepath.Join(t.TempDir(), "records.db"), shopKey, more))
	i.env = []string{"WETOKEN_MASTER_KEYS=" + newKey()}
	return i
}

// run runs an import, which must exit with a code, and returns what it printed. No secret of the source may be part of that.
func (i *importer) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	stdout, stderr, got := execute(t, i.env, append(append([]string{"import"}, args...), "-config", i.config)...)
	t.Log(stdout + stderr)
	require.Equal(t, code, got, stderr)
	for _, secret := range []string{"a-secret", wholeAESKey, password, "PRIVATE KEY", "0123456789abcdef0123456789abcdef"} {
		require.NotContains(t, stdout+stderr, secret)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	i.counts = ""
	for _, line := range lines {
		if strings.Contains(line, " new, ") {
			i.counts = line
		}
	}
	return stdout
}

// serve starts the server, and requires that it serves tokens of apps.
func (i *importer) serve(t *testing.T, apps ...string) *process {
	t.Helper()
	p := start(t, i.env, "-config", i.config)
	for _, app := range apps {
		status, body := p.ask(t, "/app/"+app+"/token")
		require.Equal(t, http.StatusOK, status, "%s: %s", app, body)
	}
	return p
}

// wetokenTables are the tables of micro-plat/wetoken as its installer makes them: no column has room for an aes key or a token.
var wetokenTables = []string{
	`CREATE TABLE %s.wechat_app_info (appid VARCHAR(64) NOT NULL, secret VARCHAR(32) NOT NULL, token VARCHAR(32) NOT NULL, aes_key VARCHAR(32) NOT NULL,
		update_time DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, mchid VARCHAR(64) NOT NULL, pay_key VARCHAR(64) NOT NULL, sub_appid VARCHAR(64) NOT NULL,
		sub_mchid VARCHAR(64) NOT NULL%s, PRIMARY KEY (appid)) ENGINE=InnoDB DEFAULT CHARSET=utf8`,
	`CREATE TABLE %s.wechat_access_token (appid VARCHAR(64) NOT NULL PRIMARY KEY, access_token VARCHAR(64) NOT NULL, expire BIGINT NOT NULL, expire_date DATETIME NOT NULL,
		update_time DATETIME NOT NULL, message VARCHAR(64) NOT NULL%s) ENGINE=InnoDB DEFAULT CHARSET=utf8`,
}

// makeWetoken makes a database of wetoken with further columns.
func makeWetoken(t *testing.T, db *service, name, columns string) (url string) {
	t.Helper()
	require.NoError(t, db.execute(t.Context(), "CREATE DATABASE "+name))
	for n, table := range wetokenTables {
		more := ""
		if n == 0 {
			more = columns
		}
		require.NoError(t, db.execute(t.Context(), fmt.Sprintf(table, name, more)))
	}
	return "mysql://root@" + db.address + "/" + name
}

func TestAppsOfWetokenAreImported(t *testing.T) {
	t.Parallel()
	db := newMariaDB(t)
	insert := func(database, values string) {
		require.NoError(t, db.execute(t.Context(), "INSERT INTO "+database+".wechat_app_info (appid, secret, token, aes_key, mchid, pay_key, sub_appid, sub_mchid) VALUES "+values))
	}
	i := newImporter(t, "")
	for _, id := range []string{"wx0000000000000001", "wx0000000000000002", "wx0000000000000003"} {
		i.wx.AddApp(id, "a-secret-of-"+id)
	}
	old := makeWetoken(t, db, "oldest", "") // of the first generation
	insert("oldest", `('wx0000000000000001', 'a-secret-of-wx0000000000000001', 'tok', '', '', '', '', ''),
		('wx0000000000000002', 'a-secret-of-wx0000000000000002', 'tok', '`+wholeAESKey[:32]+`', '1900000001', '0123456789abcdef0123456789abcdef', '', '')`)

	printed := i.run(t, 0, "wetoken", old, "-dry-run")
	require.Contains(t, printed, `new: app "app-0000000000000001": app_id "wx0000000000000001", secret ********, keep true, tickets ["jsapi"], message.token ********`)
	require.Contains(t, printed, "message is left out: its aes key has 32 characters in place of 43")
	require.Contains(t, printed, `new: merchant "1900000001"`)
	require.Equal(t, "3 new, 0 changed, 0 unchanged, 0 skipped, 0 conflicts", i.counts)
	i.run(t, 0, "wetoken", old, "-dry-run")
	require.Equal(t, "3 new, 0 changed, 0 unchanged, 0 skipped, 0 conflicts", i.counts, "a dry run writes nothing")
	i.run(t, 0, "wetoken", old, "-verify", "-skip", "1900000001")
	require.Equal(t, "2 new, 0 changed, 0 unchanged, 1 skipped, 0 conflicts", i.counts)
	require.Contains(t, i.run(t, 0, "wetoken", old, "-skip", "1900000001"), `unchanged: app "app-0000000000000002"`)
	require.Equal(t, "0 new, 0 changed, 2 unchanged, 1 skipped, 0 conflicts", i.counts)
	p := i.serve(t, "app-0000000000000001", "wx0000000000000002")
	status, body := p.ask(t, "/app/app-0000000000000001/ticket/jsapi")
	require.Equal(t, http.StatusOK, status, body)
	waitUntil(t, 20*time.Second, "the token that nobody asked for is kept", func() bool { return len(i.wx.Tokens("wx0000000000000002")) > 0 })
	p.kill()

	// The newest generation has two columns more, and NULL in them. A row that is wrong keeps all others out.
	young := makeWetoken(t, db, "youngest", ", wechat_host VARCHAR(64), wcode_template_id VARCHAR(64)")
	insert("youngest", `('wx0000000000000001', 'a-secret-of-wx0000000000000001', 'tok', '', '', '', '', ''),
		('wx0000000000000003', 'a-secret-of-wx0000000000000003', '', '', '', '', '', ''),
		('wx中文/名', 'a-secret-of-another', '', '', '', '', '', ''), ('0000000000000003', 'a-secret-of-a-twin', '', '', '', '', '', ''),
		('wx0000000000000004', '', '', '', '', '', '', '')`)
	require.NoError(t, db.execute(t.Context(), "UPDATE youngest.wechat_app_info SET wechat_host='https://sh.api.weixin.qq.com', wcode_template_id='T1' WHERE appid='wx0000000000000003'"))
	printed = i.run(t, 1, "wetoken", young)
	require.Contains(t, printed, `conflict: app "app-中文/名": invalid name`)
	require.Contains(t, printed, `conflict: app "app-0000000000000003": has the name of another one in the source with other settings: wechat_app_info, appid "0000000000000003"`)
	require.Contains(t, printed, `conflict: app "app-0000000000000004": secret is empty`)
	require.Contains(t, printed, `its wechat_host "sh.api.weixin.qq.com" is left out`)
	require.Equal(t, "0 new, 0 changed, 1 unchanged, 0 skipped, 4 conflicts", i.counts)
	require.NoError(t, db.execute(t.Context(), "DELETE FROM youngest.wechat_app_info WHERE appid IN ('0000000000000003', 'wx0000000000000004')"))
	printed = i.run(t, 0, "wetoken", young, "-rename", "app-中文/名=中文名")
	require.Contains(t, printed, `new: app "中文名"`)
	require.Contains(t, printed, `wcode_template_id "T1"`)
	require.Equal(t, "2 new, 0 changed, 1 unchanged, 0 skipped, 0 conflicts", i.counts)
	i.serve(t, "app-0000000000000003").kill()

	// The old system has changed a secret since.
	require.NoError(t, db.execute(t.Context(), "UPDATE youngest.wechat_app_info SET secret='a-secret-of-later' WHERE appid='wx0000000000000001'"))
	require.Contains(t, i.run(t, 1, "wetoken", young, "-rename", "app-中文/名=中文名"), `conflict: app "app-0000000000000001": is registered with other settings: secret`)
}

func TestImportExplainsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	i := newImporter(t, "")
	dir := t.TempDir()
	file := func(name, text string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		return filepath.Join(dir, name)
	}
	nobody := freeAddress(t)
	for name, c := range map[string]struct {
		says string
		args []string
	}{
		"no system":       {"SYSTEM is accesstoken, payment, proxy, wetoken", []string{"letao", "x"}},
		"no source":       {"want import SYSTEM SOURCE", []string{"wetoken"}},
		"wrong kind":      {"begins with mysql:// or oracle://", []string{"wetoken", "postgres://u:" + password + "@h/x"}},
		"database away":   {"cannot be read", []string{"wetoken", "mysql://u:" + password + "@" + nobody + "/x"}},
		"Redis away":      {"cannot be read", []string{"accesstoken", "redis://:" + password + "@" + nobody + "/0"}},
		"missing file":    {"no such file", []string{"proxy", filepath.Join(dir, "missing.db")}},
		"no database":     {"not a database", []string{"proxy", file("garbage.db", strings.Repeat("garbage ", 1000))}},
		"empty database":  {"no such table: wx_apps", []string{"proxy", file("empty.db", "")}},
		"no JSON":         {"is not a JSON object", []string{"accesstoken", file("text.json", "module.exports = {}")}},
		"too long":        {"has more than 1048576 bytes", []string{"payment", file("long.json", strings.Repeat(" ", 1<<20+1))}},
		"not a text":      {"appSecret is not a text", []string{"accesstoken", file("list.json", `{"appId":"wx1","appSecret":["a-secret-in-a-list"]}`)}},
		"a folder":        {"is not a file", []string{"payment", dir}},
		"an empty list":   {"is a list without an object", []string{"payment", file("none.json", "[]")}},
		"unset variable":  {"environment variable OLD_DATABASE is empty", []string{"wetoken", "env:OLD_DATABASE"}},
		"unknown to skip": {"nothing would be called", []string{"accesstoken", file("ok.json", `{"appId":"wx1","appSecret":"a-secret"}`), "-skip", "shop"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, refused(t, i.env, append(append([]string{"import"}, c.args...), "-config", i.config)...), c.says)
		})
	}
	require.Contains(t, refused(t, nil, "import", "payment", dir, "-config", i.config), "WETOKEN_MASTER_KEYS: must be set")
	require.Contains(t, refused(t, i.env, "import", "payment", dir), "-config FILE is needed")
	require.Contains(t, refused(t, i.env, "-config", i.config, "-dry-run"), "are for the command import")
	noRecords := write(t, "keys: [{name: test, key: "+shopKey+", apps: ['*'], scopes: ['*']}]")
	require.Contains(t, refused(t, i.env, "import", "payment", dir, "-config", noRecords), "records: must name a store that keeps registered apps through a restart: such as sqlite:")
	cache := newRedis(t) // without appendonly
	inCache := write(t, "records: "+cache.url(cache.address)+"\nkeys: [{name: test, key: "+shopKey+", apps: ['*'], scopes: ['*']}]")
	require.Contains(t, refused(t, i.env, "import", "payment", dir, "-config", inCache), "want appendonly yes")
}

func TestTheGuideImportsWithCommandsThatExist(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"migrating.md", "migrating.zh-CN.md"} {
		page, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
		if os.IsNotExist(err) {
			skip(t, "this is no checkout of the repository")
		}
		require.NoError(t, err)
		lines := regexp.MustCompile(`(?m)^server (import .*) -config wetoken.yaml(.*)$`).FindAllStringSubmatch(string(page), -1)
		require.Len(t, lines, 7, name)
		for _, m := range lines {
			args := append(strings.Fields(strings.ReplaceAll(m[1], "'", "")+m[2]), "-config", filepath.Join(t.TempDir(), "none.yaml"))
			require.Contains(t, refused(t, nil, args...), "-config: open", "its words and flags are known")
		}
	}
}
