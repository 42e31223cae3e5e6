package wechattest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

func TestClientGivesUpWithItsContext(t *testing.T) {
	wx := new(wechattest.Server)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, classicURL("wx1", "s1"), nil)
	require.NoError(t, err)
	_, err = wx.Client().Do(r)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 0, wx.Calls(tokenPath))
}

func TestClientGivesUpOnABodyThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		reader, writer := io.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, stableURL, reader)
		require.NoError(t, err)
		_, err = wx.Client().Do(r)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = writer.Write([]byte("late"))
		require.Error(t, err, "the body was closed")
		require.Equal(t, 0, wx.Calls("/cgi-bin/stable_token"))
	})
}

func TestClientReportsABodyThatCannotBeRead(t *testing.T) {
	wx := new(wechattest.Server)
	_, err := wx.Client().Post(stableURL, "", io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrNoProgress)))
	require.ErrorIs(t, err, io.ErrNoProgress)
	require.Equal(t, 0, wx.Calls("/cgi-bin/stable_token"))
}

func TestClientTimeoutEndsAHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddFault(wechattest.Fault{Hang: true})
		client := wx.Client()
		client.Timeout = 3 * time.Second
		_, err := client.Get(classicURL("wx1", "s1"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestAnswersLookLikeThoseOfASocket(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	web := httptest.NewServer(wx)
	defer web.Close()
	for _, path := range []string{tokenPath, "/cgi-bin/stable_token", "/nowhere"} {
		mem, err := wx.Client().Get(api + path)
		require.NoError(t, err)
		real, err := http.Get(web.URL + path)
		require.NoError(t, err)
		require.Equal(t, real.Status, mem.Status)
		require.Equal(t, real.Header.Get("Content-Type"), mem.Header.Get("Content-Type"))
		require.Equal(t, real.ContentLength, mem.ContentLength)
		require.NoError(t, mem.Body.Close())
		require.NoError(t, real.Body.Close())
	}
}

func TestHostsSeeTheirOwnPathsOnly(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work})
	for target, want := range map[string][2]int{
		strings.Replace(classicURL("wx1", "s1"), "api.", "api2.", 1):           {200, 0},
		strings.Replace(classicURL("wx1", "s1"), "api.", "qyapi.", 1):          {200, 40066},
		strings.Replace(workURL("ww1", "s1"), "qyapi.", "api.", 1):             {200, 40066},
		strings.Replace(workURL("ww1", "s1"), "qyapi.", "mp.", 1):              {200, 40066},
		"http://127.0.0.1:1/cgi-bin/nowhere":                                   {200, 40066},
		"https://shop.example.com/cgi-bin/nowhere":                             {200, 40066},
		api + "/cgi-bin/nowhere":                                               {200, 40066},
		work + "/cgi-bin/nowhere":                                              {200, 40066},
		api + "/_wechattest/calls":                                             {200, 40066},
		work + "/_wechattest/calls":                                            {200, 40066},
		"https://API.weixin.qq.com:443/_wechattest/calls":                      {200, 40066},
		strings.Replace(classicURL("wx1", "s1"), api, "http://127.0.0.1:1", 1): {200, 0},
		strings.Replace(workURL("ww1", "s1"), work, "http://127.0.0.1:1", 1):   {200, 0},
	} {
		a := get(t, wx, target)
		require.Equal(t, want, [2]int{a.Status, a.Code}, target)
	}
}

func TestTheTokensOwnerDecidesTheHost(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work})
	official, corp := stable(t, wx).Token, get(t, wx, workURL("ww1", "s1")).Token

	const both = "/cgi-bin/getcallbackip?access_token="
	a := get(t, wx, "http://127.0.0.1:1"+both+official)
	require.False(t, a.HasCode)
	require.NotEmpty(t, a.IPList)
	a = get(t, wx, "http://127.0.0.1:1"+both+corp)
	require.True(t, a.HasCode, "WeCom's form")
	require.NotEmpty(t, a.IPList)

	require.Equal(t, 40014, get(t, wx, api+both+corp).Code, "a token of the other host is none")
	require.Equal(t, 40014, get(t, wx, work+both+official).Code)
	require.Equal(t, 40014, get(t, wx, "http://127.0.0.1:1/cgi-bin/user/info?openid=o&access_token="+corp).Code)
}

func TestManyAppsAtOnce(t *testing.T) {
	wx := new(wechattest.Server)
	const apps, rounds = 200, 20
	for i := range apps {
		wx.AddApp(fmt.Sprint("wx", i), "s1")
	}
	var wait sync.WaitGroup
	for i := range apps {
		wait.Go(func() {
			id := fmt.Sprint("wx", i)
			for range rounds {
				a := post(t, wx, stableURL, stableBody(id, "s1", false))
				if a.Code != 0 || wx.Check(a.Token) != 0 {
					t.Errorf("%s: %s", id, a.Raw)
				}
				wx.Tokens(id)
				wx.AddFault(wechattest.Fault{App: "nobody", Times: 1})
			}
		})
	}
	wait.Wait()
	require.Equal(t, apps*rounds, wx.Calls("/cgi-bin/stable_token"))
	for i := range apps {
		require.Len(t, wx.Tokens(fmt.Sprint("wx", i)), 1)
	}
}

func BenchmarkStableTokenInMemory(b *testing.B) {
	wx := new(wechattest.Server)
	for i := range 10_000 {
		wx.Add(wechattest.App{ID: fmt.Sprint("wx", i), Secret: "s1"})
	}
	client := wx.Client()
	i := 0
	for b.Loop() {
		i++
		id := fmt.Sprint("wx", i%10_000)
		res, err := client.Post(stableURL, "application/json", strings.NewReader(stableBody(id, "s1", false)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			b.Fatal(err)
		}
	}
}
