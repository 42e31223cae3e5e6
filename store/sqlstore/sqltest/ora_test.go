package sqltest

import (
	"os"
	"regexp"
	"strings"
	"testing"

	goora "github.com/sijms/go-ora/v2"
	"github.com/stretchr/testify/require"
)

// TestOracleStatementsAreParsedByTheDriver tests without a server: the driver classifies each statement of sqlstore's
// golden file, and encodes its arguments.
func TestOracleStatementsAreParsedByTheDriver(t *testing.T) {
	golden, err := os.ReadFile("../testdata/oracle.golden")
	require.NoError(t, err)
	binds := regexp.MustCompile(`:[0-9]+`)
	connection := &goora.Connection{State: goora.Opened}
	statements := 0
	for line := range strings.Lines(string(golden)) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "--") || strings.HasPrefix(line, " ") {
			continue
		}
		statements++
		require.NotContains(t, line, "?")
		require.NotContains(t, line, ";")
		for i, bind := range binds.FindAllString(line, -1) {
			require.Equal(t, byte('1'+i), bind[1], "binds are counted from 1 in their order: %s", line)
		}
		stmt := goora.NewStmt(line, connection)
		require.Equal(t, -1, stmt.NumInput())
		for _, value := range []any{[]byte("key"), []byte{}, make([]byte, 40000), int64(1 << 62), int64(0)} {
			parameter, err := stmt.NewParam("", value, 0, goora.Input)
			require.NoError(t, err)
			switch value := value.(type) {
			case []byte:
				require.Contains(t, []goora.TNSType{goora.RAW, goora.LongRaw}, parameter.DataType)
				require.Equal(t, len(value), len(parameter.BValue))
			default:
				require.Equal(t, goora.NUMBER, parameter.DataType)
				require.NotEmpty(t, parameter.BValue)
			}
		}
	}
	require.Greater(t, statements, 15)
}
