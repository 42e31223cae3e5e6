package docs_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// blocks returns the blocks of code in a language on a page.
func blocks(t *testing.T, page, language string) (all []string) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	return all
}

var readmes = []string{"../README.md", "../README.zh-CN.md"}

// around is the program in which the Go code of the READMEs is compiled.
const around = `package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

var (
	_                   = errors.Is
	_                   = log.Print
	_                   = os.Getenv
	_                   = wetoken.Bind
	_                   message.Config
	_                   oauth.Login
	_                   store.Memory
	_                   token.Manager
	_                   wechat.Client
	ctx                 context.Context
	id, secret, t, k, key string
	menu                any
	public, private     = http.NewServeMux(), http.NewServeMux()
	onlyOurServices     func(http.Handler) http.Handler
)

func main() {
`

var declared = regexp.MustCompile(`(?m)^(\w+)(?:, (\w+))? :=`)

func TestTheGoCodeOfTheREADMEsCompiles(t *testing.T) {
	for _, readme := range readmes {
		all := blocks(t, readme, "go")
		require.NotEmpty(t, all, readme)
		for _, block := range all {
			var used strings.Builder
			for _, m := range declared.FindAllStringSubmatch(block, -1) {
				for _, name := range m[1:] {
					if name != "" {
						used.WriteString("_ = " + name + "\n")
					}
				}
			}
			file := filepath.Join(t.TempDir(), "main.go")
			require.NoError(t, os.WriteFile(file, []byte(around+block+used.String()+"}\n"), 0o600))
			out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
			require.NoError(t, err, "%s: %s\n%s", readme, out, block)
		}
	}
}

func TestTheREADMEsRunTheSameCommands(t *testing.T) {
	command := regexp.MustCompile(`(?m)^(go run|go install|server|curl -H) .*?(  +#.*)?$`)
	commands := make(map[string][]string)
	for _, readme := range readmes {
		for _, block := range blocks(t, readme, "sh") {
			for _, m := range command.FindAllStringSubmatch(block, -1) {
				commands[readme] = append(commands[readme], strings.TrimSuffix(m[0], m[2]))
			}
		}
	}
	require.Len(t, commands[readmes[0]], 5)
	require.ElementsMatch(t, commands[readmes[0]], commands[readmes[1]]) // the sections have another order
}

func TestTheREADMEsOfTheExamplesListEachExample(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\|.* \\| `(go run \\./examples/(\\w+).*)` \\|$")
	commands := make(map[string]map[string]string)
	for _, name := range []string{"../examples/README.md", "../examples/README.zh-CN.md"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		commands[name] = make(map[string]string)
		for _, m := range row.FindAllStringSubmatch(string(text), -1) {
			require.Equal(t, m[1], m[3], name)
			commands[name][m[1]] = m[2]
		}
	}
	english := commands["../examples/README.md"]
	require.Equal(t, english, commands["../examples/README.zh-CN.md"])
	files, err := filepath.Glob("../examples/*/main.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		require.Contains(t, english, name)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), "\n//	"+english[name]+"\n", "the comment of %s has the command", file)
	}
}

func TestTheNodeClientOfTheREADMERuns(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("WETOKEN_TEST_REQUIRE") == "1" {
			t.Fatal("node is missing, and WETOKEN_TEST_REQUIRE=1")
		}
		t.Skip("SKIPPED, NOT TESTED: the Node client of README.zh-CN.md: node is missing")
	}
	wx := new(wechattest.Server)
	wx.AddApp("wx1111111111111111", "secret")
	wechat := httptest.NewServer(wx)
	defer wechat.Close()
	server := httptest.NewServer(newGateway(t, config(""), wx).Private())
	defer server.Close()

	all := blocks(t, "../README.zh-CN.md", "js")
	require.Len(t, all, 1)
	client, err := os.ReadFile("clients/tokens.mjs")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokens.mjs"), client, 0o600))
	program := strings.NewReplacer("http://wetoken:8081", server.URL, "https://api.weixin.qq.com", wechat.URL).Replace(all[0])
	require.NotEqual(t, all[0], program)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.mjs"), []byte(program), 0o600))
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "main.mjs"))
	cmd.Env = append(os.Environ(), "SHOP_KEY="+callerKey)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "ip_list")
}
