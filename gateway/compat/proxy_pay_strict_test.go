package compat_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHeadPlacesNoOrder(t *testing.T) {
	d := openDesk(t)
	d.ask(nil, input{method: http.MethodHead, path: "/app/小店/pay?fee=1"})
	require.Empty(t, d.pay.Orders(oldMchID))
}

func TestQRCodeIsNotForSharedCaches(t *testing.T) {
	d := openDesk(t)
	got := d.ask(nil, input{path: "/app/小店/pay/qrcode?fee=1"})
	require.Equal(t, http.StatusOK, got.status)
	require.NotEmpty(t, got.header.Get("Set-Cookie"))
	require.Contains(t, got.header.Get("Cache-Control"), "private")
}

func TestAnOrderOfALinkEndsWithTheLink(t *testing.T) {
	d := openDesk(t)
	link := d.link("shop", `{"fee":500,"expires_at":"`+time.Now().Add(5*time.Minute).Format(time.RFC3339)+`"}`)
	d.scanned(d.ask(nil, input{path: "/app/shop/pay?" + link}))
	end, err := time.ParseInLocation("20060102150405", d.lastSent()["time_expire"], time.FixedZone("", 8*3600))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(5*time.Minute), end, time.Minute)
}

func TestRefusedOrdersTakeNoSlots(t *testing.T) {
	d := openDesk(t)
	browser := jar(t)
	d.ask(browser, input{path: "/app/小店/pay?fee=0"})
	d.scanned(d.ask(browser, input{path: "/app/小店/pay?fee=1"}))
	for range 6 {
		got := d.ask(browser, input{path: "/app/小店/pay?fee=2&call=evil.example.net/x"})
		require.NotEqual(t, http.StatusOK, got.status)
	}
	got := d.ask(browser, input{path: "/app/小店/pay?fee=3"})
	require.Equal(t, http.StatusOK, got.status, got.text)
}

func TestALinkOfAnotherAppOrChangedIsRefused(t *testing.T) {
	d := openDesk(t)
	link := d.link("shop", `{"fee":500}`)
	for _, q := range []string{link[:len(link)-1], link + "A", link + "=", link + ".", strings.Replace(link, "link=ey", "link=eX", 1)} {
		got := d.ask(nil, input{path: "/app/shop/pay?" + q})
		require.Equal(t, 403, got.status, "%s %s", q, got.text)
	}
	require.Equal(t, 403, d.ask(nil, input{path: "/app/小店/pay?" + link}).status)
	require.Equal(t, 403, d.ask(nil, input{path: "/app/modern/pay?" + link}).status)
}
