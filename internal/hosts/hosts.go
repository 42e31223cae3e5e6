// Package hosts checks the addresses of pages that an app may redirect to or sign for. It refuses every address that a
// browser might read differently than this package.
package hosts

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxLen is the greatest length of an address in bytes.
const MaxLen = 4096

// The reasons why an address is refused.
var (
	ErrAddress = errors.New("it is not a whole http or https address")
	ErrUser    = errors.New("it names a user before its host")
	ErrHost    = errors.New("its host is not among the app's hosts")
)

// Check returns an error unless the host of a page's address is in allowed. An entry of allowed is a host, such as
// shop.example.com, for the default ports, or host:port. An entry does not cover subdomains, and a trailing dot makes a
// different host. Letter case does not matter.
func Check(page string, allowed []string) error {
	if len(page) > MaxLen {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrAddress, MaxLen)
	}
	scheme, authority, err := splitAddress(page)
	if err != nil {
		return err
	}
	host := dropDefaultPort(scheme, authority)
	for _, entry := range allowed {
		if entry != "" && dropDefaultPort(scheme, strings.ToLower(entry)) == host {
			return nil
		}
	}
	return fmt.Errorf("%w: %s", ErrHost, host)
}

// Parse is Check followed by url.Parse, which must find the same host.
func Parse(page string, allowed []string) (*url.URL, error) {
	if err := Check(page, allowed); err != nil {
		return nil, err
	}
	_, authority, err := splitAddress(page)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(page)
	if err != nil || !strings.EqualFold(u.Host, authority) || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("%w: it cannot be parsed", ErrAddress)
	}
	return u, nil
}

// ErrEntry is the error of an entry of a list of hosts that matches no page.
var ErrEntry = errors.New("want a host such as shop.example.com or shop.example.com:8443, without scheme, path and *")

// CheckEntry returns ErrEntry unless entry is a name or an IP address, with or without a port.
func CheckEntry(entry string) error {
	name, port := entry, ""
	if at := strings.LastIndexByte(entry, ':'); at >= 0 && !strings.HasSuffix(entry, "]") {
		name, port = entry[:at], entry[at+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return ErrEntry
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(inner, "]") {
			return ErrEntry
		}
		return nil
	}
	name = strings.TrimSuffix(name, ".")
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, outsideLabel) {
			return ErrEntry
		}
	}
	if last := labels[len(labels)-1]; len(name) > 253 || strings.Trim(last, "0123456789") == "" && !isIPv4(name) {
		return ErrEntry
	}
	return nil
}

func outsideLabel(r rune) bool { return strings.ContainsRune(".:[]", r) || outsideHost(r) }

func isIPv4(name string) bool {
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Is4()
}

// splitAddress returns the scheme and host of an address, in lower case. Browsers drop tabs and line ends, trim blanks,
// and read \ as / before the query. Addresses with these are refused.
func splitAddress(page string) (scheme, authority string, err error) {
	if at := strings.IndexByte(page, '\\'); hasInvisible(page) || at >= 0 && at < indexAny(page, "?#") {
		return "", "", fmt.Errorf("%w: it holds a blank, a backslash or a control character", ErrAddress)
	}
	scheme, rest, ok := strings.Cut(page, "://")
	scheme = strings.ToLower(scheme)
	if !ok || (scheme != "http" && scheme != "https") {
		return "", "", ErrAddress
	}
	authority = rest[:indexAny(rest, "/?#")]
	if strings.Contains(authority, "@") {
		return "", "", ErrUser
	}
	if authority == "" || strings.ContainsFunc(authority, outsideHost) {
		return "", "", fmt.Errorf("%w: its host is not plain", ErrAddress)
	}
	return scheme, strings.ToLower(authority), nil
}

// indexAny returns the index of the first of chars in s, or the length of s. It is fast if that is near the beginning.
func indexAny(s, chars string) int {
	for i := range len(s) {
		if strings.IndexByte(chars, s[i]) >= 0 {
			return i
		}
	}
	return len(s)
}

// outsideHost reports whether r is not allowed in a host and port: names (with those of other scripts in xn-- form),
// IPv4 and IPv6.
func outsideHost(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune(".-_:[]", r)
}

// hasInvisible reports whether an address contains blanks, control characters or invalid UTF-8.
func hasInvisible(page string) bool {
	for _, r := range page {
		if r <= ' ' || (r >= 0x7f && r <= 0xa0) || r == 0xfeff || r == utf8.RuneError {
			return true
		}
	}
	return false
}

// dropDefaultPort removes the default port of the scheme.
func dropDefaultPort(scheme, authority string) string {
	if scheme == "https" {
		return strings.TrimSuffix(authority, ":443")
	}
	return strings.TrimSuffix(authority, ":80")
}

// Origin returns the origin of an address that Parse returned, as browsers write it: scheme://host, in lower case, with
// the port if it is not the default one.
func Origin(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	return scheme + "://" + dropDefaultPort(scheme, strings.ToLower(u.Host))
}

// Loopback reports whether a host, with or without a port, is this machine.
func Loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.IsLoopback())
}
