package docs_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePagesOnPaymentsShowProgramsThatAreTested(t *testing.T) {
	tested, err := os.ReadFile("../pay/payv3/snippets_test.go")
	require.NoError(t, err)
	more, err := os.ReadFile("../pay/payv2/snippets_test.go")
	require.NoError(t, err)
	tested = append(tested, more...)
	for name, page := range read(t, "pay") {
		parts := strings.Split(page, "\n```go\n")
		require.Equal(t, 13, len(parts), name)
		for _, part := range parts[2:] { // the first is the beginning of a program
			code, _, ok := strings.Cut(part, "```")
			require.True(t, ok, name)
			require.True(t, strings.Contains(string(tested), code), "%s shows a program that is not tested:\n%s", name, code)
		}
	}
}
