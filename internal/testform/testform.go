// Package testform decides which tests run. By default they run in a short form, which leaves out those that start many
// processes, install programs or drive a browser. With WETOKEN_TEST_FULL=1 in the environment they run in full.
package testform

import (
	"os"
	"testing"
)

// Full reports whether tests run in full.
func Full() bool { return os.Getenv("WETOKEN_TEST_FULL") == "1" }

// NeedFull skips a test that is not part of the short form. With WETOKEN_TEST_REQUIRE=1 in the environment it fails the
// test instead, so that a machine on which every test must run cannot pass by skipping.
func NeedFull(t testing.TB) {
	t.Helper()
	switch {
	case Full():
	case os.Getenv("WETOKEN_TEST_REQUIRE") == "1":
		t.Fatal("WETOKEN_TEST_REQUIRE is 1, but this test needs WETOKEN_TEST_FULL=1 too")
	default:
		t.Skip("SKIPPED: this test needs WETOKEN_TEST_FULL=1")
	}
}
