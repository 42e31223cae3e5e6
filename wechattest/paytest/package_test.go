package paytest_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// The simulator must not share a mistake with the code that it tests.
func TestOnlyTheStandardLibraryIsImported(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			require.NotContains(t, spec.Path.Value, ".", "%s imports %s", name, spec.Path.Value)
		}
	}
}

func TestTheDocumentationListsTheControlCalls(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var listed []string
	for _, line := range regexp.MustCompile(`(GET|POST) +/_paytest/([a-z0-9_]+)`).FindAllStringSubmatch(string(doc), -1) {
		listed = append(listed, line[1]+" "+line[2])
	}
	slices.Sort(listed)
	require.Equal(t, paytest.ControlCalls(), listed)
}
