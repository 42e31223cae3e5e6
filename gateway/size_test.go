package gateway_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store"
)

// heapNow returns the bytes in use.
func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// residentSize returns the bytes that a process needs for each registered app that was used once, without what the stores hold.
func residentSize(t *testing.T, apps int, use func(g *gateway.Gateway, name string), change func(*gateway.App)) int64 {
	wx, records, tokens := newWeChat(), newSealed(t, new(store.Memory)), new(store.Memory)
	options := gateway.Options{Config: config(), Records: records, Store: tokens, HTTP: wx.Client(), Log: slog.New(slog.DiscardHandler)}
	writer, err := gateway.New(options)
	require.NoError(t, err)
	for i := range apps {
		register(t, writer, wx, i, change)
	}
	g, err := gateway.New(options)
	require.NoError(t, err)
	use(g, "app0")
	before := heapNow()
	for i := range apps {
		use(g, fmt.Sprint("app", i))
	}
	with := heapNow()
	runtime.KeepAlive(g)
	g = nil
	without := heapNow()
	runtime.KeepAlive(writer)
	t.Logf("%d bytes grown, %d of them held by the gateway", (with-before)/int64(apps), (with-without)/int64(apps))
	return (with - without) / int64(apps)
}

func TestAResidentAppIsSmall(t *testing.T) {
	apps := 300
	if testform.Full() {
		apps = 1000
	}
	token := func(g *gateway.Gateway, name string) {
		status, a := tokenStatus(t, g, name)
		require.Equal(t, http.StatusOK, status, a.Msg)
	}
	plain := residentSize(t, apps, token, func(*gateway.App) {})
	full := residentSize(t, apps, token, func(a *gateway.App) {
		a.Message, a.SignKey = &gateway.Message{Token: tokenOf, AESKey: aesKeyOf, Mode: "secure"}, "a-sign-key-of-this-test"
	})
	t.Logf("%d bytes for an app that was used for its token, %d with callbacks", plain, full)
	require.Less(t, plain, int64(8000))
	require.Less(t, full, int64(8000))
}
