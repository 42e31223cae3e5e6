// Package relay sends bodies to other people's programs over HTTP: signed, bounded in time and size, never redirected,
// and with nothing in them that WeChat or we keep secret.
package relay

import (
	"bytes"
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
	"time"

	"github.com/wetoken/wetoken/internal/redact"
)

// Sender posts to backends. The zero value is ready, and signs nothing. It is safe for concurrent use.
type Sender struct {
	Key         string       // signs each body in the header Wetoken-Signature; default none
	PreviousKey string       // while Key is changing: signs too, so that backends may know either
	Guarded     bool         // addresses that are not on the public internet are refused, as they are dialled
	HTTP        *http.Client // the way out, unless Guarded; default one that all share. Its redirects and cookies are not used

	redact.Struct
}

// MaxAnswer is how much a backend may answer.
const MaxAnswer = 1 << 20

// Status is an error: the backend answered with this HTTP status, which is not a 2xx.
type Status int

func (s Status) Error() string {
	if s >= 300 && s < 400 {
		return "it answered HTTP status " + strconv.Itoa(int(s)) + ", and redirects are not followed"
	}
	return "it answered HTTP status " + strconv.Itoa(int(s))
}

// Post sends body to target and returns what was answered with a 2xx. How long that may take is ctx's to say. Errors
// name the target's host, and no more of its address.
func (s *Sender) Post(ctx context.Context, target, contentType string, body []byte) (answer []byte, err error) {
	return s.Deliver(ctx, "", target, contentType, body)
}

// Deliver is Post with id in the header Wetoken-Delivery, by which the target knows what it has had already.
func (s *Sender) Deliver(ctx context.Context, id, target, contentType string, body []byte) (answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil || r.URL.Host == "" {
		return nil, errors.New("relay: post: the target is not a whole http or https address")
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "wetoken")
	if id != "" {
		r.Header.Set("Wetoken-Delivery", id)
	}
	if s.Key != "" {
		r.Header.Set("Wetoken-Signature", Sign(time.Now(), body, s.Key, s.PreviousKey))
	}
	answer, err = s.do(r)
	if err != nil {
		return nil, fmt.Errorf("relay: post to %s: %w", r.URL.Host, err)
	}
	return answer, nil
}

func (s *Sender) do(r *http.Request) ([]byte, error) {
	client := *s.client()
	client.Jar, client.CheckRedirect = nil, stay
	resp, err := client.Do(r)
	for u := (*url.Error)(nil); errors.As(err, &u); {
		err = u.Err // without the URL
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1)) // to the end, so that the connection is used again
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, Status(resp.StatusCode)
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(answer) > MaxAnswer:
		return nil, fmt.Errorf("it answered more than %d bytes", MaxAnswer)
	}
	return answer, nil
}

func (s *Sender) client() *http.Client {
	switch {
	case s.Guarded:
		return guarded
	case s.HTTP != nil:
		return s.HTTP
	}
	return open
}

// stay makes a redirect the answer: where it points was not the operator's word.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Temporary tells whether a Post that failed with err may well succeed when it is made again soon: the target could not
// be reached, broke off, or answered 408, 429 or 5xx.
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

// Sign returns the Wetoken-Signature of a body: the Unix time and, for each key that is not empty,
// hex(HMAC-SHA256(key, time "." body)).
//
//	t=1700000000,v1=5f3…,v1=a90…
//
// A receiver computes the same with its own key, compares in constant time with each v1, and refuses an old t.
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

// The two ways out, shared so that connections are.
var (
	open    = &http.Client{Transport: transport(new(net.Dialer), http.ProxyFromEnvironment)}
	guarded = &http.Client{Transport: transport(&net.Dialer{Control: guard}, nil)} // no proxy: it would do the dialling
)

func transport(d *net.Dialer, proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	d.Timeout, d.KeepAlive = 5*time.Second, 30*time.Second
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            d.DialContext,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        128, // more wait, each for as long as its ctx lasts
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // an answer is no longer than the bytes that arrive
	}
}
