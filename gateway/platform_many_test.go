package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest"
)

// A platform with many accounts registers all of them from WeChat's list, serves each from its record, and closes one without reading
// the others. With WETOKEN_TEST_LONG=1 there are 100 000.
func TestAPlatformHasManyAccounts(t *testing.T) {
	accounts := 600
	if testform.Long() {
		accounts = 100_000
	}
	w := newPlatformWorld(t, func(o *gateway.Options) { o.Config.ResidentApps, o.RegisterUnsealed = 2000, true })
	w.records, w.gateways = new(store.Memory), nil
	w.start(t)
	w.pushTicket(t)
	w.setPlatform(func(p *wechattest.Platform) { p.Handler, p.EventURL = nil, "" })
	token := serveComponentToken(t, w)
	id := func(i int) string { return fmt.Sprintf("wx%016x", i) }
	for i := range accounts {
		w.wx.AddApp(id(i), "s")
		code, err := w.wx.Authorize(t.Context(), platformID, id(i))
		require.NoError(t, err)
		exchangeCode(t, w, token, code) // so that WeChat lists its refresh token
	}
	begin := time.Now()
	n := 0
	for c, err := range w.gateways[0].SyncPlatform(t.Context(), "saas", true) {
		require.NoError(t, err)
		require.NoError(t, c.Err)
		n++
	}
	require.Equal(t, 2*accounts, n, "recover and register, for each")
	t.Logf("%d accounts registered in %s", accounts, time.Since(begin).Round(time.Millisecond))
	require.Equal(t, (accounts+499)/500, w.wx.Calls("/cgi-bin/component/api_get_authorizer_list"))

	begin = time.Now()
	const reads = 1000
	var all sync.WaitGroup
	picked := make(chan int)
	for range 8 {
		all.Go(func() {
			for i := range picked {
				r := askAdmin(t, w.gateways[0], platformKey, "GET", "/app/"+id(i)+"/token", "", nil)
				if r.Code != http.StatusOK {
					t.Error(id(i), r.Code, r.Body)
				}
			}
		})
	}
	for range reads {
		picked <- rand.IntN(accounts)
	}
	close(picked)
	all.Wait()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d tokens of random accounts in %s; heap with the simulated WeChat %d MiB", reads, time.Since(begin).Round(time.Millisecond), m.HeapAlloc>>20)
	require.LessOrEqual(t, w.wx.Calls("/cgi-bin/component/api_authorizer_token"), reads)
	require.Equal(t, 1, w.wx.Calls("/cgi-bin/component/api_component_token")-1, "one of the test, one of the gateway")

	w.setPlatform(nil)
	result, err := w.wx.Unauthorize(t.Context(), platformID, id(7))
	require.NoError(t, err)
	require.Empty(t, result.Fault)
	status, a := w.token(t, w.gateways[0], id(7), platformKey)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, 61003, a.Code)
	status, _ = w.token(t, w.gateways[0], id(8), platformKey)
	require.Equal(t, http.StatusOK, status)
}
