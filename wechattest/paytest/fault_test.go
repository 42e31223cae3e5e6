package paytest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

// place sends an order and returns its answer.
func (c *client) place(no string) (*result, error) {
	body := `{"appid":"` + appID + `","mchid":"` + mchID + `","description":"a","out_trade_no":"` + no + `","notify_url":"` + hook + `","amount":{"total":1}}`
	return c.send("POST", native, "application/json", body, body)
}

func TestAnAnswerIsLost(t *testing.T) {
	for _, real := range []bool{false, true} {
		for name, test := range map[string]struct {
			fault  paytest.Fault
			errno  syscall.Errno
			placed bool
		}{
			"no connection": {paytest.Fault{Refuse: true}, syscall.ECONNREFUSED, false},
			"reset before":  {paytest.Fault{Reset: true}, syscall.ECONNRESET, false},
			"reset after":   {paytest.Fault{Reset: true, AfterWork: true}, syscall.ECONNRESET, true},
		} {
			s := newServer(t)
			c := shop(t, s)
			if real {
				server := httptest.NewServer(s)
				defer server.Close()
				c.http, c.base = server.Client(), server.URL
				test.errno = syscall.ECONNRESET
			}
			test.fault.Path, test.fault.Times = native, 1
			s.AddFault(test.fault)
			_, err := c.place("order-1")
			require.Error(t, err, name)
			require.True(t, errors.Is(err, test.errno) || real && errors.Is(err, io.EOF), "%s: %v", name, err)
			_, err = s.Order(mchID, "order-1")
			require.Equal(t, test.placed, err == nil, name)
			require.Equal(t, 1, s.Calls(native))
			r, err := c.place("order-1")
			require.NoError(t, err, name)
			require.Equal(t, 200, r.status, "healed: %s", r.body)
		}
	}
}

func TestAnAnswerIsWronglySigned(t *testing.T) {
	for how, wrong := range map[paytest.Signing]string{
		paytest.Unsigned: "no key", paytest.Forged: "verification", paytest.Probe: "base64", paytest.Unknown: "no key",
		paytest.Altered: "verification", paytest.Truncated: "verification",
	} {
		s := newServer(t)
		c := shop(t, s)
		s.AddFault(paytest.Fault{Sign: how, Times: 1})
		r, err := c.place("order-1")
		require.NoError(t, err)
		require.Equal(t, 200, r.status)
		require.ErrorContains(t, c.verify(r.header, r.body), wrong, how)
		require.Equal(t, "NOTPAY", c.state("order-1"), "it took effect")

		s.AddFault(paytest.Fault{Sign: how, Status: 200, Body: `{"code_url":"weixin://evil"}`, Times: 1})
		r, err = c.place("order-2")
		require.NoError(t, err)
		require.Error(t, c.verify(r.header, r.body))
		if how != paytest.Truncated {
			require.Equal(t, "application/json; charset=utf-8", r.header.Get("Content-Type"))
		}
		c.refused(404, "ORDER_NOT_EXIST", "GET", byNo+"order-2?mchid="+mchID, nil)
	}
}

func TestEveryCodeCanBeHadOnDemand(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	for code, status := range map[string]int{
		"USER_PAYING": 202, "PARAM_ERROR": 400, "INVALID_REQUEST": 400, "APPID_MCHID_NOT_MATCH": 400, "MCH_NOT_EXISTS": 400, "ORDER_CLOSED": 400,
		"ORDERPAID": 400, "ORDER_PAID": 400, "SIGN_ERROR": 401, "NO_AUTH": 403, "OUT_TRADE_NO_USED": 403, "RULE_LIMIT": 403, "TRADE_ERROR": 403,
		"NOT_ENOUGH": 403, "USER_ACCOUNT_ABNORMAL": 403, "ORDER_NOT_EXIST": 404, "RESOURCE_NOT_EXISTS": 404, "FREQUENCY_LIMITED": 429,
		"RATELIMIT_EXCEEDED": 429, "SYSTEM_ERROR": 500, "SERVICE_UNAVAILABLE": 503, "ANYTHING_ELSE": 400,
	} {
		s.AddFault(paytest.Fault{Path: byNo + "*", Method: "GET", Code: code, Times: 1})
		r := c.refused(status, code, "GET", byNo+"order-1?mchid="+mchID, nil)
		if status == 202 {
			require.NoError(t, c.verify(r.header, r.body))
		}
	}
	s.AddFault(paytest.Fault{Code: "MCH_NOT_EXISTS", Status: 404, Message: "own words", Times: 1})
	require.Equal(t, "own words", c.refused(404, "MCH_NOT_EXISTS", "GET", nowhere, nil).text("message"))
	s.AddFault(paytest.Fault{Status: 502, Body: "<html>Bad Gateway</html>", Times: 1})
	r := c.try("GET", nowhere, nil)
	require.Equal(t, 502, r.status)
	require.Equal(t, "text/html", r.header.Get("Content-Type"))
}

