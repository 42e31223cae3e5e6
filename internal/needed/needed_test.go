package needed_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/needed"
)

// noted is a test that records how it would have ended.
type noted struct {
	testing.TB
	end string
}

func (n *noted) Helper()               {}
func (n *noted) Skipf(string, ...any)  { n.end = "skipped" }
func (n *noted) Fatalf(string, ...any) { n.end = "failed" }

func TestAddressSkipsUnlessEachServiceIsRequired(t *testing.T) {
	const env = "NEEDED_TEST"
	reach := func(address string) error {
		if address == "there" {
			return nil
		}
		return errors.New("no")
	}
	for _, c := range []struct{ set, def, require, address, end string }{
		{"", "there", "", "there", ""},
		{"there", "elsewhere", "1", "there", ""},
		{"", "elsewhere", "", "elsewhere", "skipped"},
		{"elsewhere", "there", "", "elsewhere", "skipped"},
		{"elsewhere", "there", "1", "elsewhere", "failed"},
	} {
		t.Setenv(env, c.set)
		t.Setenv("WETOKEN_TEST_REQUIRE", c.require)
		n := &noted{TB: t}
		require.Equal(t, c.address, needed.Address(n, env, c.def, reach))
		require.Equal(t, c.end, n.end)
	}
}
