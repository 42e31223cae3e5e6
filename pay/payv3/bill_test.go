package payv3_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/pay/payv3"
)

// billing answers the application for a bill, and streams the file by write.
func billing(f *fake, hash string, write func(w io.Writer)) http.Handler {
	f.answer = always(200, `{"hash_type":"SHA1","hash_value":"`+hash+`","download_url":"https://api.mch.weixin.qq.com/v3/billdownload/file?token=t"}`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v3/billdownload/file" && authorization.MatchString(r.Header.Get("Authorization")) {
			write(w)
			return
		}
		f.ServeHTTP(w, r)
	})
}

const megabyte = 1 << 20

// rows writes 200 MB.
func rows(w io.Writer) {
	row := bytes.Repeat([]byte("`2022-03-21 13:51:31,`wxfdc955f7104ad557,`0.01\r\n"), megabyte/48)
	for range 200 {
		if _, err := w.Write(row); err != nil {
			return
		}
	}
}

// peak follows the heap while it counts what is written.
type peak struct {
	n, most int64
	every   int
}

func (p *peak) Write(b []byte) (int, error) {
	p.n += int64(len(b))
	if p.every++; p.every%256 == 0 {
		p.most = max(p.most, heap())
	}
	return len(b), nil
}

func heap() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestALargeBillIsStreamed(t *testing.T) {
	sum := sha1.New()
	rows(sum)
	f := newFake()
	m := f.merchantOf(t, billing(f, hex.EncodeToString(sum.Sum(nil)), rows))
	runtime.GC()
	start, p := heap(), new(peak)
	require.NoError(t, m.Bill(t.Context(), "ALL", time.Now(), p))
	require.Greater(t, p.n, int64(199*megabyte))
	require.Less(t, p.most-start, int64(16*megabyte))
}

func TestABillWithAnotherHashIsAnErrorAfterWriting(t *testing.T) {
	f := newFake()
	m := f.merchantOf(t, billing(f, strings.Repeat("0", 40), func(w io.Writer) { io.WriteString(w, "content") }))
	var b bytes.Buffer
	err := m.Bill(t.Context(), "BASIC", time.Now(), &b)
	require.ErrorContains(t, err, "hash")
	require.ErrorIs(t, err, pay.ErrUnknown)
	require.Equal(t, "content", b.String())
	require.Contains(t, f.requests[0], "/v3/bill/fundflowbill?account_type=BASIC&bill_date=")
}

func TestABillThatIsCutOffIsAnError(t *testing.T) {
	var tries atomic.Int32
	f := newFake()
	m := f.merchantOf(t, billing(f, strings.Repeat("0", 40), func(w io.Writer) {
		tries.Add(1)
		io.WriteString(w, "content")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	require.ErrorIs(t, m.Bill(t.Context(), "", time.Now(), io.Discard), pay.ErrUnknown)
	require.EqualValues(t, 1, tries.Load()) // or its beginning would be written twice

	full := errors.New("disk is full")
	m = f.merchantOf(t, billing(f, strings.Repeat("0", 40), rows))
	require.ErrorIs(t, m.Bill(t.Context(), "", time.Now(), writer(func([]byte) (int, error) { return 0, full })), full)
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestBillsThatAreNotThereHaveCauses(t *testing.T) {
	for code, want := range map[string]pay.Cause{"NO_STATEMENT_EXIST": pay.ErrNotFound, "STATEMENT_CREATING": pay.ErrBusy} {
		f := newFake()
		f.answer = always(400, `{"code":"`+code+`","message":"…"}`)
		require.ErrorIs(t, f.merchant(t).Bill(t.Context(), "", time.Now(), io.Discard), want)
	}
	for _, answer := range []string{`{"hash_type":"MD5","hash_value":"x","download_url":"/v3/x"}`, `{"hash_type":"SHA1","hash_value":"x"}`, `{"hash_type":"SHA1","download_url":"://"}`} {
		f := newFake()
		f.answer = always(200, answer)
		require.ErrorIs(t, f.merchant(t).Bill(t.Context(), "", time.Now(), io.Discard), pay.ErrUnknown, answer)
		require.Len(t, f.requests, 1)
	}
	f := newFake()
	m := f.merchantOf(t, billing(f, "", func(w io.Writer) {
		w.(http.ResponseWriter).WriteHeader(403)
		io.WriteString(w, `{"code":"NO_AUTH","message":"…"}`)
	}))
	err := m.Bill(t.Context(), "", time.Now(), io.Discard)
	require.ErrorIs(t, err, pay.ErrSettings)
	require.NotContains(t, err.Error(), "token")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, m.Bill(ctx, "", time.Now(), io.Discard), context.Canceled)
}

// merchantOf returns one that reaches a handler over a socket.
func (f *fake) merchantOf(t testing.TB, h http.Handler) *payv3.Merchant {
	c := config()
	c.BaseURL, c.HTTP = serve(t, h), nil
	return newMerchant(t, c)
}
