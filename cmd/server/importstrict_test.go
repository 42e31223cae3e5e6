package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A row that is not UTF-8 is to be left out with -skip. Its merchant must not be registered with what is left of its key.
func TestTheMerchantOfABrokenRowIsNotImported(t *testing.T) {
	t.Parallel()
	i := newImporter(t, "public_url: https://wx.example.com")
	file := makeProxy(t, `INSERT INTO wx_apps VALUES ('shop', 'wx0000000000000001', 'a-secret-of-wx0000000000000001', '', '', '1900000001', x'ff6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b', '', '', NULL)`)
	require.Contains(t, i.run(t, 1, "proxy", file), "mch_key is not UTF-8")
	printed := i.run(t, 0, "proxy", file, "-skip", "shop") // as docs/migrating.md says
	require.NotContains(t, printed, `new: merchant "1900000001"`)
}

// Two systems had the same official account. The second import must not take the routes by appid from the clients of the first without a word.
func TestASecondImportDoesNotCloseTheRoutesOfTheFirst(t *testing.T) {
	t.Parallel()
	const id, secret = "wx0000000000000001", "a-secret-of-wx0000000000000001"
	i := newImporter(t, "compat: {systems: [wetoken, accesstoken]}\npublic_url: https://wx.example.com")
	i.wx.AddApp(id, secret)
	config := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(config, []byte(`{"appId":"`+id+`","appSecret":"`+secret+`"}`), 0o600))
	i.run(t, 0, "accesstoken", config)
	old := "/" + id + "/wechat/token/get?secret=" + url.QueryEscape(secret)
	p := i.serve(t, "app-0000000000000001")
	status, body := p.ask(t, old)
	require.Equal(t, http.StatusOK, status, body)
	p.kill()
	printed := i.run(t, 0, "proxy", makeProxy(t, `INSERT INTO wx_apps VALUES ('shop', '`+id+`', '`+secret+`', '', '', '', '', '', '', NULL)`))
	p = i.serve(t, "app-0000000000000001", "shop")
	status, body = p.ask(t, old)
	if status != http.StatusOK || !strings.Contains(body, `"errcode":0`) {
		_, rpc := p.ask(t, "/apis/v1/wx/mp/access_token/"+id)
		require.Regexp(t, `(note|conflict).*app-0000000000000001`, printed, "old clients get %d %s and %s", status, body, rpc)
	}
}

// A source cannot add a line to what an import prints.
func TestASourceCannotForgeLinesOfTheReport(t *testing.T) {
	t.Parallel()
	i := newImporter(t, "public_url: https://wx.example.com")
	file := makeProxy(t, `INSERT INTO wx_apps VALUES ('shop', 'wx0000000000000001', 'a-secret-of-wx0000000000000001', '', '', '', '', '', '/api`+"\x1b[2J\n"+`unchanged: app "bank": is registered|/msg', NULL)`)
	stdout, _, _ := execute(t, i.env, "import", "proxy", file, "-config", i.config, "-dry-run")
	require.NotContains(t, stdout, "\x1b")
	require.NotContains(t, stdout, "\nunchanged: ")
}

// The note on what to set names the merchant as it was registered.
func TestTheNoteNamesARenamedMerchant(t *testing.T) {
	t.Parallel()
	db := newMariaDB(t)
	from := makeWetoken(t, db, "notes", "")
	require.NoError(t, db.execute(t.Context(), `INSERT INTO notes.wechat_app_info (appid,secret,token,aes_key,mchid,pay_key,sub_appid,sub_mchid) VALUES ('wx0000000000000001','a-secret-of-wx0000000000000','tok','','1900000001','0123456789abcdef0123456789abcdef','','')`))
	i := newImporter(t, "public_url: https://wx.example.com")
	printed := i.run(t, 0, "wetoken", from, "-rename", "1900000001=bank")
	require.Contains(t, printed, `new: merchant "bank"`)
	require.NotContains(t, printed, `set pay.merchant to "1900000001"`)
	i = newImporter(t, "public_url: https://wx.example.com")
	printed = i.run(t, 0, "wetoken", from, "-skip", "1900000001")
	require.NotContains(t, printed, `set pay.merchant to "1900000001"`)
}

// A URL of a backend may have a secret in its query. The report, which people save and send, shows the URL without it.
func TestAnImportPrintsNoQueryOfABackend(t *testing.T) {
	t.Parallel()
	i := newImporter(t, "public_url: https://wx.example.com")
	dir := t.TempDir()
	put := func(name, text string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		return filepath.Join(dir, name)
	}
	i.run(t, 0, "accesstoken", put("app.json", `{"appId":"wx0000000000000001","appSecret":"a-secret-of-wx0000000000000001"}`))
	for _, u := range []string{"http://u:" + password + "@127.0.0.1:9/paid", "http://127.0.0.1:9/paid?token=" + password} {
		stdout, stderr, _ := execute(t, i.env, "import", "payment", put("pay.json", `{"type":"普通商户","appId":"wx0000000000000001","mchId":"1900000001","partnerKey":"0123456789abcdef0123456789abcdef","cbNotifyUrl":"`+u+`"}`), "-config", i.config, "-dry-run")
		require.NotContains(t, stdout+stderr, password)
	}
}

