package docs_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechattest"
)

// read returns a page, and its Chinese twin.
func read(t *testing.T, page string) map[string]string {
	twins := make(map[string]string)
	for _, name := range []string{page + ".md", page + ".zh-CN.md"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		twins[name] = string(text)
	}
	return twins
}

func TestThePagesShowTheProgramsThatAreTested(t *testing.T) {
	fences := map[string]string{".php": "php", ".java": "java", ".mjs": "js", ".py": "python"}
	files, err := os.ReadDir("clients")
	require.NoError(t, err)
	require.Len(t, files, 8)
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("clients", f.Name()))
		require.NoError(t, err)
		require.LessOrEqual(t, strings.Count(string(text), "\n"), 40, f.Name())
		for name, page := range read(t, "backends") {
			require.Contains(t, page, "\n```"+fences[filepath.Ext(f.Name())]+"\n"+string(text)+"```\n", "%s must show %s", name, f.Name())
		}
	}
}

func TestEveryRouteIsOnThePage(t *testing.T) {
	in, err := message.New(message.Config{AppID: "wx1", Token: "token"})
	require.NoError(t, err)
	routes := map[string]http.Handler{"POST /retry": nil}
	for _, part := range []interface {
		Routes() map[string]http.Handler
	}{
		new(token.Handler), new(ticket.Handler), &oauth.Handler{Source: new(oauth.Mini)}, new(oauth.Login), new(oauth.Mini), in,
		&jssdk.Handler{Signer: new(jssdk.Signer)}, &jssdk.CardHandler{Signer: new(jssdk.Signer)},
		new(pay.Handler), &pay.Cashier{QR: func(string) ([]byte, error) { return nil, nil }},
	} {
		maps.Copy(routes, part.Routes())
	}
	for name, page := range read(t, "http") {
		table, _, ok := strings.Cut(page, "\n## ")
		require.True(t, ok)
		for _, route := range []string{"GET /healthz", "GET /readyz", "GET /{name}.txt", "POST /app/{platform}/event", "POST /app/{platform}/message/{appid}", "GET /app/{platform}/authorize", "GET /app/{platform}/authorize/callback", "POST /app/{platform}/authorizations", "ANY /app/{app}/pay/api/{path}"} {
			require.Contains(t, table, "`"+route+"`", name)
		}
		for route := range routes {
			method, path, _ := strings.Cut(route, " ")
			require.Contains(t, table, "`"+method+" /app/{app}"+strings.TrimSuffix(path, "/")+"`", name)
		}
	}
}

// code are the parts of a text in backquotes.
var code = regexp.MustCompile("`([^`]+)`")

func TestEveryReplyOnThePageIsOne(t *testing.T) {
	types := []string{"text", "image", "voice", "video", "music", "news", "transfer_customer_service"}
	for name, page := range read(t, "backends") {
		for _, typ := range types {
			_, row, ok := strings.Cut(page, "\n| "+typ+" |")
			require.True(t, ok, "%s: %s", name, typ)
			row, _, _ = strings.Cut(row, "\n")
			both := code.FindAllStringSubmatch(row, -1)
			require.Len(t, both, 2, "%s: %s", name, typ)
			inJSON, err := message.ParseReply([]byte(both[0][1]))
			require.NoError(t, err)
			inXML, err := message.ParseReply([]byte(both[1][1]))
			require.NoError(t, err)
			require.Equal(t, inJSON, inXML, "%s: %s", name, typ)
			require.NotNil(t, inJSON)
			_, unknown := inJSON.(message.Raw)
			require.False(t, unknown, "%s: %s", name, typ)
		}
	}
}

func TestFilesOfAllNamesAreServed(t *testing.T) {
	line := regexp.MustCompile(`(?m)^ +(\S+\.txt): "(\S+)"`)
	for name, page := range read(t, "console") {
		files := make(map[string]string)
		for _, m := range line.FindAllStringSubmatch(page, -1) {
			files[m[1]] = m[2]
		}
		require.Len(t, files, 3, name)
		c := config("")
		app := c.Apps["shop"]
		app.VerifyFiles = files
		c.Apps = map[string]gateway.App{"shop": app}
		public := newGateway(t, c, new(wechattest.Server)).Public()
		for file, content := range files {
			w := httptest.NewRecorder()
			public.ServeHTTP(w, httptest.NewRequest("GET", "/"+file, nil))
			require.Equal(t, http.StatusOK, w.Code, "%s: %s", name, file)
			require.Equal(t, content, w.Body.String())
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
)

// anchors are the names by which GitHub links to the headings of a page.
func anchors(page string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case strings.ContainsRune("`/{}.,:()·、，。：（）", r):
				return -1
			}
			return r
		}, strings.ToLower(m[1]))
		all[name] = true
	}
	return all
}

func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	for _, page := range append(pages, "../README.md", "../README.zh-CN.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			to := page
			if file != "" {
				to = filepath.Join(filepath.Dir(page), file)
			}
			_, err := os.Stat(to)
			require.NoError(t, err, "%s links to %s", page, m[1])
			if anchor != "" {
				there, err := os.ReadFile(to)
				require.NoError(t, err)
				require.True(t, anchors(string(there))[anchor], "%s links to %s", page, m[1])
			}
		}
	}
}
