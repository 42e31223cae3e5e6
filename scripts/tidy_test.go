package scripts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// untidy is a go.mod that marks a direct requirement as indirect.
const untidy = `module github.com/wetoken/wetoken/nested

go 1.25.0

require github.com/wetoken/wetoken v0.1.0 // indirect
`

// checksums are the lines that a release writes for our modules, and one of a version that is not required.
const checksums = `github.com/wetoken/wetoken v0.0.9 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
github.com/wetoken/wetoken v0.1.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
github.com/wetoken/wetoken v0.1.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
`

// small returns a folder with the script and two modules without other dependencies, so that nothing is downloaded.
func small(t *testing.T) *repository {
	t.Helper()
	need(t, "bash")
	script, err := os.ReadFile("tidy")
	require.NoError(t, err)
	r := &repository{t, t.TempDir()}
	for _, dir := range []string{"scripts", "nested"} {
		require.NoError(t, os.Mkdir(filepath.Join(r.dir, dir), 0o755))
	}
	r.write("scripts/tidy", string(script))
	r.write("go.mod", "module github.com/wetoken/wetoken\n\ngo 1.25.0\n")
	r.write("root.go", "package wetoken\n")
	r.write("nested/go.mod", untidy)
	r.write("nested/go.sum", checksums)
	r.write("nested/nested.go", "package nested\n\nimport _ \"github.com/wetoken/wetoken\"\n")
	return r
}

func TestTidyChecksWithoutChanging(t *testing.T) {
	r := small(t)
	out := r.refuse("bash", "scripts/tidy", "-check")
	require.Contains(t, out, "nested/go.mod is not tidy")
	require.NotContains(t, out, "./go.mod is not tidy")
	require.Equal(t, untidy, r.read("nested/go.mod"))
	require.Equal(t, checksums, r.read("nested/go.sum"))

	r.run("bash", "scripts/tidy", "-check", ".")
	r.refuse("bash", "scripts/tidy", "-check", "nested/")
}

func TestTidyWritesRequirementsAndNoReplace(t *testing.T) {
	r := small(t)
	r.run("bash", "scripts/tidy")
	require.Equal(t, "module github.com/wetoken/wetoken/nested\n\ngo 1.25.0\n\nrequire github.com/wetoken/wetoken v0.1.0\n", r.read("nested/go.mod"))
	r.run("bash", "scripts/tidy", "-check")
}

func TestTidyKeepsTheChecksumsOfTheVersionsRequired(t *testing.T) {
	r := small(t)
	r.run("bash", "scripts/tidy")
	sums := r.read("nested/go.sum")
	require.NotContains(t, sums, "v0.0.9")
	require.Contains(t, sums, "github.com/wetoken/wetoken v0.1.0 h1:")
	require.Contains(t, sums, "github.com/wetoken/wetoken v0.1.0/go.mod h1:")
}

func TestTidyRefusesUnknownFlags(t *testing.T) {
	require.Contains(t, small(t).refuse("bash", "scripts/tidy", "-chekc"), "usage")
}