// An odd URL of a source is not shown in the error.
func TestAnOddURLOfASourceIsNotShown(t *testing.T) {
	t.Parallel()
	i := newImporter(t, "")
	dir := t.TempDir()
	put := func(name, text string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		return filepath.Join(dir, name)
	}
	for _, u := range []string{"redis://:" + password + "%zz@h/0", "redis://:" + password + "@h:port/0", "redis://:" + password + "@h/x", "redis://h/0?password=" + password, "redis://:" + password + "@[h/0"} {
		stdout, stderr, _ := execute(t, i.env, "import", "accesstoken", put("c.json", `{"appId":"wx1","appSecret":"s","backend":{"type":"redis","url":"`+u+`"}}`), "-config", i.config)
		require.NotContains(t, stdout+stderr, password)
		stdout, stderr, _ = execute(t, i.env, "import", "accesstoken", u, "-config", i.config)
		require.NotContains(t, stdout+stderr, password, u)
	}
	for _, u := range []string{"mysql://u:" + password + "%zz@h/x", "mysql://u:" + password + "@h:port/x", "mysql://u@h/x?tls=" + password, "oracle://u:" + password + "@h/x?a=%zz", "oracle://u:" + password + "@h:99999/x"} {
		stdout, stderr, _ := execute(t, i.env, "import", "wetoken", u, "-config", i.config)
		if !strings.Contains(u, "tls=") {
			require.NotContains(t, stdout+stderr, password, u)
		}
	}
}

// env:NAME keeps the source out of sight. A source for another system than the named one must stay so.
func TestASourceOfTheWrongSystemIsNotShown(t *testing.T) {
	t.Parallel()
	i := newImporter(t, "")
	for _, system := range []string{"proxy", "accesstoken", "payment", "wetoken"} {
		stdout, stderr, code := execute(t, append(i.env, "OLD_DATABASE=mysql://wetoken:"+password+"@10.0.0.5/wetoken?timeout=1ms"), "import", system, "env:OLD_DATABASE", "-config", i.config)
		require.Equal(t, 2, code)
		require.NotContains(t, stdout+stderr, password, system)
	}
}

// An import that is killed continues, and two at once do no harm.
func TestAKilledImportContinues(t *testing.T) {
	t.Parallel()
	i := newImporter(t, "public_url: https://wx.example.com")
	var rows []string
	for n := range 150 {
		rows = append(rows, fmt.Sprintf(`INSERT INTO wx_apps VALUES ('shop%d', 'wx%016d', 'a-secret-of-%d', '', '', '19%08d', '0123456789abcdef0123456789abcdef', '', '', NULL)`, n, n, n, n))
	}
	file := makeProxy(t, "BEGIN; "+strings.Join(rows, "; ")+"; COMMIT")
	for range 3 {
		cmd := exec.CommandContext(t.Context(), program("server"), "import", "proxy", file, "-config", i.config)
		cmd.Env = append(os.Environ(), i.env...)
		stderr, err := cmd.StderrPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(stderr)
		for n := 0; n < 70 && lines.Scan(); n++ {
		}
		require.NoError(t, cmd.Process.Kill())
		cmd.Wait()
	}
	i.run(t, 0, "proxy", file)
	i.run(t, 0, "proxy", file)
	require.Equal(t, "0 new, 0 changed, 300 unchanged, 0 skipped, 0 conflicts", i.counts)
}

// A value of Redis that is odd is a conflict, and no more.
func TestOddValuesOfRedis(t *testing.T) {
	t.Parallel()
	old := newRedis(t)
	client := redis.NewClient(&redis.Options{Addr: old.address})
	t.Cleanup(func() { client.Close() })
	i := newImporter(t, "")
	for id, value := range map[string]string{
		"": "{}", "wx\x1b[2J\n": `{"secret":"a-secret"}`, "\xff": `{"secret":"a-secret"}`, "wx1": strings.Repeat("[", 60000), "wx2": `[{"secret":"a-secret-1"}]`, "wx3": `null`,
		"wx4": `{"appid":"wx4","secret":"a-secret","secret":"a-secret2"}`, "wx5": `{"appid":5,"secret":1e999}`, "wx 6": `{"secret":"a-secret"}`, "../wx7": `{"secret":"a-secret"}`, "wx8": `{"secret":" a-secret "}`,
		"wx9": `{"secret":"a-secret\u0000x"}`,
	} {
		require.NoError(t, client.HSet(t.Context(), "mp", id, value).Err())
	}
	printed := i.run(t, 1, "accesstoken", "redis://"+old.address)
	require.NotContains(t, printed, "\x1b")
}
