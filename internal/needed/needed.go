// Package needed finds the programs and services that tests need.
package needed

import (
	"os"
	"testing"
)

// Address returns the address of a service that a test needs: the environment variable env, or def if env is unset. If
// reach returns an error, the test is skipped, and the message names env. With WETOKEN_TEST_REQUIRE=1 in the
// environment the test fails instead, so that a machine with all services cannot pass by skipping.
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
