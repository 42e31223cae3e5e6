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

// Transport is an http.RoundTripper that attaches an app's access token to calls of WeChat's API, so that any program or
// SDK that takes an http.Client needs no secret:
//
//	hc := &http.Client{Transport: &wechat.Transport{Tokens: tokens}}
//
// The token replaces an access_token in the query. A call whose token WeChat refuses (40001, 40014, 42001) is sent once
// more with a renewed one: its body comes from GetBody, or else from memory, which holds up to 1 MiB of it. A longer body
// is sent once, and the caller gets the refusal; the next call then has the renewed token. Answers are streamed.
//
// Requests to other hosts pass untouched, and so do those whose paths take no token of an app: /sns/ and the calls that
// issue tokens. A redirect never carries the token away: it is removed from the Location that the caller is given. It is
// not attached where a redirect leads from another host to one of Hosts, since that is no call of the program's own, nor
// from https to http.
//
// The header Accept-Encoding of the caller is removed, because a refusal is read from the answer; net/http compresses
// by itself. A failure to get or renew the token is returned as an error. No error holds the token.
//
// Its methods are safe for concurrent use, and its fields are not to be changed after the first.
type Transport struct {
	Tokens TokenSource // whose token each call carries

	Hosts []string          // hosts that are given the token, such as api.weixin.qq.com or 127.0.0.1:8080; default those of APIURL and WorkURL
	Base  http.RoundTripper // the way to all hosts; default one with sane limits, shared with Client

	call *request // of a Client, whose errors name its path and hide its secrets
}

// tokenError is the failure to get or renew a token.
type tokenError struct{ error }

func (e *tokenError) Unwrap() error { return e.error }

// RoundTrip sends r, and sends it once more where WeChat refuses the token.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.attaches(r) {
		return t.pass(r)
	}
	op := r.Method + " " + r.URL.Path
	if t.call != nil {
		op = t.call.op
	}
	body, err := holdBody(r)
	if err != nil {
		return nil, fmt.Errorf("wechat: %s: read request body: %w", op, err)
	}
	token, err := t.token(r.Context())
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
		return nil, &tokenError{fmt.Errorf("%w; renewing the token: %w", refused.refusal(op, t.secrets(r, token)), err)}
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

func (t *Transport) token(ctx context.Context) (string, error) {
	if t.Tokens == nil {
		return "", errors.New("Transport.Tokens is not set: want a source of tokens such as a token.Manager")
	}
	c, err := t.Tokens.Token(ctx)
	return c.Value, err
}

// send sends a copy of r with body and token. The answer is one to r, so that nobody finds the token in it.
func (t *Transport) send(r *http.Request, body io.ReadCloser, length int64, token string) (*http.Response, error) {
	if t.call != nil {
		t.call.token = token
	}
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = body, length
	out.URL.RawQuery = setToken(r.URL.RawQuery, token)
	out.Header.Del("Accept-Encoding")
	resp, err := t.base().RoundTrip(out)
	if err != nil {
		return nil, withoutSecrets(err, t.secrets(r, token))
	}
	resp.Request = r
	hideToken(resp.Header, token)
	return resp, nil
}

// pass sends a request that takes no token. Where it comes of a redirect, its Referer may hold the token of the caller.
func (t *Transport) pass(r *http.Request) (*http.Response, error) {
	out := r
	if r.Response != nil && strings.Contains(r.Header.Get("Referer"), accessToken) {
		out = r.Clone(r.Context())
		out.Header.Del("Referer")
	}
	resp, err := t.base().RoundTrip(out)
	if resp != nil {
		resp.Request = r // which attaches looks for
	}
	return resp, err
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return defaultHTTP.Transport
	}
	return t.Base
}

func (t *Transport) secrets(r *http.Request, token string) []string {
	call := t.call
	if call == nil {
		call = &request{query: r.URL.Query()}
	}
	return call.secretsOf(token)
}

var defaultHosts = []string{strings.TrimPrefix(APIURL, "https://"), strings.TrimPrefix(WorkURL, "https://")}

// tokenless are paths that issue tokens for a secret. An answer of theirs says nothing about our token.
var tokenless = []string{"/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/gettoken"}

// attaches reports whether r is given the token.
func (t *Transport) attaches(r *http.Request) bool {
	if !t.serves(r.URL) || strings.HasPrefix(r.URL.Path, "/sns/") || slices.Contains(tokenless, r.URL.Path) {
		return false
	}
	for to := r; to.Response != nil; { // the redirects that led to r
		from := to.Response.Request
		if from == nil || !t.serves(from.URL) || from.URL.Scheme == "https" && to.URL.Scheme != "https" {
			return false
		}
		to = from
	}
	return true
}

// serves reports whether u is on one of Hosts.
func (t *Transport) serves(u *url.URL) bool {
	hosts := t.Hosts
	if len(hosts) == 0 {
		hosts = defaultHosts
	}
	host := usualHost(u.Scheme, u.Host)
	return host != "" && slices.ContainsFunc(hosts, func(h string) bool { return usualHost(u.Scheme, h) == host })
}

// usualHost returns a host in lower case, without the port that the scheme has anyway.
func usualHost(scheme, host string) string {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.TrimSuffix(strings.ToLower(host), port)
}

const accessToken = "access_token"

// setToken replaces the access_token in a query by token, or removes it where token is empty. The rest of the query stays
// as it is.
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

// hideToken removes the token from the address of a redirect. An address that holds it elsewhere than as access_token is
// dropped, so that nobody follows it.
func hideToken(h http.Header, token string) {
	location := h.Get("Location")
	if token == "" || !holds(location, token) {
		return
	}
	u, err := url.Parse(location)
	if err == nil {
		u.RawQuery = setToken(u.RawQuery, "")
		location = u.String()
	}
	if err != nil || holds(location, token) {
		h.Del("Location")
		return
	}
	h.Set("Location", location)
}

// holds reports whether an address holds the token, escaped or not.
func holds(address, token string) bool {
	for range 4 { // an address inside of an address is escaped twice
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
