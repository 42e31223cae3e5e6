package main_test

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	modproxy "github.com/wetoken/wetoken/internal/modproxy"
)

// tree writes files, keyed by their path, to a folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	}
	return dir
}

func packed(t *testing.T, file string) []string {
	t.Helper()
	z, err := zip.OpenReader(file)
	require.NoError(t, err)
	defer z.Close()
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

func TestZipsAreThoseOfTheGoCommand(t *testing.T) {
	root := tree(t, map[string]string{
		".git/config":              "",
		".ci/run":                  "",
		"LICENSE":                  "MIT",
		"go.mod":                   "module example.com/m\n\ngo 1.25\n",
		"m.go":                     "package m",
		"a/testdata/x":             "",
		"a/testdata/mod/go.mod":    "module example.com/elsewhere\n",
		"a/testdata/mod/x":         "",
		"vendor/v/v.go":            "",
		"b/c/go.mod":               "module example.com/m/b/c\n\nrequire example.com/m v0.1.0\n",
		"b/c/c.go":                 "package c",
		"b/b.go":                   "package b",
		"licensed/go.mod":          "module example.com/m/licensed\n",
		"licensed/LICENSE":         "another",
		"licensed/deeper/go.mod":   "module example.com/m/licensed/deeper\n",
		"licensed/deeper/deep.txt": "",
	})
	require.NoError(t, os.Symlink("m.go", filepath.Join(root, "link.go")))
	out := t.TempDir()
	require.NoError(t, modproxy.Write(out, root, "v0.1.0"))

	require.Equal(t, []string{
		"example.com/m@v0.1.0/.ci/run",
		"example.com/m@v0.1.0/LICENSE",
		"example.com/m@v0.1.0/a/testdata/x",
		"example.com/m@v0.1.0/b/b.go",
		"example.com/m@v0.1.0/go.mod",
		"example.com/m@v0.1.0/m.go",
	}, packed(t, filepath.Join(out, "example.com/m/@v/v0.1.0.zip")))
	require.Equal(t, []string{
		"example.com/m/b/c@v0.1.0/LICENSE",
		"example.com/m/b/c@v0.1.0/c.go",
		"example.com/m/b/c@v0.1.0/go.mod",
	}, packed(t, filepath.Join(out, "example.com/m/b/c/@v/v0.1.0.zip")))
	require.Equal(t, []string{
		"example.com/m/licensed@v0.1.0/LICENSE",
		"example.com/m/licensed@v0.1.0/go.mod",
	}, packed(t, filepath.Join(out, "example.com/m/licensed/@v/v0.1.0.zip")))

	mod, err := os.ReadFile(filepath.Join(out, "example.com/m/b/c/@v/v0.1.0.mod"))
	require.NoError(t, err)
	require.Equal(t, "module example.com/m/b/c\n\nrequire example.com/m v0.1.0\n", string(mod))
	require.NoDirExists(t, filepath.Join(out, "example.com/elsewhere"))
}

func TestVersionsThatCannotBeReleasedAreRefused(t *testing.T) {
	root := tree(t, map[string]string{"go.mod": "module example.com/m\n"})
	for _, version := range []string{"0.1.0", "v0.1", "v2.0.0", "v0.1.0 ", "v0.1.0/../../x", ""} {
		require.ErrorContains(t, modproxy.Write(t.TempDir(), root, version), "version", "%q", version)
	}
	for _, version := range []string{"v0.1.0", "v1.20.3", "v1.0.0-rc.1"} {
		require.NoError(t, modproxy.Write(t.TempDir(), root, version))
	}
}

func TestAProxyBelowItsRootIsRefused(t *testing.T) {
	root := tree(t, map[string]string{"go.mod": "module example.com/m\n"})
	require.ErrorContains(t, modproxy.Write(root, root, "v0.1.0"), "below")
	require.ErrorContains(t, modproxy.Write(filepath.Join(root, "a", "b"), root, "v0.1.0"), "below")
}

func TestAFolderWithoutAModuleIsAnError(t *testing.T) {
	require.ErrorContains(t, modproxy.Write(t.TempDir(), t.TempDir(), "v0.1.0"), "go.mod")
	require.ErrorContains(t, modproxy.Write(t.TempDir(), tree(t, map[string]string{"go.mod": "go 1.25\n"}), "v0.1.0"), "no module line")
	require.ErrorContains(t, modproxy.Write(t.TempDir(), tree(t, map[string]string{"go.mod": "module example.com/M\n"}), "v0.1.0"), "capitals")
}
