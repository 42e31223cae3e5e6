package wechat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Transport is an http.RoundTripper that adds an app's access token to calls to WeChat. Any program or SDK that
// takes an http.Client can use it, and needs no secret:
//
//	hc := &http.Client{Transport: &wechat.Transport{Tokens: tokens}}
//
// The token replaces an access_token in the query. If WeChat refuses the token (40001, 40014, 42001), the call is
// repeated once with a renewed one. The body is then read from GetBody, or from memory, which holds up to 1 MiB. A call
// with a longer body is not repeated: the caller gets the refusal, and the next call has the renewed token. Answers are
// streamed.
//
// Requests to other hosts are not changed, and neither are those to paths that take no app's token: /sns/ and the calls
// that issue tokens. A redirect never carries the token away: it is removed from the Location. It is not added after a
// redirect from another host to one of Hosts, since the program did not choose that call, or from https to http.
//
// The caller's Accept-Encoding is removed, because refusals are read from the answer; net/http compresses by itself. If
// the token cannot be fetched or renewed, RoundTrip returns the error. No error contains the token.
//
// Its methods are safe for concurrent use. Do not change its fields after the first call.
type Transport struct {
	Tokens TokenSource // provides the token of each call

	// Hosts are the hosts that get the token, such as api.weixin.qq.com or 127.0.0.1:8080. Default: those of APIURL and
	// WorkURL.
	Hosts []string

	// Base sends the requests to all hosts. Default: a transport with timeouts, shared with Client.
	Base http.RoundTripper

	request *request // set by Client: names the call in errors, which hide its secrets
}

// tokenError is a failed fetch or renewal of the token.
type tokenError struct{ error }

func (e *tokenError) Unwrap() error { return e.error }

// RoundTrip sends r, and repeats it once if WeChat refuses the token.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.takesToken(r) {
		return t.sendUntouched(r)
	}
	op := r.Method + " " + r.URL.Path
	if t.request != nil {
		op = t.request.op
	}
	body, err := holdBody(r)
	if err != nil {
		return nil, fmt.Errorf("wechat: %s: read request body: %w", op, err)
	}
	token, err := t.readToken(r.Context())
	if err != nil {
		closeBody(body.first)
		return nil, &tokenError{fmt.Errorf("wechat: %s: %w", op, err)}
	}
	resp, err := t.send(r, body.first, body.length, token)
	if err != nil {
		return nil, err
	}
	refused := peekRefusal(resp)
	if refused == nil {
		return resp, nil
	}
	fresh, err := t.Tokens.Renew(r.Context(), token)
	if err != nil {
		resp.Body.Close()
		return nil, &tokenError{fmt.Errorf("%w; renew token: %w", refused.newError(op, t.secretsOf(r, token)), err)}
	}
	if body.again == nil {
		return resp, nil
	}
	resp.Body.Close()
	second, err := body.again()
	if err != nil {
		return nil, fmt.Errorf("wechat: %s: read request body again: %w", op, err)
	}
	return t.send(r, second, body.length, fresh.Value)
}

func (t *Transport) readToken(ctx context.Context) (string, error) {
	if t.Tokens == nil {
		return "", errors.New("Transport.Tokens is not set: want a TokenSource such as a token.Manager")
	}
	c, err := t.Tokens.Token(ctx)
	return c.Value, err
}

// send sends a copy of r with body and token. The Request of the answer is r, which has no token.
func (t *Transport) send(r *http.Request, body io.ReadCloser, length int64, token string) (*http.Response, error) {
	if t.request != nil {
		t.request.token = token
	}
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = body, length
	out.URL.RawQuery = setToken(r.URL.RawQuery, token)
	out.Header.Del("Accept-Encoding")
	resp, err := t.base().RoundTrip(out)
	if err != nil {
		return nil, withoutSecrets(err, t.secretsOf(r, token))
	}
	resp.Request = r
	hideToken(resp.Header, token)
	return resp, nil
}

// sendUntouched sends a request without a token. After a redirect, its Referer may contain the caller's token, and is
// removed.
func (t *Transport) sendUntouched(r *http.Request) (*http.Response, error) {
	out := r
	if r.Response != nil && strings.Contains(r.Header.Get("Referer"), accessToken) {
		out = r.Clone(r.Context())
		out.Header.Del("Referer")
	}
	resp, err := t.base().RoundTrip(out)
	if resp != nil {
		resp.Request = r // for takesToken
	}
	return resp, err
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return defaultHTTP.Transport
	}
	return t.Base
}

func (t *Transport) secretsOf(r *http.Request, token string) []string {
	call := t.request
	if call == nil {
		call = &request{query: r.URL.Query()}
	}
	return call.secrets(token)
}

var defaultHosts = []string{strings.TrimPrefix(APIURL, "https://"), strings.TrimPrefix(WorkURL, "https://")}

// tokenlessPaths are the paths that issue tokens. Their answers say nothing about our token.
var tokenlessPaths = []string{"/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/gettoken"}

// takesToken reports whether r gets the token.
func (t *Transport) takesToken(r *http.Request) bool {
	if !t.isAPIHost(r.URL) || strings.HasPrefix(r.URL.Path, "/sns/") || slices.Contains(tokenlessPaths, r.URL.Path) {
		return false
	}
	for to := r; to.Response != nil; { // the redirects that led to r
		from := to.Response.Request
		if from == nil || !t.isAPIHost(from.URL) || from.URL.Scheme == "https" && to.URL.Scheme != "https" {
			return false
		}
		to = from
	}
	return true
}

// isAPIHost reports whether u is on one of Hosts.
func (t *Transport) isAPIHost(u *url.URL) bool {
	hosts := t.Hosts
	if len(hosts) == 0 {
		hosts = defaultHosts
	}
	host := normalizeHost(u.Scheme, u.Host)
	return host != "" && slices.ContainsFunc(hosts, func(h string) bool { return normalizeHost(u.Scheme, h) == host })
}

// normalizeHost returns a host in lower case, without the default port of the scheme.
func normalizeHost(scheme, host string) string {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.TrimSuffix(strings.ToLower(host), port)
}

const accessToken = "access_token"

// setToken replaces the access_token in a query by token, or removes it if token is empty. The rest of the query stays
// the same.
func setToken(query, token string) string {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(key); part != "" && (err != nil || name != accessToken) {
			kept = append(kept, part)
		}
	}
	if token != "" {
		kept = append(kept, accessToken+"="+url.QueryEscape(token))
	}
	return strings.Join(kept, "&")
}

// hideToken removes the token from the Location of a redirect. If the address contains the token elsewhere than in
// access_token, the header is removed.
func hideToken(h http.Header, token string) {
	location := h.Get("Location")
	if token == "" || !containsToken(location, token) {
		return
	}
	u, err := url.Parse(location)
	if err == nil {
		u.RawQuery = setToken(u.RawQuery, "")
		location = u.String()
	}
	if err != nil || containsToken(location, token) {
		h.Del("Location")
		return
	}
	h.Set("Location", location)
}

// containsToken reports whether an address contains the token, escaped or not.
func containsToken(address, token string) bool {
	for range 4 { // an address within an address is escaped twice
		if strings.Contains(address, token) || strings.Contains(address, url.QueryEscape(token)) {
			return true
		}
		plain, err := url.QueryUnescape(address)
		if err != nil || plain == address {
			return false
		}
		address = plain
	}
	return false
}
