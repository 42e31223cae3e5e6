package field_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/field"
)

// visible are names that people tell apart, and invisible those that look like another one.
var (
	visible   = []string{"shop", "小店", "𠮷野家", "shop 2", "é", "e\u0301", "店·二", "a  b", "🧦", "\u33ff"}
	invisible = []string{
		" shop", "shop ", "小店\u3000", "\u3000小店", "小\u3000店", "sh\u00a0op", "sh\u2009op", "shop\u200b", "sh\u200bop", "sh\u200dop", "sh\u2060op", "\ufeffshop",
		"\u202epohs", "sh\u2066op\u2069", "sh\u061cop", "sh\u00adop", "sh\u2028op", "sh\u2029op", "sh\nop", "sh\x00op", "sh\x7fop", "sh\u0085op", "sh\U000e0041op", "shop\u3164", "sh\u115fop", "sh\xffop",
	}
)

func TestANameHasOnlyVisibleCharacters(t *testing.T) {
	for _, name := range visible {
		require.NoError(t, field.CheckVisible(name), "%q", name)
	}
	for _, name := range invisible {
		err := field.CheckVisible(name)
		require.Error(t, err, "%q", name)
		require.NotContains(t, err.Error(), name)
	}
	require.EqualError(t, field.CheckVisible("a\u202eb"), "has the invisible character U+202E: remove it")
}

func TestANameIsPrintedAsItIsIfItIsSafe(t *testing.T) {
	for _, name := range []string{"shop", "小店", "𠮷野家", "*", "platform:x"} {
		require.Equal(t, name, field.Quote(name))
	}
	for name, want := range map[string]string{
		"": `""`, "a b": `"a b"`, "a,b": `"a,b"`, `a"b`: `"a\"b"`, "小\u200b店": `"小\u200b店"`, "\u202ea": `"\u202ea"`, "a\nb": `"a\nb"`, "\xff": `"\xff"`, "a\x1b[2J": `"a\x1b[2J"`,
	} {
		require.Equal(t, want, field.Quote(name))
	}
}
