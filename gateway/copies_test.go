package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/outbox"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/wechattest/push"
)

// scanCounter counts the scans of a store.
type scanCounter struct {
	store.Store
	scans atomic.Int32
}

func (s *scanCounter) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	s.scans.Add(1)
	return s.Store.Keys(ctx, prefix)
}

func TestTwoThousandIdleAppsWithCopiesAreOneScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config()
		for i := range 2000 {
			c.Apps[fmt.Sprint("app", i)] = gateway.App{AppID: fmt.Sprintf("wx%016d", i), Secret: secret, SignKey: "a-sign-key",
				Message: &gateway.Message{Token: tokenOf, Forward: []gateway.Forward{{URL: "http://127.0.0.1:1/"}}}}
		}
		s := &scanCounter{Store: new(store.Memory)}
		g, err := gateway.New(gateway.Options{Config: c, Store: s, HTTP: newWeChat().Client(), Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, g.Run(ctx), context.DeadlineExceeded)
		require.LessOrEqual(t, s.scans.Load(), int32(22), "one in three seconds, however many apps there are")
	})
}

// appWithCopies returns an app that copies messages to url.
func appWithCopies(url, key string) gateway.App {
	return gateway.App{AppID: shopID, Secret: secret, SignKey: key,
		Message: &gateway.Message{Token: tokenOf, AESKey: aesKeyOf, Forward: []gateway.Forward{{URL: url}}}}
}

func TestACopyOfOneAppIsDeliveredAsThatAppAndAForgedOneIsNot(t *testing.T) {
	arrived := make(chan string, 16)
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		arrived <- r.URL.Path + " " + r.Header.Get("Wetoken-Signature") + " " + string(b)
	}))
	defer crm.Close()
	c := config()
	c.Apps["shop"] = appWithCopies(crm.URL+"/shop", "the-key-of-shop")
	c.Apps["open"] = appWithCopies(crm.URL+"/open", "")
	c.Apps["corp2"] = appWithCopies(crm.URL+"/corp2", "the-key-of-corp2")
	s, log := new(store.Memory), new(bytes.Buffer)
	g, err := gateway.New(gateway.Options{Config: c, Store: s, HTTP: newWeChat().Client(), Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	public := httptest.NewServer(g.Public())
	defer public.Close()

	wx := push.Callback{AppID: shopID, URL: public.URL + "/app/shop/message", Token: tokenOf, EncodingAESKey: aesKeyOf}
	_, err = wx.Push(t.Context(), push.Message{Content: "hello"})
	require.NoError(t, err)
	forged := &outbox.Outbox{Store: s, Prefix: "outbox/", Keys: func(string) ([]string, error) { return []string{"the-key-of-corp2"}, nil }}
	for i, item := range []outbox.Item{
		{App: "shop", Target: crm.URL + "/forged"},
		{App: "shop", Target: crm.URL + "/shop"},
		{App: "open", Target: crm.URL + "/forged"},
	} {
		item.ID, item.Body = fmt.Sprint("forged", i), []byte("<xml/>")
		require.NoError(t, forged.Add(t.Context(), item))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	one := <-arrived
	require.Regexp(t, `^/shop t=\d+,v1=[0-9a-f]{64} <xml>`, one)
	require.Contains(t, one, "hello")
	require.Eventually(t, func() bool {
		for range s.Keys(t.Context(), "outbox/") {
			return false
		}
		return true
	}, 30*time.Second, 10*time.Millisecond, "what is refused is gone")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Empty(t, arrived)
	require.Equal(t, 3, strings.Count(log.String(), "dropped an item of app"), log)
}

func TestForwardsWithoutASignKeyLogAWarning(t *testing.T) {
	for key, warned := range map[string]bool{"": true, "a-sign-key": false} {
		c, log := config(), new(bytes.Buffer)
		c.Apps["shop"] = appWithCopies("http://crm/", key)
		_, err := gateway.New(gateway.Options{Config: c, Store: new(store.Memory), Log: slog.New(slog.NewTextHandler(log, nil))})
		require.NoError(t, err)
		require.Equal(t, warned, strings.Contains(log.String(), "set sign_key"), log)
		if warned {
			require.Equal(t, 1, strings.Count(log.String(), "set sign_key\" app=shop"), "%s", log)
		}
	}
}
