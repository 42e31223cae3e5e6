package field_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/field"
)

func TestABlankAroundAValueIsFound(t *testing.T) {
	for _, value := range []string{" x", "x ", "x\n", "x\r\n", "\tx", "\u00a0x", "x\u3000", "\ufeffx", "x\u200b", "x\x00", " "} {
		require.ErrorIs(t, field.CheckBlanks(value), field.ErrBlank, "%q", value)
	}
	for _, value := range []string{"", "x", "a b", "密钥", "a\nb", "\xff"} {
		require.NoError(t, field.CheckBlanks(value), "%q", value)
	}
}

func TestAnUnexpectedValueIsNamed(t *testing.T) {
	require.NoError(t, field.CheckOneOf("a", "a", "b"))
	require.EqualError(t, field.CheckOneOf("x", "a", "b", "c"), `is "x": want a, b or c`)
	require.EqualError(t, field.CheckOneOf("", "a", "b"), `is "": want a or b`)
	require.EqualError(t, field.CheckOneOf(strings.Repeat("x", 100), "a", "b"), `is "`+strings.Repeat("x", 20)+`": want a or b`)
}
