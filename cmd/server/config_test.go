package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	server "github.com/wetoken/wetoken/cmd/server"
	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/wechat"
)

// manyApps is a configuration with n apps.
func manyApps(n int) string {
	var b strings.Builder
	b.WriteString("keys: [{name: all, key: \"${SHOP_KEY}\", apps: ['*'], scopes: ['*']}]\napps:\n")
	for i := range n {
		fmt.Fprintf(&b, "  app%d:\n    app_id: wx%016d\n    secret: ${SHOP_SECRET}\n    kind: mini\n    keep: true\n    allow: [/token]\n", i, i)
	}
	return b.String()
}

// allocations returns the number of allocations of reading a file. It requires no error, or one that contains says.
func allocations(t *testing.T, config, says string) float64 {
	t.Helper()
	file := write(t, config)
	return testing.AllocsPerRun(1, func() {
		_, err := server.ReadConfig(file)
		if says == "" {
			require.NoError(t, err)
			return
		}
		require.ErrorContains(t, err, says)
		require.Less(t, len(err.Error()), 500)
	})
}

func TestReadingAppsTakesMemoryInProportion(t *testing.T) {
	t.Setenv("SHOP_KEY", shopKey)
	t.Setenv("SHOP_SECRET", "a-secret-of-this-test")
	require.LessOrEqual(t, allocations(t, manyApps(10_000), ""), 12*allocations(t, manyApps(1_000), ""))
}

// A decoder that compares each key with each other one also reports each pair of equal ones.
func TestKeysAreNotComparedInPairs(t *testing.T) {
	repeated := func(n int) string { return "apps:\n" + strings.Repeat("  shop: {}\n", n) }
	const says = "line 3: apps: key shop is given twice"
	require.LessOrEqual(t, allocations(t, repeated(2_000), says), 12*allocations(t, repeated(200), says))
}

func TestAliasesAndMergesAreRead(t *testing.T) {
	t.Setenv("S", "x")
	c, err := server.ReadConfig(write(t, `
apps:
  base: &base {app_id: wx1, secret: "${S}", keep: true, hosts: &hosts [a.example.com]}
  more: &more {secret: y, kind: mini}
  one: {<<: *base, secret: z}
  two: {<<: [*more, *base], app_id: wx2, hosts: *hosts}
  "<<": {app_id: wx3, secret: 2027-01-01, expires_at: 2099-01-01}
`))
	require.NoError(t, err)
	require.Equal(t, gateway.App{AppID: "wx1", Secret: "z", Keep: true, Hosts: []string{"a.example.com"}}, c.Apps["one"])
	require.Equal(t, gateway.App{AppID: "wx2", Secret: "y", Kind: wechat.Mini, Keep: true, Hosts: []string{"a.example.com"}}, c.Apps["two"])
	require.Equal(t, "2027-01-01", c.Apps["<<"].Secret, "a date is text")
	require.Equal(t, 2099, c.Apps["<<"].ExpiresAt.Year())
	require.Equal(t, "wx3", c.Apps["<<"].AppID)
}

func TestAFileThatCannotBeReadSaysWhere(t *testing.T) {
	t.Setenv("EMPTY", "")
	t.Setenv("FROM_FILE", "a-secret\n")
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	for config, says := range map[string]string{
		"apps: {shop: {secret: x, secret: y}}":             "line 1: apps.shop: key secret is given twice",
		"apps: {shop: {hosts: [a, \"${NOT_SET}\"]}}":       "apps.shop.hosts[1]: ${NOT_SET}",
		"apps: {shop: {[a]: b}}":                           "apps.shop: invalid key: want text",
		"apps: {shop: {<<: x}}":                            "apps.shop: invalid <<: want a mapping, or a list of mappings",
		"apps: &a {shop: *a}":                              "an anchor contains an alias of itself",
		bomb:                                               "too many aliases",
		"apps: {shop: {Secret: x}}":                        `apps.shop: unknown key "Secret": want secret`,
		"apps: {shop: {message: {aes_key: \"${EMPTY}\"}}}": "apps.shop.message.aes_key: is empty",
		"apps: {shop: {message: {aes_key: }}}":             "apps.shop.message.aes_key: is empty",
		"apps: {shop: {message: {forward: x}}}":            "apps.shop.message.forward: want a list, not text",
		"apps: {shop: {secret: 0x10}}":                     "apps.shop.secret: want text, not a number (text of digits needs quotes)",
		"apps: {shop: {agent_id: .nan}}":                   "apps.shop.agent_id",
	} {
		_, err := server.ReadConfig(write(t, config))
		require.ErrorContains(t, err, says, config)
		require.NotContains(t, err.Error(), "\n")
	}
	file := write(t, "apps:\n  shop: {secret: \"${NOT_SET_ANYWHERE}\"}")
	_, err := server.ReadConfig(file)
	require.EqualError(t, err, file+": line 2: apps.shop.secret: ${NOT_SET_ANYWHERE}: the environment variable is not set")
	c, err := server.ReadConfig(write(t, "apps: {shop: {app_id: wx1, secret: \"${FROM_FILE}\"}}"))
	require.NoError(t, err)
	c.Keys = []gateway.Key{{Name: "n", Key: shopKey, Apps: []string{"*"}, Scopes: []string{"*"}}}
	require.ErrorContains(t, c.Check(), "apps.shop.secret: begins or ends with a blank or a line end")
}

func BenchmarkReadConfig(b *testing.B) {
	b.Setenv("SHOP_KEY", shopKey)
	b.Setenv("SHOP_SECRET", "a-secret-of-this-test")
	for _, n := range []int{1_000, 10_000, 40_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			file := write(b, manyApps(n))
			for b.Loop() {
				_, err := server.ReadConfig(file)
				require.NoError(b, err)
			}
		})
	}
}
