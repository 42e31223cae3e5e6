// Package testform selects the tests to run. The short form, the default, leaves out tests that start many processes,
// install programs or use a browser. With WETOKEN_TEST_FULL=1 in the environment all tests run, and with WETOKEN_TEST_LONG=1
// those that repeat what they test do so many times more.
package testform

import (
	"os"
	"testing"
)

// Full reports whether tests run in full.
func Full() bool { return os.Getenv("WETOKEN_TEST_FULL") == "1" }

// Long reports whether the tests that repeat what they test take the time for many repetitions.
func Long() bool { return os.Getenv("WETOKEN_TEST_LONG") == "1" }

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
