package relay_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/internal/relay"
)

func post(t *testing.T, s *relay.Sender, target string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return s.Post(ctx, target, "text/xml", []byte("<xml/>"))
}

func TestPostSignsTheBodyWithEachKey(t *testing.T) {
	type got struct {
		header http.Header
		body   []byte
	}
	arrived := make(chan got, 2)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- got{r.Header.Clone(), body}
		io.WriteString(w, "response")
	}))
	defer web.Close()

	answer, err := post(t, &relay.Sender{Key: "new key", PreviousKey: "old key"}, web.URL+"/x?a=1")
	require.NoError(t, err)
	require.Equal(t, "response", string(answer))
	g := <-arrived
	require.Equal(t, "<xml/>", string(g.body))

	parts := strings.Split(g.header.Get("Wetoken-Signature"), ",")
	require.Len(t, parts, 3)
	stamp := strings.TrimPrefix(parts[0], "t=")
	for i, key := range []string{"new key", "old key"} {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(stamp + ".<xml/>"))
		require.Equal(t, "v1="+hex.EncodeToString(mac.Sum(nil)), parts[i+1])
	}
	for name := range g.header {
		require.Contains(t, []string{"Accept-Encoding", "Content-Length", "Content-Type", "User-Agent", "Wetoken-Signature"}, name)
	}

	_, err = post(t, new(relay.Sender), web.URL)
	require.NoError(t, err)
	require.NotContains(t, (<-arrived).header, "Wetoken-Signature", "no key, no signature")
}

func TestSignFollowsTheDocumentation(t *testing.T) {
	// printf '1700000000.{}' | openssl dgst -sha256 -hmac k
	require.Equal(t, "t=1700000000,v1=c6ef4734033cee2367414a0939385eca0397754aa7a59716da7463a9298b5146",
		relay.Sign(time.Unix(1700000000, 0), []byte("{}"), "k", ""))
}

func TestRedirectIsNotFollowed(t *testing.T) {
	followed := make(chan struct{}, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/inside" {
			followed <- struct{}{}
		}
		http.Redirect(w, r, "/inside", http.StatusTemporaryRedirect)
	}))
	defer web.Close()
	_, err := post(t, new(relay.Sender), web.URL)
	require.ErrorIs(t, err, relay.Status(307))
	require.False(t, relay.Temporary(err))
	require.Empty(t, followed)
}

func TestOnlyOKLeavesOutTheBodiesOfOtherStatuses(t *testing.T) {
	for status, want := range map[int]string{200: "body", 201: "", 202: ""} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "body")
		}))
		got, err := post(t, &relay.Sender{OnlyOK: true}, web.URL)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		got, err = post(t, new(relay.Sender), web.URL)
		require.NoError(t, err)
		require.Equal(t, "body", string(got))
		web.Close()
	}
}

func TestTooLongResponseIsAnError(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 2*relay.MaxResponse))
	}))
	defer web.Close()
	_, err := post(t, new(relay.Sender), web.URL)
	require.ErrorContains(t, err, "response is longer than 1048576 bytes")
}

func TestErrorsAreTemporaryOrNotAndHideTheURL(t *testing.T) {
	status := make(chan int, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := <-status
		if code == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(code)
	}))
	defer web.Close()
	for code, temporary := range map[int]bool{0: true, 400: false, 404: false, 408: true, 429: true, 500: true, 503: true} {
		status <- code
		_, err := post(t, new(relay.Sender), web.URL+"/path?secret=hidden")
		require.Error(t, err)
		require.Equal(t, temporary, relay.Temporary(err), "%d: %v", code, err)
		require.NotContains(t, err.Error(), "hidden")
		require.NotContains(t, err.Error(), "/path")
		require.Contains(t, err.Error(), strings.TrimPrefix(web.URL, "http://"))
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = post(t, new(relay.Sender), "http://"+l.Addr().String()+"/?secret=hidden")
	require.True(t, relay.Temporary(err), "refused connection: %v", err)
	require.NotContains(t, err.Error(), "hidden")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = new(relay.Sender).Post(ctx, web.URL, "text/xml", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, relay.Temporary(err))

	for _, target := range []string{"", "/x", "http://", "ftp://host/", "http://host:port/", "http://a b/", "mailto:hidden"} {
		_, err := post(t, new(relay.Sender), target)
		require.Error(t, err, target)
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestGuardedSenderDialsNoPrivateAddress(t *testing.T) {
	called := make(chan struct{}, 1)
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- struct{}{} }))
	defer web.Close()
	_, port, err := net.SplitHostPort(web.Listener.Addr().String())
	require.NoError(t, err)
	// HTTP is not used by a guarded Sender.
	s := &relay.Sender{Guarded: true, HTTP: web.Client()}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.1.2.3"} {
		_, err := post(t, s, "http://"+host+":"+port)
		require.Error(t, err, host)
		if !errors.Is(err, relay.ErrGuarded) { // a machine without IPv6 fails earlier
			require.Contains(t, host, ":", "%v", err)
		}
		require.False(t, relay.Temporary(err) && errors.Is(err, relay.ErrGuarded))
	}
	require.Empty(t, called)
}

func TestPublicAddresses(t *testing.T) {
	for _, a := range []string{"8.8.8.8", "101.226.103.1", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "2400:3200::1", "2606:4700::1111"} {
		require.True(t, relay.Public(netip.MustParseAddr(a)), a)
	}
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.168.1.1", "100.64.0.1", "100.127.255.255", "100.100.100.200", "192.0.0.170", "192.0.2.1", "198.18.0.1",
		"198.19.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "fe80::1",
		"fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::",
	} {
		require.False(t, relay.Public(netip.MustParseAddr(a)), a)
	}
	require.False(t, relay.Public(netip.Addr{}))
}
