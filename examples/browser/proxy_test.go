package browser_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/gateway/compat"
	"github.com/wetoken/wetoken/internal/testform"
	"github.com/wetoken/wetoken/internal/webdriver"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/paytest"
)

const oldAppID = "wx0123456789abcdef"

// startProxy serves the example pages of wechat-proxy, and returns the URLs of the pages and of the phone. What /echo gets is sent to
// told.
func startProxy(t *testing.T, told chan map[string]any) (at, phone string) {
	t.Helper()
	world := new(paytest.Server)
	t.Cleanup(world.Close)
	pages := httptest.NewServer(world)
	t.Cleanup(pages.Close)
	public := httptest.NewUnstartedServer(nil)
	at = "http://" + public.Listener.Addr().String()
	m := world.AddMerchant(paytest.Merchant{MchID: "1900000001", Name: "老店", AppIDs: []string{oldAppID}})
	o := gateway.Options{
		Config: gateway.Config{
			PublicURL: at, Endpoints: gateway.Endpoints{Pay: pages.URL, Script: pages.URL},
			Keys:      []gateway.Key{{Name: "shop", Key: rand.Text(), Apps: []string{"*"}, Scopes: []string{"pay"}}},
			Merchants: map[string]gateway.Merchant{"m": {MchID: m.MchID, V2: &gateway.APIv2{APIKey: m.APIKey, SignType: "MD5"}}},
			Apps: map[string]gateway.App{"老店": {
				AppID: oldAppID, Secret: rand.Text(), SignKey: rand.Text(), Pay: &gateway.Pay{Merchant: "m"}, OpenPay: gateway.OpenPay{MaxFen: 100},
			}},
			Compat: gateway.Compat{Systems: []string{gateway.CompatProxy}, Examples: true},
		},
		Store: new(store.Memory), Records: new(store.Memory), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		PublicFallback: []func(*gateway.Gateway) http.Handler{func(*gateway.Gateway) http.Handler {
			echo := http.NewServeMux()
			echo.HandleFunc("POST /echo", func(_ http.ResponseWriter, r *http.Request) {
				var report map[string]any
				_ = json.NewDecoder(r.Body).Decode(&report)
				told <- report
			})
			return echo
		}},
	}
	o.PublicFallback = append(o.PublicFallback, compat.Public(o.Config.Compat)...)
	g, err := gateway.New(o)
	require.NoError(t, err)
	public.Config.Handler = g.Public()
	public.Start()
	t.Cleanup(public.Close)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return at, pages.URL
}

// requireTold waits until /echo gets the report of a payment, as flat strings.
func requireTold(t *testing.T, told chan map[string]any, trade string) {
	t.Helper()
	select {
	case report := <-told:
		require.Equal(t, "SUCCESS", report["result_code"], report)
		require.Equal(t, "100", report["total_fee"])
		require.Equal(t, trade, report["trade_type"])
		require.Equal(t, oldAppID, report["appid"])
	case <-time.After(30 * time.Second):
		t.Fatal("/echo was not told")
	}
}

func TestARealBrowserShowsTheCodeOfAnOldPageAndAPhonePaysIt(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	told := make(chan map[string]any, 10)
	at, phone := startProxy(t, told)
	screen, hand := d.Desktop(t), d.Tab(t)

	screen.Open(at + "/example/qrcode?app=%E8%80%81%E5%BA%97&fee=100&name=socks")
	screen.RunAsync(`var done = arguments[0], code = document.getElementById("code");
		if (code.complete && code.naturalWidth) done(); else code.onload = function () { done(); };`, nil)
	var width float64
	screen.Run(`return document.getElementById("code").naturalWidth`, &width)
	require.EqualValues(t, 256, width)
	code := scan(t, screen.Screenshot())
	require.Contains(t, code, "weixin://wxpay/bizpayurl?pr=")

	hand.Open(phone + "/phone")
	hand.Type("#what", code)
	hand.Click("#open")
	require.Equal(t, "老店", hand.Text("#shop"))
	require.Equal(t, "¥1.00", hand.Text("#amount"))
	require.Equal(t, "socks", hand.Text(".goods"))
	hand.Click("#pay")
	require.Equal(t, "支付成功", hand.Text("#state[data-state=paid]"))
	screen.FindText("已支付")
	requireTold(t, told, "NATIVE")
}

func TestARealBrowserPaysInAnOldPage(t *testing.T) {
	testform.NeedFull(t)
	d := webdriver.Start(t)
	told := make(chan map[string]any, 10)
	at, _ := startProxy(t, told)
	hand := d.Tab(t)

	hand.Open(at + "/example/jsapi?app=%E8%80%81%E5%BA%97&fee=100&name=socks&openid=o1")
	requireFits(t, hand)
	answer := func(button string) {
		hand.Click("#pay")
		hand.EnterFrame("#paytest-sheet")
		require.Equal(t, "¥1.00", hand.Text("#amount"))
		hand.Click(button)
		hand.LeaveFrame()
	}
	answer("#cancel")
	hand.FindText("get_brand_wcpay_request:cancel")
	answer("#pay")
	hand.FindText("已支付")
	requireTold(t, told, "JSAPI")
}
