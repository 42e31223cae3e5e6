package wechattest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest"
)

const tokenPath = "/cgi-bin/token"

// try makes a call that may fail, and gives it at most limit.
func try(t testing.TB, client *http.Client, target string, limit time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	require.NoError(t, err)
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func TestFaultsAnswerInPlaceOfTheCall(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Code: -1})
	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 2, Code: 89503, Msg: "needs confirmation"})
	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Status: 502, Body: "<html>bad gateway</html>"})
	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Body: `{"access_token":`})

	a := classic(t, wx)
	require.Equal(t, -1, a.Code)
	require.Regexp(t, "^system error rid: ", a.Msg)
	require.Equal(t, 89503, classic(t, wx).Code)
	require.Regexp(t, "^needs confirmation rid: ", classic(t, wx).Msg)
	a = send(t, wx.Client(), http.MethodGet, classicURL("wx1", "s1"), "", "")
	require.Equal(t, 502, a.Status)
	require.Equal(t, "<html>bad gateway</html>", a.Raw)
	raw, err := try(t, wx.Client(), classicURL("wx1", "s1"), time.Minute)
	require.NoError(t, err)
	require.Equal(t, `{"access_token":`, raw)

	require.Empty(t, wx.Tokens("wx1"), "none of these took effect")
	require.Equal(t, 0, classic(t, wx).Code, "the times are used up")
	require.Equal(t, 6, wx.Calls(tokenPath), "failed calls are counted")
}

func TestFaultsLastUntilHealed(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.AddFault(wechattest.Fault{Code: -1})
	for range 5 {
		require.Equal(t, -1, classic(t, wx).Code)
		require.Equal(t, -1, stable(t, wx).Code)
	}
	wx.ClearFaults()
	require.Equal(t, 0, classic(t, wx).Code)
}

func TestFaultsMayMeanOneAppOnly(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.AddApp("wx2", "s2")
	wx.Add(wechattest.App{ID: "ww1", Secret: "s1", Kind: wechattest.Work})
	good := stable(t, wx).Token
	wx.AddFault(wechattest.Fault{App: "wx1", Code: 45011})
	require.Equal(t, 45011, classic(t, wx).Code)
	require.Equal(t, 45011, stable(t, wx).Code, "named in the body")
	require.Equal(t, 45011, get(t, wx, api+"/cgi-bin/getcallbackip?access_token="+good).Code, "named by its token")
	require.Equal(t, 0, get(t, wx, classicURL("wx2", "s2")).Code)
	require.Equal(t, 0, get(t, wx, workURL("ww1", "s1")).Code)
}

func TestCutAfterWorkLosesTheAnswerButNotTheEffect(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Cut: true, AfterWork: true})
	_, err := try(t, wx.Client(), classicURL("wx1", "s1"), time.Minute)
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, wx.Tokens("wx1"), 1)

	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Cut: true})
	_, err = try(t, wx.Client(), classicURL("wx1", "s1"), time.Minute)
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, wx.Tokens("wx1"), 1)

	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Cut: true, Body: `{"access`})
	raw, err := try(t, wx.Client(), classicURL("wx1", "s1"), time.Minute)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, `{"access`, raw)
}

func TestHangLastsUntilTheCallerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		wx.AddFault(wechattest.Fault{Path: tokenPath, Hang: true, AfterWork: true, Times: 1})
		start := time.Now()
		_, err := try(t, wx.Client(), classicURL("wx1", "s1"), 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(start))
		require.Len(t, wx.Tokens("wx1"), 1)
		require.Equal(t, 0, classic(t, wx).Code)
	})
}

func TestDelayBeforeAndAfterTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wx := new(wechattest.Server)
		wx.AddApp("wx1", "s1")
		start := time.Now()
		wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Delay: 5 * time.Second})
		require.Equal(t, 7200, classic(t, wx).ExpiresIn)
		wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Delay: 5 * time.Second, AfterWork: true})
		late := classic(t, wx)
		require.Equal(t, 10*time.Second, time.Since(start))
		require.Equal(t, start.Add(5*time.Second), wx.Tokens("wx1")[0].Issued)
		require.Equal(t, start.Add(5*time.Second), wx.Tokens("wx1")[1].Issued)
		require.Equal(t, late.Token, wx.Tokens("wx1")[1].Value)

		wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Delay: time.Minute})
		_, err := try(t, wx.Client(), classicURL("wx1", "s1"), time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Len(t, wx.Tokens("wx1"), 2, "the caller left before the work")
	})
}

func TestFaultsOverSockets(t *testing.T) {
	wx := new(wechattest.Server)
	wx.AddApp("wx1", "s1")
	web := httptest.NewServer(wx)
	defer web.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	target := web.URL + tokenPath + "?grant_type=client_credential&appid=wx1&secret=s1"

	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Cut: true, AfterWork: true})
	_, err := try(t, client, target, time.Minute)
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, wx.Tokens("wx1"), 1)

	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Cut: true, Body: `{"access`})
	raw, err := try(t, client, target, time.Minute)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, `{"access`, raw)

	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Hang: true})
	_, err = try(t, client, target, 50*time.Millisecond)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Status: 503})
	a := send(t, client, http.MethodGet, target, "", "")
	require.Equal(t, 503, a.Status)

	wx.AddFault(wechattest.Fault{Path: tokenPath, Times: 1, Status: 7, Body: "odd"})
	require.Equal(t, 200, send(t, client, http.MethodGet, target, "", "").Status)
	require.Equal(t, 7200, send(t, client, http.MethodGet, target, "", "").ExpiresIn)
	require.Equal(t, 6, wx.Calls(tokenPath))
}
