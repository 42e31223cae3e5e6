package ticket_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestExpiresInIsDecodedInAnyFormAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for written, says := range map[string]string{
			`7200`: "", `"7200"`: "", `7200.0`: "", `"7200.0"`: "",
			`0`: "expires_in is 0", `"0"`: "expires_in is 0", `"-1"`: "expires_in is -1", `"2678401"`: "expires_in is 2678401", `"NaN"`: "expires_in", `1e300`: "expires_in",
		} {
			wx := new(wechattest.Server)
			wx.AddApp(appID, secret)
			wx.AddFault(wechattest.Fault{Path: getPath, Body: "\ufeff{\"errcode\":\"0\",\"errmsg\":\"o\x14k\",\"ticket\":\"t\",\"expires_in\":" + written + "}"})
			got, err := newOfficial(wx, new(store.Memory)).Ticket(t.Context(), ticket.JSAPI)
			if says != "" {
				require.ErrorContains(t, err, says, written)
				continue
			}
			require.NoError(t, err, written)
			require.Equal(t, wechat.Credential{Value: "t", Expires: time.Now().Add(2 * time.Hour)}, got, written)
		}
	})
}
