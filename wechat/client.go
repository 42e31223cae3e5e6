package wechat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/wetoken/wetoken/internal/redact"
)

// Client calls WeChat's API. Its zero value is ready to use, and it is safe for concurrent use.
//
// WeChat answers HTTP 200 with any Content-Type, and a refusal has an errcode other than 0. A refusal is returned as an
// *[Error]. Other errors mean that WeChat could not be reached, or that its answer is invalid, and wrap their cause. No
// error contains a token, a secret or a query string.
type Client struct {
	// Tokens provides the token of each call. It is renewed, and the call repeated once, if WeChat refuses it. Default:
	// no token.
	Tokens TokenSource

	BaseURL string // default APIURL

	// HTTP sends the requests. Redirects are not followed, and cookies are not kept. Default: a client with a minute
	// for each try.
	HTTP *http.Client
}

// With returns a client with other tokens, which may be nil. It calls baseURL if c has no BaseURL. c may be nil.
func (c *Client) With(tokens TokenSource, baseURL string) *Client {
	derived := &Client{Tokens: tokens, BaseURL: baseURL}
	if c != nil {
		derived.HTTP = c.HTTP
		derived.BaseURL = cmp.Or(c.BaseURL, baseURL)
	}
	return derived
}

// Get calls path with query, and decodes the answer into out like Post.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, query, nil, out)
}

// Post sends body to path. A body is nil, a [File] (sent as multipart), an io.Reader or []byte (sent as it is), or any
// other value (sent as JSON, without escapes for HTML). It is held in memory for a second try, and has up to 32 MiB.
//
// out receives the answer. It is nil if only a refusal matters; *[]byte or an io.Writer for an answer that may be
// binary (up to 64 MiB); *[Download] for a file with its name and type; or a pointer for JSON (up to 8 MiB). Before
// decoding, Post removes the control characters that WeChat leaves in strings. A refusal leaves out unchanged.
func (c *Client) Post(ctx context.Context, path string, query url.Values, body, out any) error {
	return c.call(ctx, http.MethodPost, path, query, body, out)
}

func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	r := request{op: method + " " + path, method: method, url: c.baseURL() + path, query: query}
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") {
		return fmt.Errorf("wechat: %s: invalid path: want one that begins with / and has no query", method)
	}
	if d, ok := out.(*Download); ok && (d == nil || d.W == nil) {
		return fmt.Errorf("wechat: %s: Download.W is not set: want a writer for the file", r.op)
	}
	if err := r.encodeBody(body); err != nil {
		return fmt.Errorf("wechat: %s: %w", r.op, err)
	}
	return c.send(ctx, &r, out)
}

// request is a call that can be sent more than once.
type request struct {
	op, method, url string
	query           url.Values
	body            []byte
	contentType     string
	token           string // the last one sent

	redact.Struct
}

func (c *Client) send(ctx context.Context, r *request, out any) error {
	hc := *c.httpClient()
	hc.Jar, hc.CheckRedirect = nil, stopRedirect
	if hc.Transport == nil {
		hc.Transport = http.DefaultTransport // otherwise the library would make one for each call
	}
	if c.Tokens != nil { // each try has the whole timeout of HTTP
		tries := &Transport{Tokens: c.Tokens, Hosts: []string{hostOf(r.url)}, Base: clientTransport{hc}, request: r}
		hc = http.Client{Transport: tries, CheckRedirect: stopRedirect}
	}
	req := resty.NewWithClient(&hc).SetLogger(discardLog{}).R().SetContext(ctx).
		SetQueryParamsFromValues(r.query).SetDoNotParseResponse(true)
	if r.body != nil {
		req.SetHeader("Content-Type", r.contentType).SetBody(r.body)
	}
	resp, err := req.Execute(r.method, r.url)
	if noToken := (*tokenError)(nil); errors.As(err, &noToken) {
		return noToken.error
	}
	if err != nil {
		return fmt.Errorf("wechat: %s: %w", r.op, withoutSecrets(err, r.secrets(r.token)))
	}
	defer resp.RawBody().Close()
	a := answer{
		op: r.op, status: resp.StatusCode(), header: resp.Header(), body: resp.RawBody(),
		secrets: func() []string { return r.secrets(r.token) },
	}
	return a.read(out)
}

// clientTransport sends requests through an http.Client.
type clientTransport struct{ http.Client }

func (c clientTransport) RoundTrip(r *http.Request) (*http.Response, error) { return c.Do(r) }

// hostOf returns the host of an address, or "" if it has none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func (c *Client) baseURL() string {
	if c.BaseURL == "" {
		return APIURL
	}
	return strings.TrimSuffix(c.BaseURL, "/")
}

func (c *Client) httpClient() *http.Client {
	if c.HTTP == nil {
		return defaultHTTP
	}
	return c.HTTP
}

// defaultHTTP is shared by all clients without one of their own, along with its connections.
var defaultHTTP = &http.Client{
	Timeout: time.Minute,
	Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	},
}

// stopRedirect stops redirects, which could carry a token to another host.
func stopRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// discardLog discards the log of the HTTP library, whose lines may contain URLs.
type discardLog struct{}

func (discardLog) Errorf(string, ...any) {}
func (discardLog) Warnf(string, ...any)  {}
func (discardLog) Debugf(string, ...any) {}
