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

// Client calls WeChat. Its zero value is ready to use, and it is safe for concurrent use.
//
// Answers are read as WeChat sends them: HTTP 200 and any Content-Type, with a refusal told by errcode alone (a
// missing one means success). A refusal is an *[Error]. Other errors mean that WeChat could not be reached or
// understood, and wrap their cause. No error holds a token, a secret or a query string.
type Client struct {
	Tokens  TokenSource  // whose token each call carries, renewed and tried again once when WeChat refuses it; default none
	BaseURL string       // default APIURL
	HTTP    *http.Client // default one with a minute for each try; redirects and cookies are never followed or kept
}

// With returns a client with tokens, which may be nil, in place of those of c. It calls baseURL where c has no BaseURL. c
// may be nil.
func (c *Client) With(tokens TokenSource, baseURL string) *Client {
	derived := &Client{Tokens: tokens, BaseURL: baseURL}
	if c != nil {
		derived.HTTP = c.HTTP
		derived.BaseURL = cmp.Or(c.BaseURL, baseURL)
	}
	return derived
}

// Get calls path with query, and reads the answer into out as Post does.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, query, nil, out)
}

// Post sends body to path. A body is nil, a [File] (sent as multipart), an io.Reader or []byte (sent as it is), or
// any other value (sent as JSON, with no character escaped that WeChat would show). It is held in memory for the
// second try, and may have up to 32 MiB.
//
// An answer goes to out: nil to only learn of a refusal, *[]byte or an io.Writer for what may be binary (up to
// 64 MiB), *[Download] for that with its name and type, or a pointer for JSON (up to 8 MiB), which encoding/json
// decodes after Post has dropped the control characters that WeChat leaves in strings. A refusal leaves out untouched.
func (c *Client) Post(ctx context.Context, path string, query url.Values, body, out any) error {
	return c.call(ctx, http.MethodPost, path, query, body, out)
}

func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	r := request{op: method + " " + path, method: method, url: c.base() + path, query: query}
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") {
		return fmt.Errorf("wechat: %s: path must begin with / and hold no query", method)
	}
	if d, ok := out.(*Download); ok && (d == nil || d.W == nil) {
		return fmt.Errorf("wechat: %s: Download.W is not set: want a writer for the file", r.op)
	}
	if err := r.encode(body); err != nil {
		return fmt.Errorf("wechat: %s: %w", r.op, err)
	}
	return c.send(ctx, &r, out)
}

// request is one call, ready to be sent more than once.
type request struct {
	op, method, url string
	query           url.Values
	body            []byte
	contentType     string
	token           string // sent last

	redact.Struct
}

func (c *Client) send(ctx context.Context, r *request, out any) error {
	hc := *c.http()
	hc.Jar, hc.CheckRedirect = nil, stay
	if hc.Transport == nil {
		hc.Transport = http.DefaultTransport // or the library would make one, and connections, for each call
	}
	if c.Tokens != nil { // each try has the whole of HTTP's timeout
		tries := &Transport{Tokens: c.Tokens, Hosts: []string{hostOf(r.url)}, Base: tryOnce{hc}, call: r}
		hc = http.Client{Transport: tries, CheckRedirect: stay}
	}
	req := resty.NewWithClient(&hc).SetLogger(silent{}).R().SetContext(ctx).
		SetQueryParamsFromValues(r.query).SetDoNotParseResponse(true)
	if r.body != nil {
		req.SetHeader("Content-Type", r.contentType).SetBody(r.body)
	}
	resp, err := req.Execute(r.method, r.url)
	if noToken := (*tokenError)(nil); errors.As(err, &noToken) {
		return noToken.error
	}
	if err != nil {
		return fmt.Errorf("wechat: %s: %w", r.op, withoutSecrets(err, r.secretsOf(r.token)))
	}
	defer resp.RawBody().Close()
	a := answer{
		op: r.op, status: resp.StatusCode(), header: resp.Header(), body: resp.RawBody(),
		secrets: func() []string { return r.secretsOf(r.token) },
	}
	return a.read(out)
}

// tryOnce sends a request by an http.Client.
type tryOnce struct{ http.Client }

func (c tryOnce) RoundTrip(r *http.Request) (*http.Response, error) { return c.Do(r) }

// hostOf returns the host of an address, or "" where it has none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func (c *Client) base() string {
	if c.BaseURL == "" {
		return APIURL
	}
	return strings.TrimSuffix(c.BaseURL, "/")
}

func (c *Client) http() *http.Client {
	if c.HTTP == nil {
		return defaultHTTP
	}
	return c.HTTP
}

// defaultHTTP is shared by all clients without one of their own, so that they share connections too.
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

// stay keeps a redirect from carrying a token to another host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// silent is the log of the HTTP library, whose lines may hold URLs.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}
