// Package relay posts bodies to backends over HTTP. Requests are signed and bounded in time and size, and redirects are
// not followed.
package relay

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wetoken/wetoken/internal/redact"
)

// Sender posts to backends. The zero value is ready, and signs nothing. It is safe for concurrent use.
type Sender struct {
	Headers map[string]string // of each request, beside those that Deliver sets
	// Key signs each body in the header Wetoken-Signature. Default no signature. While the key is changed, PreviousKey
	// signs too, so that a backend may have either.
	Key         string
	PreviousKey string

	// Guarded makes the Sender refuse to dial addresses that are not public.
	Guarded bool

	// OnlyOK makes the body of a 2xx response other than 200 count as empty.
	OnlyOK bool

	// HTTP is used unless Guarded is set, without its redirects and cookies. Default a client that all Senders share.
	HTTP *http.Client

	redact.Struct
}

// MaxResponse is the size of the longest response that is read, in bytes.
const MaxResponse = 1 << 20

// Status is the error for a response with this HTTP status, which is not 2xx.
type Status int

func (s Status) Error() string {
	if s >= 300 && s < 400 {
		return "HTTP status " + strconv.Itoa(int(s)) + ": redirects are not followed"
	}
	return "HTTP status " + strconv.Itoa(int(s))
}

// Post sends body to target and returns the body of a 2xx response. Only ctx bounds the time. Errors contain the host of
// the target, and no other part of its URL.
func (s *Sender) Post(ctx context.Context, target, contentType string, body []byte) (response []byte, err error) {
	return s.Deliver(ctx, "", target, contentType, body)
}

// Deliver is Post with id in the header Wetoken-Delivery, by which the target recognizes a repeated delivery.
func (s *Sender) Deliver(ctx context.Context, id, target, contentType string, body []byte) (response []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil || r.URL.Host == "" {
		return nil, errors.New("relay: post: invalid target: want an absolute http or https URL")
	}
	for name, value := range s.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "wetoken")
	if id != "" {
		r.Header.Set("Wetoken-Delivery", id)
	}
	if s.Key != "" {
		r.Header.Set("Wetoken-Signature", Sign(time.Now(), body, s.Key, s.PreviousKey))
	}
	response, err = s.do(r)
	if err != nil {
		return nil, fmt.Errorf("relay: post to %s: %w", r.URL.Host, err)
	}
	return response, nil
}

func (s *Sender) do(r *http.Request) ([]byte, error) {
	client := *s.httpClient()
	client.Jar, client.CheckRedirect = nil, returnRedirect
	resp, err := client.Do(r)
	for u := (*url.Error)(nil); errors.As(err, &u); {
		err = u.Err // without the URL
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxResponse+1)) // to the end, so that the connection can be reused
	if err == nil && len(body) > 0 {
		body, err = decode(body, resp.Header.Get("Content-Encoding"))
	}
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, Status(resp.StatusCode)
	case s.OnlyOK && resp.StatusCode != http.StatusOK:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the response: %w", err)
	case len(body) > MaxResponse:
		return nil, fmt.Errorf("response is longer than %d bytes", MaxResponse)
	}
	return body, nil
}

// decode returns a body without its Content-Encoding. Some backends compress every response, although nobody asked for it.
func decode(body []byte, encoding string) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(z, MaxResponse+1))
	}
	return nil, fmt.Errorf("unknown Content-Encoding %.40q: want gzip or none", encoding)
}

func (s *Sender) httpClient() *http.Client {
	switch {
	case s.Guarded:
		return guardedClient
	case s.HTTP != nil:
		return s.HTTP
	}
	return sharedClient
}

// returnRedirect makes Do return a redirect as the response. The operator did not choose the new target.
func returnRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Temporary reports whether a Post that failed with err may succeed when it is repeated soon: the target was not
// reached, closed the connection, or responded with 408, 429 or 5xx.
func Temporary(err error) bool {
	if status := Status(0); errors.As(err, &status) {
		return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrGuarded) {
		return false
	}
	n := (net.Error)(nil)
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Replied reports whether a Post that failed with err has a response, from the target and not from a proxy whose target is down, that
// asks for no pause.
func Replied(err error) bool {
	status := Status(0)
	if !errors.As(err, &status) {
		return false
	}
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return true
}

// Sign returns the Wetoken-Signature of a body: the Unix time and, for each key that is not empty,
// hex(HMAC-SHA256(key, time "." body)).
//
//	t=1700000000,v1=5f3…,v1=a90…
//
// A receiver computes the code with its own key, compares it with each v1 in constant time, and refuses an old t.
func Sign(at time.Time, body []byte, keys ...string) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	header := "t=" + stamp
	for _, key := range keys {
		if key == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		header += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return header
}

// The clients are shared so that connections are. guardedClient has no proxy, which would resolve the name itself.
var (
	sharedClient  = &http.Client{Transport: newTransport(new(net.Dialer), http.ProxyFromEnvironment)}
	guardedClient = &http.Client{Transport: newTransport(&net.Dialer{Control: refusePrivate}, nil)}
)

func newTransport(d *net.Dialer, proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	d.Timeout, d.KeepAlive = 5*time.Second, 30*time.Second
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            d.DialContext,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        128, // further requests wait until their ctx ends
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // so that MaxResponse bounds the bytes that arrive
	}
}
