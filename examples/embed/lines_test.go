package main_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// line is the command of the READMEs.
const line = "go run ./examples/embed"

func TestOneShortFileAddsWeChatToTheBookshop(t *testing.T) {
	for name, imports := range map[string]bool{"wechat.go": true, "app.go": false, "page.go": false, "db.go": false} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, imports, strings.Contains(string(text), `"github.com/wetoken/`), name)
		if imports {
			require.Less(t, strings.Count(string(text), "\n"), 80, name)
		}
	}
}

func TestTheREADMEsHaveTheCommand(t *testing.T) {
	for _, name := range []string{"../../README.md", "../../README.zh-CN.md", "../README.md", "../README.zh-CN.md"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.True(t, strings.Contains(string(text), line), name)
	}
}