func TestAFaultIsAppliedToTheCallsThatItNames(t *testing.T) {
	s := newServer(t)
	c := shop(t, s)
	other := newClient(t, s, paytest.Merchant{MchID: "1900000009"})
	for _, f := range []paytest.Fault{
		{MchID: "1900000009"}, {Host: "api2.mch.weixin.qq.com"}, {Method: "POST"}, {Path: "/v3/certificates"}, {Path: "["},
	} {
		s.Heal()
		f.Status = 502
		s.AddFault(f)
		c.refused(404, "ORDER_NOT_EXIST", "GET", nowhere, nil)
	}
	s.Heal()
	s.AddFault(paytest.Fault{Host: "api2.mch.weixin.qq.com", MchID: "1900000009", Status: 502, Times: 2})
	other.base = "https://api2.mch.weixin.qq.com"
	for _, want := range []int{502, 502, 404} {
		require.Equal(t, want, other.try("GET", strings.Replace(nowhere, mchID, "1900000009", 1), nil).status)
	}
	s.AddFault(paytest.Fault{Status: 502})
	s.Heal()
	c.refused(404, "ORDER_NOT_EXIST", "GET", nowhere, nil)
}

func TestAnAnswerIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		c := shop(t, s)
		for _, after := range []bool{false, true} {
			s.AddFault(paytest.Fault{Delay: time.Minute, AfterWork: after, Times: 1})
			began := time.Now()
			c.refused(404, "ORDER_NOT_EXIST", "GET", nowhere, nil)
			require.Equal(t, time.Minute, time.Since(began))
		}
		s.AddFault(paytest.Fault{Delay: time.Minute, Times: 1})
		c.http.Timeout = time.Second
		_, err := c.place("order-1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		_, err = s.Order(mchID, "order-1")
		require.Error(t, err, "the caller went away before")
		s.AddFault(paytest.Fault{Delay: time.Minute, Late: true, Times: 1})
		_, err = c.place("order-2")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = s.Order(mchID, "order-2")
		require.Error(t, err)
		time.Sleep(time.Minute)
		synctest.Wait()
		_, err = s.Order(mchID, "order-2")
		require.NoError(t, err, "a network held it back")
		s.AddFault(paytest.Fault{Delay: time.Minute, AfterWork: true, Times: 1})
		_, err = c.place("order-1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = s.Order(mchID, "order-1")
		require.NoError(t, err)
	})
}

func TestTheClientInMemoryBehavesLikeOneOfSockets(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("Seen", r.RequestURI+" "+r.Host+" "+r.UserAgent())
			_, _ = io.Copy(w, r.Body)
		case "/long":
			for range 1000 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					panic(http.ErrAbortHandler)
				}
			}
		case "/stream":
			_, _ = w.Write([]byte("a"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/half":
			_, _ = w.Write(make([]byte, 100_000))
			panic(http.ErrAbortHandler)
		}
	})
	c := &http.Client{Transport: paytest.InMemory(h)}
	res, err := c.Post("https://host.example/echo?a=%7c", "text/plain", strings.NewReader("abc"))
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "abc", string(body))
	require.Equal(t, "/echo?a=%7c host.example Go-http-client/1.1", res.Header.Get("Seen"))
	require.EqualValues(t, 3, res.ContentLength)

	res, err = c.Get("https://host.example/long")
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.EqualValues(t, 1_000_000, n)
	res, err = c.Get("https://host.example/long")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close(), "the handler notices")

	_, err = c.Get("https://host.example/abort")
	require.ErrorIs(t, err, io.EOF)
	res, err = c.Get("https://host.example/half")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://host.example/stream", nil)
	require.NoError(t, err)
	res, err = c.Do(r)
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(res.Body)
	require.ErrorIs(t, err, context.Canceled)
	_, err = c.Do(r)
	require.ErrorIs(t, err, context.Canceled)
}
