package field_test

import (
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
