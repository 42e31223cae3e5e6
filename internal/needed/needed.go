// Package needed finds the programs and services that tests run against.
package needed

import (
	"os"
	"testing"
)

// Address returns the address of something a test cannot do without: the environment variable env, or def where that is
// unset. When reach reports that it is not there, the test is skipped, naming env; with WETOKEN_TEST_REQUIRE=1 in the
// environment it fails instead, so that a machine meant to have everything cannot pass by skipping.
func Address(t testing.TB, env, def string, reach func(address string) error) string {
	t.Helper()
	address := os.Getenv(env)
	if address == "" {
		address = def
	}
	err := reach(address)
	switch {
	case err == nil:
	case os.Getenv("WETOKEN_TEST_REQUIRE") == "1":
		t.Fatalf("needed: not there (set %s): %v", env, err)
	default:
		t.Skipf("needed: SKIPPED, not there (set %s): %v", env, err)
	}
	return address
}
