// Package hosts decides which pages an app deals with: those it may send people back to, and those it may sign for.
// Everything that could make a browser read an address otherwise than this package does is refused.
package hosts

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

// MaxLen is how many bytes an address may have.
const MaxLen = 4096

// Why an address is refused.
var (
	ErrAddress = errors.New("it is not a whole http or https address")
	ErrUser    = errors.New("it names a user before its host")
	ErrHost    = errors.New("its host is not among the app's hosts")
)

// Check finds the host of a page's address in allowed. An entry there is a host, such as shop.example.com, which stands
// for the usual ports, or host:port. Nothing stands for subdomains, and a trailing dot makes another host. Letter case
// does not matter.
func Check(page string, allowed []string) error {
	if len(page) > MaxLen {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrAddress, MaxLen)
	}
	scheme, authority, err := split(page)
	if err != nil {
		return err
	}
	host := usual(scheme, authority)
	for _, entry := range allowed {
		if entry != "" && usual(scheme, strings.ToLower(entry)) == host {
			return nil
		}
	}
	return fmt.Errorf("%w: %s", ErrHost, host)
}

// Parse is Check, and then url.Parse, which must see the same host.
func Parse(page string, allowed []string) (*url.URL, error) {
	if err := Check(page, allowed); err != nil {
		return nil, err
	}
	_, authority, err := split(page)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(page)
	if err != nil || !strings.EqualFold(u.Host, authority) || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("%w: it cannot be parsed", ErrAddress)
	}
	return u, nil
}

// split takes scheme and host off an address, in lower case. Browsers drop tabs and line ends, trim blanks and, up to
// the query, read \ as /; none of these gets by.
func split(page string) (scheme, authority string, err error) {
	if !utf8.ValidString(page) || strings.ContainsFunc(page, strange) || strings.Contains(upTo(page, "?#"), `\`) {
		return "", "", fmt.Errorf("%w: it holds a blank, a backslash or a control character", ErrAddress)
	}
	scheme, rest, ok := strings.Cut(page, "://")
	scheme = strings.ToLower(scheme)
	if !ok || (scheme != "http" && scheme != "https") {
		return "", "", ErrAddress
	}
	authority = upTo(rest, "/?#")
	if strings.Contains(authority, "@") {
		return "", "", ErrUser
	}
	if authority == "" || strings.Trim(authority, hostBytes) != "" {
		return "", "", fmt.Errorf("%w: its host is not plain", ErrAddress)
	}
	return scheme, strings.ToLower(authority), nil
}

// upTo is the beginning of s, before the first of chars.
func upTo(s, chars string) string {
	if end := strings.IndexAny(s, chars); end >= 0 {
		return s[:end]
	}
	return s
}

// hostBytes are what a host and port are made of: names, with those of other scripts in their xn-- form, IPv4 and IPv6.
const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]"

func strange(r rune) bool {
	return r <= ' ' || r == 0x7f || (r >= 0x80 && r <= 0xa0) || r == 0xfeff
}

// usual drops the port that the scheme has anyway.
func usual(scheme, authority string) string {
	if scheme == "https" {
		return strings.TrimSuffix(authority, ":443")
	}
	return strings.TrimSuffix(authority, ":80")
}

// Loopback tells whether a host, with or without a port, is this machine.
func Loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.IsLoopback())
}
