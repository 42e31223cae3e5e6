package testform_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/testform"
)

// recorder is a test that records how it ended.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper()      {}
func (r *recorder) Fatal(...any) { r.ended = "failed" }
func (r *recorder) Skip(...any)  { r.ended = "skipped" }

func TestNeedFullSkipsInTheShortFormAndFailsIfRequired(t *testing.T) {
	for _, c := range []struct{ full, require, ended string }{
		{"", "", "skipped"},
		{"0", "", "skipped"},
		{"", "1", "failed"},
		{"1", "", ""},
		{"1", "1", ""},
	} {
		t.Setenv("WETOKEN_TEST_FULL", c.full)
		t.Setenv("WETOKEN_TEST_REQUIRE", c.require)
		r := new(recorder)
		testform.NeedFull(r)
		require.Equal(t, c.ended, r.ended, "%+v", c)
		require.Equal(t, c.full == "1", testform.Full())
	}
}
