package token_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The smallest programs that use this package, and that make an HTTP call without it.
var programs = map[string]string{
	"net/http": `package main

import "net/http"

func main() {
	if _, err := http.Get("https://api.weixin.qq.com/"); err != nil {
		println(err.Error())
	}
}
`,
	"token": `package main

import (
	"context"

	"github.com/wetoken/wetoken/token"
)

func main() {
	if _, err := (&token.Manager{AppID: "id", Secret: "secret"}).Token(context.Background()); err != nil {
		println(err.Error())
	}
}
`,
}

// BenchmarkProgram reports the size, modules and packages of the smallest program that uses this package, beside one
// that uses net/http only.
func BenchmarkProgram(b *testing.B) {
	for name, source := range programs {
		b.Run(name, func(b *testing.B) {
			folder := b.TempDir()
			file, exe := filepath.Join(folder, "main.go"), filepath.Join(folder, "main.exe")
			require.NoError(b, os.WriteFile(file, []byte(source), 0o600))
			var all map[string]bool
			for b.Loop() {
				run(b, "go", "build", "-trimpath", "-o", exe, file)
				all = modules(b, file)
			}
			size, err := os.Stat(exe)
			require.NoError(b, err)
			b.ReportMetric(float64(size.Size()), "bytes")
			run(b, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", exe, file)
			size, err = os.Stat(exe)
			require.NoError(b, err)
			b.ReportMetric(float64(size.Size()), "stripped-bytes")
			b.ReportMetric(float64(len(all)), "modules")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// modules returns the modules of a program, besides the standard library.
func modules(t testing.TB, file string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, path := range strings.Fields(run(t, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", file)) {
		all[path] = true
	}
	return all
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestAProgramThatImportsTokenGetsFourModules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(programs["token"]), 0o600))
	require.Equal(t, map[string]bool{
		"github.com/wetoken/wetoken":    true,
		"github.com/go-resty/resty/v2":  true,
		"github.com/patrickmn/go-cache": true,
		"golang.org/x/net":              true, // resty's
	}, modules(t, file))
}
