package token_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestExpiresInIsDecodedInAnyFormAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []method{stable, classic, work} {
			for _, written := range []string{`7200`, `"7200"`, `7200.0`, `"7200.0"`, `7.2e3`} {
				w := newWorld(mode)
				w.wx.AddFault(wechattest.Fault{Body: "\ufeff{\"access_token\":\"t\",\"expires_in\":" + written + ",\"note\":\"\x14\"}"})
				got, err := w.manager().Token(t.Context())
				require.NoError(t, err, "%s %s", mode, written)
				require.Equal(t, wechat.Credential{Value: "t", Expires: time.Now().Add(2 * time.Hour)}, got, "%s %s", mode, written)
			}
			for written, says := range map[string]string{
				`0`: "expires_in is 0", `"0"`: "expires_in is 0", `0.9`: "expires_in is 0", `""`: "expires_in is 0", `null`: "expires_in is 0",
				`-7200`: "expires_in is -7200", `"-7200"`: "expires_in is -7200", `2678401`: "expires_in is 2678401", `"9223372036854775807"`: "expires_in is 9223372036854775807",
				`1e300`: "expires_in", `"1e300"`: "expires_in", `"NaN"`: "expires_in", `"Infinity"`: "expires_in", `true`: "expires_in", `[7200]`: "expires_in",
			} {
				w := newWorld(mode)
				w.wx.AddFault(wechattest.Fault{Body: `{"access_token":"t","expires_in":` + written + `}`})
				_, err := w.manager().Token(t.Context())
				require.ErrorContains(t, err, says, "%s %s", mode, written)
			}
		}
	})
}
