package wechattest_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

// The player of WeChat must not share a mistake with the code that it tests.
func TestNothingOfThisModuleIsImportedFromOutside(t *testing.T) {
	const module, own = "github.com/wetoken/wetoken", "github.com/wetoken/wetoken/wechattest"
	seen := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		seen++
		for _, spec := range file.Imports {
			name := strings.Trim(spec.Path.Value, `"`)
			if name == module || strings.HasPrefix(name, module+"/") {
				require.True(t, name == own || strings.HasPrefix(name, own+"/"), "%s imports %s", path, name)
			}
		}
		return nil
	}))
	require.Greater(t, seen, 30)
}

func TestTheDocumentationListsTheControlCalls(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var listed []string
	for _, line := range regexp.MustCompile(`(GET|POST) +/_wechattest/([a-z_/]+)(?:, ([a-z_]+))?`).FindAllStringSubmatch(string(doc), -1) {
		listed = append(listed, line[1]+" "+line[2])
		if line[3] != "" {
			listed = append(listed, line[1]+" "+line[3])
		}
	}
	slices.Sort(listed)
	require.Equal(t, wechattest.ControlCalls(), listed)
}
