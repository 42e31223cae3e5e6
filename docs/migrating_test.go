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

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/wechattest"
)

var oldRoute = regexp.MustCompile("`(GET|POST) (/[^`]+)`")

func TestOldClientsAreServedAsTheGuideSays(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1111111111111111", "secret")
	c := config("")
	c.Keys[0].Scopes = []string{"*", "admin"}
	c.Compat = gateway.Compat{Systems: []string{"wetoken", "accesstoken", "payment", "proxy"}, Create: true}
	o := gateway.Options{Config: c, HTTP: wx.Client(), PrivateFallback: compat.Private(c.Compat)}
	g, err := gateway.New(o)
	require.NoError(t, err)
	pages, seen := read(t, "migrating"), make(map[string]int)
	for name, page := range pages {
		for _, m := range oldRoute.FindAllStringSubmatch(page, -1) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(m[1], strings.NewReplacer("{appid}", "wx1111111111111111", "{app}", "shop").Replace(m[2]), nil)
			g.Private().ServeHTTP(w, r)
			require.Equal(t, 401, w.Code, "%s: %s needs a key", name, m[0])
			r.Header.Set("Authorization", "Bearer "+callerKey)
			w = httptest.NewRecorder()
			g.Private().ServeHTTP(w, r)
			require.NotContains(t, []int{401, 403, 404, 405}, w.Code, "%s: %s", name, m[0])
			seen[m[0]]++
		}
	}
	require.Len(t, seen, 31)
	for route, n := range seen {
		require.Equal(t, 2, n, "%s is on both pages", route)
	}
}

// embedding is the program in which the Go code of the guide is compiled.
const embedding = `package main

import (
	"context"
	"database/sql"
	"net/http"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/store/sqlstore"
	"github.com/wetoken/wetoken/ticket"
)

var (
	ctx                  context.Context
	dsn, key, id, secret string
)

func main() {
`

func TestTheEmbeddingOfTheGuideCompiles(t *testing.T) {
	var blocksOf []string
	for _, page := range []string{"migrating.md", "migrating.zh-CN.md"} {
		all := blocks(t, page, "go")
		require.Len(t, all, 1)
		file := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(file, []byte(embedding+all[0]+"_, _, _ = err, tok, jsapi\n}\n"), 0o600))
		out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
		require.NoError(t, err, "%s: %s\n%s", page, out, all[0])
		blocksOf = append(blocksOf, regexp.MustCompile(` *//.*`).ReplaceAllString(all[0], ""))
	}
	require.Equal(t, blocksOf[0], blocksOf[1])
}
