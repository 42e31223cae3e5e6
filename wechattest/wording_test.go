package wechattest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechat"
	"github.com/wetoken/wetoken/wechattest"
)

func TestEveryCodeWithANameHasAText(t *testing.T) {
	codes := []int{40035, 43003, 47003, 50002, 87007, 87008, 87009, 89501, 89506, 89507}
	for code := -1; code < 100_000; code++ {
		if code != 0 && !strings.HasPrefix(wechat.Code(code).Error(), "wechat: errcode") {
			codes = append(codes, code)
		}
	}
	require.Greater(t, len(codes), 40)

	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work})
	for _, code := range codes {
		wx.AddFault(wechattest.Fault{Code: code, Times: 2})
		a := get(t, wx, classicURL("wx1", "s1"))
		require.Equal(t, code, a.Code)
		require.NotRegexp(t, "^error", a.Msg, "%d", code)
		require.Regexp(t, `[^ ] rid: [0-9a-f-]+$`, a.Msg, "%d", code)

		a = get(t, wx, workURL("ww1", "s1"))
		require.Equal(t, code, a.Code)
		require.Regexp(t, `[^ ,], hint: \[`, a.Msg, "%d", code)
	}
}
